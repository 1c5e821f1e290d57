"""The log of a job as others read it: its latest progress, and at its end what went wrong."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TextIO

# Set for jobs by whoever reads their logs and tells what went wrong, so that it is told once.
READER = "TOPOGRAPH_LOG_READER"
CAUSE = "\nWhat went wrong: "
PROGRESS = re.compile(r"^.+: (\d+/\d+, .+ left)$", re.MULTILINE)
BYTES_AT_THE_END = 16384


def write_cause(log: TextIO, cause: str) -> None:
    """Write why a job failed as the last words of its log."""
    log.write(f"{CAUSE}{cause}\n")
    log.flush()


def read_cause(log: Path) -> str | None:
    """Return why a job failed, or None where its log does not say or does not exist."""
    _, found, cause = _end_of(log).rpartition(CAUSE)
    return cause.strip() if found else None


def read_progress(log: Path) -> str | None:
    """Return the numbers of the latest line that ``progress.track`` wrote to a log, or None."""
    found = PROGRESS.findall(_end_of(log))
    return found[-1] if found else None


def _end_of(log: Path) -> str:
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - BYTES_AT_THE_END, 0))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
