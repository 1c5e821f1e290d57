"""GPUs are claimed, held and freed by processes: with a stand-in for nvidia-smi, no GPU needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from topograph.foundation import devices
from topograph.foundation.devices import claim_devices
from topograph.foundation.errors import TopographError

# Claims, says what it got and what CUDA would see, and holds it until its input ends.
JOB = """
import os, sys
from pathlib import Path
from topograph.foundation.devices import claim_devices
claimed = claim_devices(int(sys.argv[1]), folder=Path(sys.argv[2]))
assert "torch" not in sys.modules
print(",".join(claimed), os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that gives the machine some GPUs; no variable is set."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "set first, so that it is put back")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(devices, "_held", [])

    def give(count: int) -> None:
        program = tmp_path / "bin/nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        lines = [f"GPU {i}: Stand-in (UUID: GPU-{i})\\n  MIG 1g Device 0:" for i in range(count)]
        program.write_text("#!/bin/sh\nprintf '" + "\\n".join(lines) + "\\n'\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    yield give
    for descriptor in devices._held:
        os.close(descriptor)


def start(folder: Path, number: int = 1) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", JOB, str(number), str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes)


def answer(job: subprocess.Popen[str]) -> list[str]:
    """Return what a job claimed, after making sure that CUDA would see just that."""
    claimed, seen = job.stdout.readline().split()
    assert seen == claimed
    return claimed.split(",")


def test_no_two_of_many_processes_hold_one_device(machine, tmp_path):
    machine(4)
    jobs = [start(tmp_path) for _ in range(4)]
    assert sorted(name for job in jobs for name in answer(job)) == ["0", "1", "2", "3"]
    for job in jobs:
        job.communicate()


def test_a_killed_process_frees_its_device_for_the_one_that_waits(machine, tmp_path):
    machine(2)
    first, second = start(tmp_path), start(tmp_path)
    held = {job: answer(job) for job in (first, second)}
    third = start(tmp_path)
    assert third.stderr.readline() == "waiting for 1 of 2 GPUs\n"
    first.kill()
    assert answer(third) == held[first]
    for job in (first, second, third):
        job.communicate()


def test_two_devices_are_claimed_together_or_not_at_all(machine, tmp_path):
    machine(2)
    one = start(tmp_path)
    (held,) = answer(one)
    pair = start(tmp_path, 2)
    assert "waiting for 2 of 2" in pair.stderr.readline()
    other = start(tmp_path)
    assert {held, *answer(other)} == {"0", "1"}
    one.communicate()
    other.communicate()
    assert answer(pair) == ["0", "1"]
    pair.communicate()


def test_a_preset_device_is_left_alone_even_when_a_job_holds_it(machine, tmp_path, monkeypatch):
    machine(2)
    job = start(tmp_path)
    (held,) = answer(job)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", held)
    assert claim_devices(1, folder=tmp_path) == [held]
    job.communicate()


def test_devices_are_claimed_among_the_preset_ones(machine, tmp_path, monkeypatch):
    machine(4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 3")
    job = start(tmp_path)
    assert answer(job) == ["2"]
    assert claim_devices(1, folder=tmp_path) == ["3"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    job.communicate()


def test_nothing_is_claimed_where_nothing_is_wanted_or_there(machine, tmp_path, monkeypatch):
    machine(2)
    assert claim_devices(0, folder=tmp_path) == []
    monkeypatch.setenv("PATH", str(tmp_path))
    assert claim_devices(1, folder=tmp_path) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert claim_devices(1, folder=tmp_path) == []
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_more_devices_than_the_machine_has_are_refused(machine, tmp_path):
    machine(2)
    with pytest.raises(TopographError, match=r"wants 3 GPUs and may use 2: 0, 1; ask for fewer"):
        claim_devices(3, folder=tmp_path)


def test_the_locks_lie_in_a_folder_of_this_user_alone(machine, tmp_path, monkeypatch):
    machine(1)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    assert claim_devices(1) == ["0"]
    folder = tmp_path / f"topograph-devices-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "0.lock").is_file()
