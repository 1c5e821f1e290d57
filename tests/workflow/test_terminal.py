"""What a run shows: real runs of a toy workflow, in plain text and at a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SNAKEFILE = """
import os
RUNS = os.environ.get("RUNS", "a b").split()
rule all:
    input: expand("out/{run}.copy", run=RUNS)
rule make_text:
    output: "out/{run}.text"
    log: "logs/make_text/{run}.log"
    script: "make_text.py"
rule copy:
    input: "out/{run}.text"
    output: "out/{run}.copy"
    log: "logs/copy/{run}.log"
    shell: "cp {input} {output}"
"""
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {scripts!r})
from topograph.foundation.errors import DataError

run = snakemake.wildcards.run
os.write(2, f"before the log of {{run}}\\n".encode())  # whole, though two jobs write at once
if run == "broken":
    import no_such_module
if run == "silent":
    sys.exit(0)
if run == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
from job import job
import job as adapter
adapter._code = lambda *_: adapter.Code()
adapter._manifest = lambda *_: None
with job(snakemake):
    print("making text: 1/2, 0.5 per second, 2 s left", file=sys.stderr, flush=True)
    if run == "mistaken":
        raise DataError("the text is torn\\nsew it with make text")
    if run == "faulty":
        raise KeyError("inside")
    if run == "retried" and not Path("tried").exists():
        Path("tried").touch()
        raise DataError("not yet")
    time.sleep(float(os.environ.get("SECONDS_OF_WORK", "0")))
    Path(snakemake.output[0]).write_text(run)
"""


