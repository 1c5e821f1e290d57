"""One job of a run: its name, its log, how long it takes, and why it ended early."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from logging import LogRecord
from pathlib import Path

from snakemake_logger_plugin_topograph.view import words
from topograph.foundation.logs import read_cause, read_progress

KILLED = re.compile(r"died with <Signals\.(\w+): (\d+)>")
STATUS = re.compile(r"returned non-zero exit status (\d+)")


@dataclass
class Job:
    """One job: what it is called, where it writes, and since when it runs."""

    rule: str
    name: str
    outputs: list[str]
    log: Path | None
    started: float = field(default_factory=time.time)
    seconds: float = 0.0
    cause: str = ""

    @staticmethod
    def of(record: LogRecord) -> Job:
        """Read a job from Snakemake's announcement of it."""
        fields = record.__dict__
        name = " ".join([words(fields["rule_name"]), *map(str, fields["wildcards"].values())])
        log = next((Path(path) for path in fields["log"] if path.endswith(".log")), None)
        return Job(fields["rule_name"], name, list(fields["output"]), log)

    def stop(self) -> Job:
        """Keep how long the job ran."""
        self.seconds = time.time() - self.started
        return self

    def fail(self, cause: str) -> Job:
        """Keep how long the job ran and why it failed: its log knows best."""
        log = self.own_log()
        self.cause = (log and read_cause(log)) or cause
        return self.stop()

    def own_log(self) -> Path | None:
        """Return the log if this job has begun to write it: an earlier one says nothing of it."""
        try:
            written = self.log is not None and self.log.stat().st_mtime >= self.started - 1
        except OSError:
            return None
        return self.log if written else None

    def progress(self) -> str:
        """Return the latest line of progress in the log."""
        log = self.own_log()
        return (log and read_progress(log)) or ""


def cause_of_process(error: str) -> str:
    """Return why a process ended, in words, from Snakemake's error about it."""
    if killed := KILLED.search(error):
        cause = f"it was ended by {killed[1]} (signal {killed[2]})"
        if killed[1] == "SIGKILL":
            cause += (
                "\nmost often because memory ran out: run fewer jobs at a time, as with CORES=1, "
                "or use a machine with more"
            )
        return cause
    if status := STATUS.search(error):
        return f"it ended with exit status {status[1]}; what it said stands above"
    return error or "it did not say why"


def duration(seconds: float) -> str:
    """Return a time in words: 34 s, 4 min 12 s, 1 h 5 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
