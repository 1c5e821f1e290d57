"""What a published row was made under: the code of its jobs, and the settings of its analysis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from topograph.archive.asked import Asked
from topograph.archive.digests import KnownDigests
from topograph.archive.history import Job, Makers
from topograph.archive.tables import Table
from topograph.foundation.provenance import Code, canonical_json, digest

UNKNOWN = "unknown"
SEEDS = "cell.seeds"


class Origin(NamedTuple):
    """The code and settings that a job and those before it were made under.

    ``code`` is ``rule:digest`` for each, the last job first; ``settings`` is the analysis as far as
    they were given it, empty for training, which the run's id stands for. A table without a row for
    each seed has the cell's seeds among its settings too.
    """

    code: str
    settings: Mapping[str, Any]
    commit: str


def origin(job: Job, makers: Makers, table: Table) -> Origin:
    """Follow a job's inputs to the first job; an input made anew since has an unknown origin."""
    codes: dict[str, None] = {}
    settings: dict[str, Any] = {}
    for found in _lineage(job, makers):
        recorded = found.code if found else None
        codes[f"{found.rule}:{recorded[0]}" if found and recorded else UNKNOWN] = None
        given = found.content.get("parameters", {}) if found else {}
        seeds = _seeds(table, given["cell"]["seeds"]) if "cell" in given else {}
        for key, value in {**(given.get("analysis") or {}), **seeds}.items():
            if settings.setdefault(key, value) != value:
                codes[UNKNOWN] = None
    return Origin(" ".join(codes), settings, str(job.content.get("commit", UNKNOWN)))


def _seeds(table: Table, seeds: Sequence[int]) -> dict[str, Any]:
    """Return the setting that the cell's seeds are to a table whose rows are taken over them."""
    return {} if "seed" in table.keys else {SEEDS: list(seeds)}


def _lineage(job: Job, makers: Makers) -> Iterator[Job | None]:
    """Yield a job and those before it, nearest first; None for one that cannot be told."""
    pending: list[Job | None] = [job]
    seen: set[Job | None] = set()
    while pending:
        found = pending.pop(0)
        if found in seen:
            continue
        seen.add(found)
        yield found
        for name, then in found.inputs.items() if found else ():
            maker = makers(name)
            # Downloaded data have a sum of their own, whatever code fetched them.
            if maker is not None and maker.rule != "fetch_data":
                pending.append(maker if maker.outputs[name] == then else None)


class Today:
    """Whether rows were made by today's code and the settings that the study has today."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._digests = KnownDigests()

    def has(self, run: str, table: Table, code: str, settings: Mapping[str, Any] | None) -> bool:
        """Say whether a row is current; ``settings`` is None where they are not known any more."""
        cell, chosen = self._asked.cells.get(run), self._asked.analyses.get((run, table.analysis))
        if cell is None or settings is None or (table.analysis and chosen is None):
            return False
        seeds = _seeds(table, cell.seeds)
        now = {**(chosen.model_dump() if chosen else {}), **seeds}
        # A row that does not say its seeds may be of any.
        then = {**dict.fromkeys(seeds), **settings}
        same = canonical_json({key: now.get(key) for key in then}) == canonical_json(then)
        modules = tuple(cell.modules)
        return same and all(self._is_todays(part, modules) for part in code.split(" "))

    def has_code(self, parts: Iterable[str], runs: Iterable[str]) -> bool:
        """Say whether every ``rule:digest`` is of today's code with the modules of some run."""
        cells = [self._asked.cells[run] for run in runs if run in self._asked.cells]
        modules = {(), *(tuple(cell.modules) for cell in cells)}
        return all(any(self._is_todays(part, m) for m in modules) for part in parts)

    def _is_todays(self, part: str, modules: tuple[str, ...]) -> bool:
        rule, _, then = part.partition(":")
        script = (f"workflow/scripts/{rule}.py",)
        # Only rules that are given a cell have its modules in their digest.
        return then in (self._digest(Code(modules, script)), self._digest(Code((), script)))

    def _digest(self, code: Code) -> str:
        try:
            return self._digests.of(code)
        except (ModuleNotFoundError, FileNotFoundError):
            return "none today"


def settings_key(settings: Mapping[str, Any]) -> str:
    """Return a digest of settings, empty for none."""
    return digest(dict(settings)) if settings else ""
