"""A dry run in words: what would run, the one reason why, and what the manifests say to it."""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from logging import LogRecord
from pathlib import Path

from rich.console import Console

from snakemake_logger_plugin_topograph.view import (
    NOTHING_TO_DO,
    TARGET_RULE,
    QuietView,
    jobs,
    words,
)
from topograph.archive.judgement import IN_WORDS, INHERITED, Judgement, judged
from topograph.foundation.errors import TopographError

FORCED = "Forced execution"
MADE_ANEW = "Input files updated by another job: "
NEWER = "Updated input files: "
MISSING = "Missing output files: "
SETTINGS = "Params have changed since last execution"
DIGEST = re.compile(r"'[0-9a-f]{12}'")
NO_RECORDS = re.compile(r"(\d+) jobs have missing provenance")


@dataclass
class Due:
    """A job that would run, with Snakemake's reason and the judgement of its manifest."""

    rule: str
    outputs: list[str]
    reason: str
    manifest: Judgement | None = None
    by_records_alone: bool = False

    def files(self, kind: str) -> list[str]:
        """Return the files that one part of the reason names."""
        found = re.search(re.escape(kind) + r"([^;]+)", self.reason)
        return sorted(found[1].split(", ")) if found else []


class Why(QuietView):
    """Says what would run and why."""

    def __init__(
        self, console: Console, format_record: Callable[[LogRecord], str], judge: bool
    ) -> None:
        super().__init__(console, format_record)
        self._judge = judge
        self._due: list[Due] = []
        self._without_records = 0
        self._planned = False
        self._unreadable = False

    def run_info(self, record: LogRecord) -> None:
        """Leave out the table of jobs: they are counted with their reasons."""
        self._planned = True

    def job_info(self, record: LogRecord) -> None:
        """Keep a job until the end; the rule that only names the study is none."""
        fields = record.__dict__
        if fields["rule_name"] != TARGET_RULE:
            self._due.append(Due(fields["rule_name"], list(fields["output"]), fields["reason"]))

    def job_finished(self, record: LogRecord) -> None:
        """Leave out the jobs that a dry run counts as finished."""

    job_started = job_finished

    def message(self, record: LogRecord) -> None:
        """Print what is no noise; whether nothing would run is said at the end."""
        text = record.getMessage() or ""
        if text.startswith(NOTHING_TO_DO):
            self._planned = True
        elif found := NO_RECORDS.match(text):
            self._without_records = int(found[1])
        elif " have outdated provenance" not in text:
            super().message(record)

    def end(self) -> None:
        """Say what would run and why, then where manifests and Snakemake's records disagree."""
        if not self._planned:
            return
        judgements = self._judgements()
        by_output = {judgement.output: judgement for judgement in judgements}
        _join(self._due, by_output)
        due = {path for job in self._due for path in job.outputs}
        stale = [x for x in judgements if x.state in IN_WORDS and x.output not in due]
        stale = [x for x in stale if x.state != "not asked for"]
        if self._due:
            self._say_due()
        elif stale or self._unreadable:
            self.say("Snakemake would run nothing.")
        else:
            self.say(NOTHING_TO_DO)
        self._say_stale(stale, judgements)
        self._say_current(stale)

    def _judgements(self) -> list[Judgement]:
        if not self._judge or self.study_file is None:
            return []
        try:
            return judged(self.study_file)
        except TopographError as mistake:
            self._unreadable = True
            self.say(f"The manifests cannot be compared: {mistake}", "red")
            return []

    def _say_due(self) -> None:
        makers = {path: job.rule for job in self._due for path in job.outputs}
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        order = [job.rule for job in self._due]
        for job in sorted(self._due, key=lambda job: order.index(job.rule)):
            reason, detail = in_words(job, makers)
            groups[job.rule, reason].append(detail)
        self.say(f"{jobs(len(self._due))} would run:")
        for (rule, reason), details in groups.items():
            others = len(set(details)) - 1
            like = f" and {others} like it" if others else ""
            text = f"{reason}: {details[0]}{like}" if details[0] else reason
            self.say(f"  {words(rule)} ({len(details)}): {text}")

    def _say_stale(self, stale: list[Judgement], judgements: list[Judgement]) -> None:
        if not stale:
            return
        roots = [x for x in stale if not x.reason.startswith(INHERITED)] or stale
        self.say("\nSnakemake takes these results to be up to date; their manifests do not:")
        groups = defaultdict(list)
        for judgement in roots:
            groups[judgement.rule, judgement.state].append(judgement)
        for (rule, state), group in groups.items():
            self.say(f"  {words(rule)}, {jobs(len(group))}: {IN_WORDS[state]}: {group[0].reason}")
        if len(roots) < len(stale):
            self.say(f"  and {jobs(len(stale) - len(roots))} made from them")
        targets = " ".join(_targets(roots, judgements))
        self.say(f"To make them anew:\n  {self._command(f'--forcerun {targets}')}")

    def _say_current(self, stale: list[Judgement]) -> None:
        kept = [job for job in self._due if job.by_records_alone]
        agreed = self._judge and not stale and not self._unreadable
        adopt_all = agreed and len(kept) == len(self._due)
        if kept:
            self.say(
                f"\nBy their manifests nothing differs for {len(kept)} of these: only times or "
                "Snakemake's records do.\nTo keep their results as they are:"
            )
            files = "" if adopt_all else "".join(f" {job.outputs[0]}" for job in kept)
            everything = " --forceall" if adopt_all and self._without_records else ""
            self.say(f"  {self._command(f'--touch{everything}{files}')}")
        elif adopt_all and self._without_records:
            self.say(
                f"Snakemake has no records of {self._without_records} of these jobs: make study "
                "would not notice when their code or settings change.\nTo give it records:\n  "
                + self._command("--touch --forceall")
            )

    def _command(self, arguments: str) -> str:
        study = self.study_file.stem if self.study_file else "study"
        return f'make study STUDY={study}{_profile()} ARGS="{arguments}"'


