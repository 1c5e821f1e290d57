"""One Snakemake at a time in a checkout, and no lock that outlives it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LAUNCH = Path(__file__).resolve().parents[2] / "workflow/launch.py"
# Stands for Snakemake: says that it began, then works for a while.
WORK = ["/bin/sh", "-c", "echo begun; exec sleep 60"]


def launch(folder, *command):
    return subprocess.Popen(
        [sys.executable, str(LAUNCH), *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def working(tmp_path):
    process = launch(tmp_path, *WORK)
    while process.stdout.readline() != "begun\n":
        assert process.poll() is None
    yield process
    process.kill()
    process.wait()


def test_the_command_is_printed_and_run(tmp_path):
    process = launch(tmp_path, "/bin/echo", "a b", "c")
    assert process.communicate()[0] == "/bin/echo 'a b' c\na b c --nolock\n"
    assert process.returncode == 0


def test_a_second_one_is_refused_with_one_message(working, tmp_path):
    process = launch(tmp_path, *WORK)
    output = process.communicate(timeout=30)[0].splitlines()
    assert process.returncode == 1
    assert output[1:] == [
        f"Snakemake is at work in this checkout already (process {working.pid}): wait for it or "
        "end it, then run this again; nothing was started"
    ]


@pytest.mark.parametrize("flag", ["-n", "--dry-run"])
def test_a_dry_run_does_not_wait(working, tmp_path, flag):
    process = launch(tmp_path, "/bin/sh", "-c", "echo begun too", flag)
    assert process.communicate(timeout=30)[0].endswith("begun too\n")
    assert process.returncode == 0


def test_a_killed_one_leaves_no_lock(working, tmp_path):
    working.kill()
    working.wait()
    process = launch(tmp_path, "/bin/echo", "goes on")
    assert process.communicate(timeout=30)[0].endswith("goes on --nolock\n")
    assert process.returncode == 0


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / ".snakemake").write_text("a file where a folder should be")
    process = launch(tmp_path, *WORK)
    output = process.communicate(timeout=30)[0]
    assert process.returncode == 1
    assert ".snakemake cannot be written" in output
    assert "Traceback" not in output
    assert "nothing was started" in output


@pytest.mark.parametrize("flags", [[], ["-n"]])
def test_a_study_without_a_file_is_refused_with_those_there_are(tmp_path, flags):
    (tmp_path / "config").mkdir()
    for name in ("smoke", "paper"):
        (tmp_path / "config" / f"{name}.yaml").touch()
    process = launch(tmp_path, "/bin/echo", "--configfile", "config/smok.yaml", *flags)
    output = process.communicate(timeout=30)[0].splitlines()
    assert process.returncode == 1
    assert output[1:] == [
        "no study 'smok': config/smok.yaml does not exist (did you mean 'smoke'?); allowed: paper, "
        "smoke, as STUDY=... or as the folder after results/ or reports/; nothing was started"
    ]


def test_broken_yaml_is_named_with_its_line(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/mine.yaml").write_text("study: mine\n\texperiments: {}\n")
    process = launch(tmp_path, "/bin/echo", "--configfile", "config/mine.yaml")
    output = process.communicate(timeout=30)[0]
    assert process.returncode == 1
    assert "config/mine.yaml is not valid YAML: " in output and "line 2, column 1" in output
    assert "Traceback" not in output


def test_jobs_end_with_the_snakemake_that_started_them(tmp_path):
    """A process whose command is named snakemake starts a job and is killed."""
    scripts = LAUNCH.parent / "scripts"
    (tmp_path / "job_script.py").write_text(
        f"import sys, time; sys.path.insert(0, {str(scripts)!r})\n"
        "from job import _end_with_snakemake\n"
        "_end_with_snakemake()\nprint('begun', flush=True)\ntime.sleep(600)\nprint('ended')\n"
    )
    (tmp_path / "snakemake").write_text(
        "import subprocess, sys\nsubprocess.run([sys.executable, 'job_script.py'])\n"
    )
    runner = subprocess.Popen(
        [sys.executable, "snakemake"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert runner.stdout.readline() == "begun\n"
    runner.kill()
    # The pipe closes when the last process that holds it, the job, has ended: long before its time.
    assert runner.stdout.read() == ""
    runner.wait()
