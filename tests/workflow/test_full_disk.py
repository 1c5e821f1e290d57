"""A full disk and one that cannot be written: one message each, and the work goes on later."""

from __future__ import annotations

import shutil
import subprocess

import pytest

pytestmark = pytest.mark.workflow
# Run in a mount namespace of its own: results on a file system of 60 kB, then of 50 MB, then
# read-only.
ON_A_SMALL_DISK = """
mount -t tmpfs -o size=60k tmpfs results
echo == full
make {target}; echo == $?
mount -o remount,size=50m results
make {target}; echo == $?
mount -o remount,ro results
rm -rf reports/smoke
make {target}; echo == $?
"""


def can_mount() -> bool:
    command = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(command).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="cannot mount")
def test_a_full_and_a_read_only_disk_are_one_message_each(checkout, smoke):
    (weights,) = smoke.path.glob("results/smoke/train/brain-*/weights.safetensors")
    target = weights.relative_to(smoke.path)
    script = ON_A_SMALL_DISK.format(target=target)
    done = checkout.run("unshare", "--map-root-user", "--mount", "bash", "-c", script)
    _, full, enough, read_only, end = done.stdout.split("== ")
    assert full.count("the disk is full") == 1, full
    assert full.count("free some space and run the same command again") == 1
    assert "Traceback" not in done.stdout
    assert not enough.startswith("0")
    assert read_only.startswith("0")
    assert "results cannot be written: nothing was started" in read_only
    assert not end.startswith("0")
