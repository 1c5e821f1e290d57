"""Which GPUs a job computes on: Snakemake only counts them, so each job claims its own."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from topograph.foundation.errors import TopographError

VARIABLE = "CUDA_VISIBLE_DEVICES"
SECONDS_BETWEEN_TRIES = 1.0
# Descriptors of the locks that this process holds; closed, and so released, when it ends.
_held: list[int] = []


def claim_devices(number: int, *, folder: Path | None = None) -> list[str]:
    """Claim ``number`` GPUs for this process until it ends, and make CUDA see only these.

    Call it before CUDA is first used. Waits, with a line in the log, while other jobs hold too
    many. A preset CUDA_VISIBLE_DEVICES of no more than ``number`` devices, as Slurm sets it, is
    left alone; of a longer one, devices are claimed. Locks lie in ``folder``, by default one of
    this user in the machine's temporary folder, so that studies share them.

    Returns the names given to CUDA, or nothing where no GPU is wanted or found: then torch says
    what is missing. Raises TopographError when the machine has fewer than ``number``.
    """
    available = _visible()
    if number < 1 or not available:
        return []
    if len(available) < number:
        raise TopographError(
            f"the job wants {number} GPUs and may use {len(available)}: {', '.join(available)}; "
            "ask for fewer"
        )
    if VARIABLE in os.environ and len(available) == number:
        return available
    claimed = _wait(available, number, folder or _own_folder())
    os.environ[VARIABLE] = ",".join(claimed)
    return claimed


def _visible() -> list[str]:
    """Return the devices that CUDA would show to this process, without importing torch."""
    if VARIABLE in os.environ:
        return [name.strip() for name in os.environ[VARIABLE].split(",") if name.strip()]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, check=False).stdout
    # Slices of a divided GPU are listed below it, indented.
    lines = [line for line in listed.splitlines() if line.startswith("GPU ")]
    return [str(index) for index in range(len(lines))]


def _own_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"topograph-devices-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise TopographError(f"{folder} belongs to somebody else; ask for its removal")
    return folder


def _wait(available: list[str], number: int, folder: Path) -> list[str]:
    told = False
    while True:
        claimed = _try(available, number, folder)
        if claimed:
            return claimed
        if not told:
            print(f"waiting for {number} of {len(available)} GPUs", file=sys.stderr, flush=True)
            told = True
        time.sleep(SECONDS_BETWEEN_TRIES)


def _try(available: list[str], number: int, folder: Path) -> list[str]:
    """Lock ``number`` slots, or none: a job that holds one and waits for another could for ever."""
    locks: dict[str, int] = {}
    for name in available:
        path = folder / f"{name.replace('/', '-')}.lock"
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        locks[name] = descriptor
        if len(locks) == number:
            _held.extend(locks.values())
            return list(locks)
    for descriptor in locks.values():
        os.close(descriptor)
    return []
