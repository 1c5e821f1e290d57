"""`make why`: one reason for each job, and what the manifests say to it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow
ROOT = Path(__file__).resolve().parents[2]
SNAKEFILE = """
rule all:
    input: "page"
rule measure_once:
    input: "data"
    output: one="one", two="two"
    log: "measure.log"
    params:
        settings={"depth": config.get("depth", 1)},
        code=config.get("code", "'aaaaaaaaaaaa'").strip("'"),
    shell: "touch one two; sleep {params.settings[depth]}; cp data one; cp data two"
rule draw:
    input: "one"
    output: "page"
    log: "draw.log"
    shell: "cp one page"
"""


class Toy:
    """A workflow of two jobs, one reading what the other makes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "Snakefile").write_text(SNAKEFILE)
        (path / "data").write_text("1")

    def command(self, *arguments: str) -> list[str]:
        command = [sys.executable, "-m", "snakemake", "--cores=1", "--logger=topograph"]
        triggers = ["mtime", "params", "input"]
        return [
            *command,
            *arguments,
            "--nolock",
            "--rerun-incomplete",
            "--rerun-triggers",
            *triggers,
        ]

    def run(self, *arguments: str) -> list[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            env=environment,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout.splitlines()

    def why(self, *arguments: str) -> list[str]:
        return self.run(*arguments, "--dry-run")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Toy:
    """The toy workflow after a run."""
    toy = Toy(tmp_path_factory.mktemp("made"))
    toy.run()
    return toy


@pytest.fixture
def toy(made, tmp_path) -> Toy:
    """A copy of the finished toy workflow that a test may change."""
    target = tmp_path / "toy"
    shutil.copytree(made.path, target)
    copied = Toy.__new__(Toy)
    copied.path = target
    return copied


DRAWN = "  draw (1): its input from measure once will be made anew"


def test_nothing_to_be_done_is_all_that_is_said_then(made):
    assert made.why() == ["Nothing to be done"]


def test_what_was_never_made(tmp_path):
    assert Toy(tmp_path).why() == [
        "2 jobs would run:",
        "  measure once (1): never made",
        "  draw (1): never made",
    ]


def test_an_output_that_went_missing_is_named(toy):
    (toy.path / "one").unlink()
    (toy.path / "page").unlink()
    assert toy.why() == [
        "2 jobs would run:",
        "  measure once (1): an output is missing: one",
        "  draw (1): never made",
    ]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("depth=2", "its settings changed"),
        ("code='bbbbbbbbbbbb'", "its code changed"),
    ],
)
def test_changed_settings_and_code_are_told_apart(made, config, reason):
    assert made.why("--config", config) == [
        "2 jobs would run:",
        f"  measure once (1): {reason}",
        DRAWN,
    ]


def test_a_newer_input_is_named(toy):
    (toy.path / "data").write_text("2")
    assert toy.why()[1:] == ["  measure once (1): an input is newer: data", DRAWN]


def test_what_is_asked_for_by_name_is_not_called_changed(made):
    assert made.why("--forcerun", "draw") == [
        "1 job would run:",
        "  draw (1): asked for by --forcerun",
    ]


def test_a_job_cut_short_is_not_called_asked_for(toy):
    (toy.path / "data").write_text("2")
    running = subprocess.Popen(
        toy.command("--config", "depth=60"),
        cwd=toy.path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (toy.path / "two").exists() or (toy.path / "two").read_text():
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    reasons = toy.why("--config", "depth=60")[1:]
    assert reasons == ["  measure once (1): left half made by an interrupted run", DRAWN]


@pytest.fixture
def copied(untouched, tmp_path):
    """The finished smoke study as one gets it from elsewhere: without Snakemake's records."""
    target = tmp_path / "copied"
    ignored = shutil.ignore_patterns(".snakemake")
    shutil.copytree(untouched.path, target, symlinks=True, ignore=ignored)
    return untouched._replace(path=target, variables={"PYTHONPATH": str(target / "workflow")})


def results(copied) -> dict[Path, bytes]:
    files = (path for path in (copied.path / "results/smoke").rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files}


def test_results_with_other_times_are_kept_as_they_are(copied):
    before = results(copied)
    for path in copied.path.glob("results/smoke/train/*/weights.safetensors"):
        path.touch()
    shown = copied.make("why").stdout
    assert "an input is newer: results/smoke/train/" in shown
    assert "By their manifests nothing differs for" in shown
    assert 'make study STUDY=smoke ARGS="--touch --forceall"' in shown
    assert "Nothing to be done" not in shown
    assert copied.make("study", "ARGS=--touch --forceall").returncode == 0
    assert copied.make("why").stdout.splitlines()[-1] == "Nothing to be done"
    assert results(copied) == before


def test_results_of_other_code_are_found_without_snakemakes_records(copied):
    edited = copied.path / "workflow/topograph/topology/merge_tree.py"
    edited.write_text(edited.read_text() + "\nCHANGED = True\n")
    shown = copied.make("why").stdout
    assert copied.jobs(shown) == {}
    assert "Nothing to be done" not in shown
    assert "  topology, 5 jobs: made by other code: " in shown
    assert "  and 8 jobs made from them" in shown
    (remedy,) = re.findall(r'make study STUDY=smoke ARGS="(.+)"', shown)
    remade = copied.make("study", f"ARGS={remedy} --dry-run")
    assert copied.jobs(remade.stdout) == {
        **dict.fromkeys(["topology", "profile_page"], 5),
        "homology": 2,
        "figure": 6,
        "claims": 1,
        "paper_page": 4,
        "site": 1,
    }


def test_settings_that_changed_are_named(copied):
    config = copied.path / "config/smoke.yaml"
    config.write_text(
        config.read_text().replace("maps: [phate, pca]}", "maps: [phate, pca], knn: 7}")
    )
    shown = copied.make("why").stdout
    assert "  embed, 2 jobs: made with other settings: analysis.knn: 5 -> 7" in shown
    assert 'ARGS="--forcerun embed homology"' in shown
