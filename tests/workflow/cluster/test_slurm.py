"""The smoke study on a real Slurm of one node: a job is killed, the next call finishes."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.workflow, pytest.mark.timeout(3600)]
SPECIFICATION = importlib.util.spec_from_file_location(
    "one_node_slurm", Path(__file__).with_name("one_node_slurm.py")
)
one_node_slurm = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(one_node_slurm)

# There is no accounting to ask, and a toy study need not wait 40 seconds between two looks.
SITE = (
    "--slurm-status-command squeue --slurm-init-seconds-before-status-checks 3 "
    "--seconds-between-status-checks 3 --group-components train=3"
)
KEPT = (".parquet", ".nc", ".safetensors", ".values.json")
# What the profile's groups come to: memory of the largest member, one core, the sum of their times.
REQUESTS = {
    "train": ("2000M", "1", {"12:00:00", "08:00:00"}),
    "landscape": ("2000M", "1", {"06:00:00"}),
    "trajectory": ("3000M", "1", {"10:00:00"}),
}


@pytest.fixture
def slurm(tmp_path):
    hindrance = one_node_slurm.install()
    if hindrance:
        pytest.skip(hindrance)
    with one_node_slurm.OneNodeSlurm(tmp_path / "slurm") as one:
        yield one


@contextmanager
def started(checkout, log: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the study with output in a log; it does not outlive the block."""
    command = ["make", "smoke", "PROFILE=slurm", f"ARGS={' '.join([SITE, *options])}"]
    with log.open("wb") as out:
        study = subprocess.Popen(
            command,
            cwd=checkout.path,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield study
    finally:
        if study.poll() is None:
            os.killpg(study.pid, signal.SIGKILL)
            study.wait()


def group_of(job: dict[str, str]) -> str:
    return re.match(r"rule_(\w+?)_", job["Comment"])[1]


def kill_a_running_trajectory(slurm, checkout, first: subprocess.Popen[bytes]) -> str:
    """Cancel the first job that has begun to jump and retrain; return its number."""
    logs = checkout.path / "results/smoke/logs/trajectory"
    while first.poll() is None:
        running = [job for job in slurm.jobs() if job["JobState"] == "RUNNING"]
        jumping = [job["JobId"] for job in running if group_of(job) == "trajectory"]
        if jumping and list(logs.rglob("*.log")):
            slurm.ask("scancel", jumping[0])
            return jumping[0]
        time.sleep(0.5)
    raise AssertionError("the study ended before a trajectory was seen running")


def contents(study: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(study)): path.read_bytes()
        for top in ("results/smoke", "reports/smoke")
        for path in (study / top).rglob("*")
        if path.name.endswith(KEPT) and "scratch" not in path.parts
    }


def test_a_study_on_slurm_survives_a_killed_job_and_gives_the_same_bytes(
    slurm, with_executor, smoke, tmp_path
):
    checkout = with_executor("slurm")
    log = tmp_path / "make.log"
    with started(checkout, log, "--retries 0") as first:
        killed = kill_a_running_trajectory(slurm, checkout, first)
        assert first.wait() != 0
    assert "Failed: jump retrain" in log.read_text()

    with started(checkout, log) as second:
        assert second.wait() == 0, log.read_text()[-3000:]
    assert "Nothing to be done" in checkout.make("why").stdout

    jobs = {job["JobId"]: job for job in slurm.jobs()}
    assert jobs[killed]["JobState"] == "CANCELLED"
    others = [job for number, job in jobs.items() if number != killed]
    assert {job["JobState"] for job in others} == {"COMPLETED"}
    # Five trainings three at a time, five landscapes, two trajectories: nothing was made twice.
    assert Counter(map(group_of, others)) == {"train": 2, "landscape": 5, "trajectory": 2}
    for job in jobs.values():
        memory, cores, times = REQUESTS[group_of(job)]
        assert (job["MinMemoryNode"], job["NumCPUs"]) == (memory, cores)
        assert job["TimeLimit"] in times

    ordinary, ours = contents(smoke.path), contents(checkout.path)
    assert len(ordinary) > 50
    assert ours.keys() == ordinary.keys()
    assert [name for name in ordinary if ours[name] != ordinary[name]] == []
