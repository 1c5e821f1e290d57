"""Whether finished results are those that today's code and study would make, by manifests alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from topograph.archive.asked import Asked
from topograph.archive.digests import KnownDigests
from topograph.archive.history import Job, Sums, read_jobs
from topograph.foundation.provenance import Code, canonical_json

State = Literal[
    "current",
    "other code",
    "other settings",
    "other inputs",
    "altered",
    "missing",
    "unknown",
    "not asked for",
]
IN_WORDS: dict[State, str] = {
    "other code": "made by other code",
    "other settings": "made with other settings",
    "other inputs": "made from other inputs",
    "altered": "altered",
    "missing": "incomplete",
    "unknown": "of unknown origin",
    "not asked for": "not asked for",
}
INHERITED = "it goes back to"
SHOWN, LONGEST = 3, 60


@dataclass(frozen=True)
class Judgement:
    """What became of one finished job: its first output, its state, and what differs."""

    rule: str
    output: str
    state: State
    reason: str


def judged(
    study_file: str | Path, *, results: str | Path = "results", reports: str | Path = "reports"
) -> list[Judgement]:
    """Compare the manifest of every finished job of a study with today's code, study and files.

    ``results`` and ``reports`` are the folders of all studies; paths in manifests that start with
    their names are looked for there. A job whose input comes from a job that is not current is
    ``other inputs``, or ``unknown`` where that is all that is known of the input. A data file that
    is not on this machine is taken as unchanged, because data/datasets.csv fixes its content.

    Raises ConfigError for a study that cannot be used, DataError for a manifest that cannot.
    """
    return Judge(Asked.of(study_file), Path(results), Path(reports)).all()


class Judge:
    """The manifests of a study, and the judgements passed on them so far."""

    def __init__(self, asked: Asked, results: Path, reports: Path) -> None:
        self._asked = asked
        self._folders = {"results": results, "reports": reports}
        self._sums = Sums()
        self._digests = KnownDigests()
        self.jobs = read_jobs(*(folder / asked.study.study for folder in self._folders.values()))
        self._made_by = {name: job for job in self.jobs for name in _files(job, "outputs")}
        self._passed: dict[Path, Judgement] = {}

    def all(self) -> list[Judgement]:
        """Judge every job, in the order of their manifests' paths."""
        return [self.of(job) for job in self.jobs]

    def of(self, job: Job) -> Judgement:
        """Judge one job, and before it those that its inputs came from."""
        if job.manifest not in self._passed:
            output = job.first_output
            rule = job.content.get("rule", "unknown")
            found = next(self._findings(job, output), ("current", "nothing differs"))
            self._passed[job.manifest] = Judgement(rule, output, *found)
        return self._passed[job.manifest]

    def _findings(self, job: Job, output: str) -> Iterator[tuple[State, str]]:
        """Yield what differs, the state that matters most first."""
        expected = self._asked.parameters(output)
        if expected is None:
            yield "not asked for", "the study has no such run, analysis or figure any more"
            return
        yield from self._outputs(job)
        recorded, code = job.content.get("parameters"), job.code
        if not isinstance(recorded, Mapping) or code is None:
            yield "unknown", "its manifest does not say which code made it"
            return
        if changes := differences(*_comparable(recorded, expected)):
            yield "other settings", in_words(changes)
        yield from self._code(code)
        yield from self._inputs(job)

    def _outputs(self, job: Job) -> Iterator[tuple[State, str]]:
        found = {name: self._sums(self._place(name)) for name in _files(job, "outputs")}
        for name, now in found.items():
            if now is None:
                yield "missing", f"{name} is no longer there"
        for name, then in _files(job, "outputs").items():
            if found[name] != then:
                yield "altered", f"{name} was altered after it was made"

    def _code(self, recorded: tuple[str, Code]) -> Iterator[tuple[State, str]]:
        digest, code = recorded
        try:
            today = self._digests.of(code)
        except ModuleNotFoundError as error:
            yield "unknown", f"its code cannot be compared: {error}"
            return
        except FileNotFoundError as error:
            yield "other code", f"{error.filename} is no longer there"
            return
        if today != digest:
            yield "other code", f"code {digest} -> {today}"

    def _inputs(self, job: Job) -> Iterator[tuple[State, str]]:
        inputs = _files(job, "inputs")
        for name, then in inputs.items():
            now = self._sums(self._place(name))
            if now is None and not name.startswith("data/"):
                yield "other inputs", f"its input {name} is no longer there"
            elif now not in (then, None):
                yield "other inputs", f"its input {name} has changed"
        makers = {id(maker): maker for name in inputs if (maker := self._made_by.get(name))}
        before = [self.of(maker) for maker in makers.values()]
        for cause in sorted(before, key=lambda found: found.state == "unknown"):
            if cause.state != "current":
                yield _inherited(cause)

    def _place(self, name: str) -> Path:
        top, _, rest = name.partition("/")
        return self._folders[top] / rest if top in self._folders else Path(name)


def _comparable(recorded: Mapping[str, Any], expected: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return what a job was given, and the same today; a rule leaves out keys it does not read."""
    now = {key: expected[key] for key in expected if key in recorded}
    if isinstance(recorded.get("analysis"), Mapping) and "analysis" in now:
        now["analysis"] = {key: now["analysis"].get(key) for key in recorded["analysis"]}
    return {key: recorded[key] for key in now}, now


def _files(job: Job, kind: str) -> dict[str, str]:
    return {os.path.normpath(name): found for name, found in job.content[kind].items()}


def _inherited(cause: Judgement) -> tuple[State, str]:
    """Return what a job that is not current makes of those that read its output."""
    state: State = "unknown" if cause.state == "unknown" else "other inputs"
    if cause.reason.startswith(INHERITED):
        return state, cause.reason
    return state, f"{INHERITED} {cause.output}, which is {IN_WORDS[cause.state]}: {cause.reason}"


def differences(then: Any, now: Any) -> dict[str, tuple[Any, Any]]:
    """Return the values of JSON-like content that differ, old and new, by dotted key."""
    return dict(_differences(then, json.loads(canonical_json(now)), ()))


def _differences(
    then: Any, now: Any, path: tuple[str, ...]
) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*then, *now)):
            yield from _differences(then.get(key), now.get(key), (*path, key))
    elif _same_tables(then, now):
        for place, (old, new) in enumerate(zip(then, now, strict=True)):
            yield from _differences(old, new, (*path, str(place)))
    elif canonical_json(then) != canonical_json(now):
        yield ".".join(path), (then, now)


def _same_tables(then: Any, now: Any) -> bool:
    both = isinstance(then, list) and isinstance(now, list) and len(then) == len(now)
    return both and all(isinstance(value, Mapping) for value in (*then, *now))


def in_words(changes: Mapping[str, tuple[Any, Any]]) -> str:
    """Return the first few differences as ``key: old -> new``, and how many more there are."""
    shown = [f"{key}: {_short(a)} -> {_short(b)}" for key, (a, b) in changes.items()]
    more = len(shown) - SHOWN
    return "; ".join(shown[:SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _short(value: Any) -> str:
    text = "nothing" if value is None else canonical_json(value)
    if len(text) <= LONGEST:
        return text
    return f"{len(value)} entries" if isinstance(value, list) else f"{text[:LONGEST]}…"