class Toy:
    """A workflow of two rules, whose runs behave as their names say."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "Snakefile").write_text(SNAKEFILE)
        (path / "make_text.py").write_text(SCRIPT.format(scripts=str(ROOT / "workflow/scripts")))

    def command(self, *arguments: str, logger: bool = True) -> list[str]:
        program = [sys.executable, "-m", "snakemake", "--cores", "2", "--scheduler", "greedy"]
        return [*program, "--keep-going", *["--logger=topograph"] * logger, *arguments]

    def environment(self, **variables: str) -> dict[str, str]:
        known = {k: v for k, v in os.environ.items() if k != "TOPOGRAPH_LOG_READER"}
        return {**known, "PYTHONPATH": str(ROOT / "workflow"), "TERM": "xterm", **variables}

    def run(self, *arguments: str, logger: bool = True, **variables: str):
        return subprocess.run(
            self.command(*arguments, logger=logger),
            cwd=self.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            env=self.environment(**variables),
        )

    def at_a_terminal(self, interrupt_on: str = "", **variables: str) -> tuple[int, str]:
        """Run in a terminal of its own; press Ctrl-C when a text is shown."""
        process, terminal = pty.fork()
        if process == 0:
            os.chdir(self.path)
            # Ignored where pytest runs in the background, and Python keeps what it inherits.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execvpe(sys.executable, self.command(), self.environment(**variables))
        shown, pressed, deadline = b"", not interrupt_on, time.monotonic() + 120
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                break
            if not pressed and interrupt_on.encode() in shown:
                os.write(terminal, b"\x03")
                pressed = True
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        return status, shown.decode()


@pytest.fixture
def toy(tmp_path) -> Toy:
    return Toy(tmp_path)


def without_escapes(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


def test_plain_lines_name_each_start_each_end_and_the_whole(toy):
    done = toy.run()
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == "4 jobs to run: make text (2), copy (2)"
    assert lines.count("      make text a: started") == 1
    ends = [line for line in lines if re.fullmatch(r"\[\d/4\] (make text|copy) [ab]: \d+ s", line)]
    assert [line[1] for line in ends] == ["1", "2", "3", "4"]
    summary = lines[lines.index("") + 1 :]
    assert re.fullmatch(r"4 jobs done in \d+ s", summary[0])
    assert [line.split()[:-2] for line in summary[1:]] == [["make", "text", "2"], ["copy", "2"]]


def test_nothing_of_what_snakemake_says_to_itself_is_shown(toy):
    shown = toy.run().stdout
    for noise in ("Building DAG", "Job stats", "rule make_text", "resources", "steps", "jobid"):
        assert noise not in shown
    assert "\x1b" not in shown


def test_verbose_shows_what_snakemake_says(toy):
    shown = toy.run("--verbose").stdout
    assert "Job stats" in shown and "rule make_text" in shown


@pytest.fixture(scope="module")
def failed(tmp_path_factory) -> tuple[Path, str]:
    """The folder and the output of a run in which five jobs fail, each in its own way."""
    toy = Toy(tmp_path_factory.mktemp("failed"))
    stale = toy.path / "logs/make_text/killed.log"
    stale.parent.mkdir(parents=True)
    stale.write_text("\nWhat went wrong: that was long ago\n")
    os.utime(stale, (1e9, 1e9))
    done = toy.run("--latency-wait", "1", RUNS="a mistaken faulty killed broken silent")
    assert done.returncode == 1
    return toy.path, done.stdout


def test_the_summary_counts_what_failed_and_says_what_to_do(failed):
    _, shown = failed
    assert "\n2 jobs done, 5 failed, 5 not run in " in shown
    assert "run the same command again: what is finished stays" in shown
    assert "Traceback" not in shown.partition("jobs done")[2]


def test_a_mistake_is_told_with_its_log(failed):
    path, shown = failed
    event = r"make text mistaken: failed after \d+ s: logs/make_text/mistaken.log\n"
    assert len(re.findall(event, shown)) == 1
    explained = (
        "    the text is torn\n    sew it with make text\n    log: logs/make_text/mistaken.log"
    )
    assert shown.count(explained) == shown.count("the text is torn") == 1
    log = (path / "logs/make_text/mistaken.log").read_text()
    assert "Traceback" in log
    assert log.endswith("What went wrong: the text is torn\nsew it with make text\n")


def test_a_fault_of_the_code_is_named_by_its_kind(failed):
    assert "    KeyError: 'inside'\n    log: logs/make_text/faulty.log" in failed[1]


def test_a_killed_job_says_that_memory_may_have_run_out(failed):
    explained = failed[1].partition("Failed: make text killed")[2]
    assert "it was ended by SIGKILL (signal 9)\n    most often because memory ran out" in explained
    assert "that was long ago" not in failed[1]


def test_a_job_that_fails_before_its_log_is_open_loses_no_message(failed):
    assert "No module named 'no_such_module'" in failed[1]
    explained = failed[1].partition("Failed: make text broken")[2]
    assert "it ended with exit status 1; what it said stands above" in explained


def test_a_missing_output_is_a_failure_of_its_job(failed):
    explained = failed[1].partition("Failed: make text silent")[2]
    assert "it ended without an error but did not make out/silent.text\n" in explained


def test_without_the_display_a_job_tells_its_mistake_itself(toy):
    shown = toy.run(logger=False, RUNS="mistaken").stdout
    assert "make_text: the text is torn\nsew it with make text\n  (traceback in logs" in shown


def test_a_job_that_succeeds_when_tried_again_has_not_failed(toy):
    done = toy.run("--retries", "1", RUNS="retried")
    assert done.returncode == 0, done.stdout
    assert "make text retried: tried again" in done.stdout
    assert re.search(r"\n2 jobs done in \d+ s", done.stdout)


def test_errors_of_snakemake_itself_appear_once(toy):
    done = toy.run("out/none.such")
    assert done.returncode == 1
    assert done.stdout.count("out/none.such") == 1
    (toy.path / "Snakefile").write_text("rule one:\n    output: 'x'\n    nonsense: 'y'\n")
    broken = toy.run()
    assert broken.returncode == 1
    assert broken.stdout.count("nonsense") == 1


def test_a_finished_workflow_has_nothing_to_do_and_touching_it_is_not_called_running(toy):
    toy.run()
    again = toy.run()
    assert again.returncode == 0
    assert again.stdout.splitlines()[-1].startswith("Nothing to be done")
    shown = toy.run("--touch", "--forceall").stdout
    assert "4 jobs marked as up to date in" in shown
    assert "done" not in shown


def test_a_terminal_shows_the_running_jobs_and_keeps_what_they_write(toy):
    status, raw = toy.at_a_terminal(SECONDS_OF_WORK="2.5")
    shown = without_escapes(raw)
    assert status == 0, shown
    assert re.search(r"make text a +\d s +1/2, 0.5 per second, 2 s left", shown)
    assert re.search(r"━ +0/4 jobs, \d+ s +left: make text \(2\), copy \(2\)", shown)
    assert shown.count("before the log of b") == 1
    assert re.search(r"\n4 jobs done in \d+ s", shown)
    assert raw.rindex("\x1b[?25h") > raw.rindex("\x1b[?25l"), "the cursor is shown again"


def test_a_failure_at_a_terminal_is_told_once(toy):
    status, raw = toy.at_a_terminal(RUNS="mistaken")
    assert status == 1
    assert without_escapes(raw).count("sew it with make text") == 1


def test_an_interrupted_run_is_no_failure_of_its_jobs(toy):
    status, raw = toy.at_a_terminal(interrupt_on="0.5 per second", SECONDS_OF_WORK="30")
    shown = without_escapes(raw)
    assert status != 0
    assert "Interrupted. Run the same command again: what is finished stays." in shown
    assert "failed" not in shown
    assert raw.rindex("\x1b[?25h") > raw.rindex("\x1b[?25l"), "the cursor is shown again"
