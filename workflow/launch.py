"""Start Snakemake alone in this checkout: `python workflow/launch.py snakemake --cores 2 …`.

Snakemake's own lock outlives a Snakemake that was killed, and a person has to remove it. The lock
here belongs to the process: whatever ends it, the next call simply goes on.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import sys
from itertools import pairwise
from pathlib import Path

from topograph.config.yaml_file import read_yaml
from topograph.foundation.errors import ConfigError, nearest

LOCK = Path(".snakemake/topograph.lock")
# What Snakemake writes of its own while it runs.
BYTES_NEEDED = 1_000_000


def main(command: list[str]) -> None:
    """Print a command and become it; exit 1, with one message, where it could not run."""
    print(shlex.join(command), flush=True)
    check_study(command)
    if not {"-n", "--dry-run"} & set(command):
        check_folders(command)
        hold_lock()
        command = [*command, "--nolock"]
    os.execv(command[0], command)


def check_study(command: list[str]) -> None:
    """Exit where the study that is named has no file, or one that is not YAML."""
    for option, word in pairwise(command):
        file = Path(word)
        if option != "--configfile":
            continue
        if not file.is_file():
            known = sorted(path.stem for path in file.parent.glob("*.yaml"))
            sys.exit(
                f"no study {file.stem!r}: {file} does not exist{nearest(file.stem, known)}; "
                f"allowed: {', '.join(known) or 'none'}, as STUDY=... or as the folder after "
                "results/ or reports/; nothing was started"
            )
        try:
            read_yaml(file)
        except ConfigError as mistake:
            sys.exit(f"{mistake}; nothing was started")


def check_folders(command: list[str]) -> None:
    """Exit where the study's results or reports cannot be written."""
    studies = [Path(word).stem for word in command if word.endswith(".yaml")]
    for folder in ("results", "reports"):
        for path in (Path(folder), *(Path(folder, study) for study in studies)):
            if path.exists() and not os.access(path, os.W_OK):
                sys.exit(
                    f"{path} cannot be written: nothing was started; make it writable, or work in "
                    "a copy of this checkout"
                )


def hold_lock() -> None:
    """Take the lock until this process, which will be Snakemake, ends."""
    try:
        LOCK.parent.mkdir(exist_ok=True)
        descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        sys.exit(f"{error.filename} cannot be written ({error.strerror}): nothing was started")
    if shutil.disk_usage(LOCK.parent).free < BYTES_NEEDED:
        sys.exit("the disk is full: nothing was started; free some space and run it again")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 20).decode()
        sys.exit(
            f"Snakemake is at work in this checkout already (process {holder}): wait for it or end "
            "it, then run this again; nothing was started"
        )
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    os.set_inheritable(descriptor, True)


if __name__ == "__main__":
    main(sys.argv[1:])