def _profile() -> str:
    """Return the profile that make added to this call, as make takes it."""
    given = dict(pairwise(sys.argv)).get("--profile")
    return f" PROFILE={Path(given).name}" if given else ""


def in_words(job: Due, makers: dict[str, str]) -> tuple[str, str]:
    """Return the one reason of a job that matters most, and what it names, if it names anything."""
    if FORCED in job.reason:
        asked = {job.rule, *job.outputs, "--forceall", "-F", "--force", "-f"} & set(sys.argv)
        return ("asked for by --forcerun" if asked else "left half made by an interrupted run"), ""
    if missing := job.files(MISSING):
        before = job.manifest is not None or any(Path(path).exists() for path in job.outputs)
        return ("an output is missing", missing[0]) if before else ("never made", "")
    if SETTINGS in job.reason:
        return _settings(job)
    if "Set of input files has changed" in job.reason:
        return "it has other inputs than when it was made", ""
    if newer := job.files(NEWER):
        return "an input is newer", newer[0]
    rules = {words(makers[path]) for path in job.files(MADE_ANEW) if path in makers}
    if rules:
        return f"its input from {', '.join(sorted(rules))} will be made anew", ""
    return job.reason, ""


def _settings(job: Due) -> tuple[str, str]:
    changes = job.reason.partition(SETTINGS)[2]
    code = DIGEST.search(changes) is not None
    settings = "{" in changes or "[" in changes or not code
    told = job.manifest is not None and job.manifest.state == "other settings"
    what = " and ".join(["code"] * code + ["settings"] * settings)
    return f"its {what} changed", job.manifest.reason if job.manifest and told else ""


def _join(due: Iterable[Due], by_output: dict[str, Judgement]) -> None:
    """Find the manifest of each job, and the jobs that run although nothing differs.

    Jobs come before those that read their outputs.
    """
    kept: set[str] = set()
    for job in due:
        job.manifest = next((by_output[x] for x in job.outputs if x in by_output), None)
        current = job.manifest is not None and job.manifest.state == "current"
        free = FORCED not in job.reason and MISSING not in job.reason
        if current and free and kept.issuperset(job.files(MADE_ANEW)):
            job.by_records_alone = True
            kept.update(job.outputs)


def _targets(roots: list[Judgement], judgements: list[Judgement]) -> list[str]:
    """Return a rule where all its jobs are meant, else the files."""
    of_rule = Counter(x.rule for x in judgements if x.state != "not asked for")
    meant = Counter(x.rule for x in roots)
    whole = [rule for rule in meant if meant[rule] == of_rule[rule]]
    return [*whole, *(x.output for x in roots if x.rule not in whole)]
