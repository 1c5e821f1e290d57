"""What the views of runs and dry runs share: which of Snakemake's records a reader is shown."""

from __future__ import annotations

from collections.abc import Callable
from logging import WARNING, LogRecord
from pathlib import Path

from rich.console import Console

NOTHING_TO_DO = "Nothing to be done"
# Beginnings of what Snakemake says and the views leave out or say in their own words.
NOISE = (
    "Assuming unrestricted shared filesystem",
    "At least one job did not complete",
    "Building DAG of jobs",
    "Complete log(s)",
    "Conda environments: ignored",
    "Elapsed time",
    "Execute ",
    "Exiting because a job execution failed",
    "Provided ",
    "Reasons:",
    "Rules claiming more threads",
    "Rules with provenance triggered jobs",
    "Select jobs to execute",
    "Shutting down, this might take some time",
    "Singularity containers: ignored",
    "Some jobs were triggered by provenance",
    "This was a dry-run",
    "Using shell",
    "WorkflowError:\nAt least one job did not complete",
)
# The rule that only names what a study consists of.
TARGET_RULE = "all"


class View:
    """Shows every record as Snakemake formats it; its subclasses know better for some events.

    A method named like an event of Snakemake's is given the records of that event.
    """

    def __init__(self, console: Console, format_record: Callable[[LogRecord], str]) -> None:
        self.console = console
        self._format = format_record
        self._latest = ""

    def show(self, record: LogRecord) -> None:
        """Show one record."""
        event = getattr(record, "event", None)
        getattr(self, event or "message", self.message)(record)

    def message(self, record: LogRecord) -> None:
        """Print a record in Snakemake's words, but not the same one twice in a row."""
        text = self._format(record)
        if text and text != self._latest:
            self.say(text, "red" if record.levelno >= WARNING else None)
        self._latest = text

    def say(self, text: str, style: str | None = None) -> None:
        """Print lines of text."""
        self.console.print(text, style=style, soft_wrap=True)

    def end(self) -> None:
        """Say what can be said only when nothing more will come."""


class QuietView(View):
    """Leaves out what is noise to a reader, and names the mistake alone in errors of a study."""

    study_file: Path | None = None

    def message(self, record: LogRecord) -> None:
        """Print a record unless it is noise."""
        if not (record.getMessage() or "").startswith(NOISE):
            super().message(record)

    def workflow_started(self, record: LogRecord) -> None:
        """Keep the study file; the rest of the header is in the log of Snakemake."""
        files = getattr(record, "configfiles", None)
        self.study_file = Path(files[-1]) if files else None

    def resources_info(self, record: LogRecord) -> None:
        """Leave out cores and resources."""

    progress = resources_info

    def error(self, record: LogRecord) -> None:
        """Print an error; of a mistake in the study file, found in common.smk, only its message."""
        header, _, rest = record.getMessage().partition("\n")
        if header.startswith("WorkflowError in file") and "common.smk" in header:
            lines = rest.splitlines()
            self.say("\n".join(x for x in lines if not x.startswith('  File "')), "red")
        else:
            self.message(record)


def words(rule: str) -> str:
    """Return the name of a rule in words."""
    return rule.replace("_", " ")


def counted(counts: dict[str, int]) -> str:
    """Return rules with their numbers of jobs: ``train (5), topology (2)``."""
    return ", ".join(f"{words(rule)} ({count})" for rule, count in counts.items())


def jobs(count: int) -> str:
    """Return a number of jobs in words."""
    return "1 job" if count == 1 else f"{count} jobs"
