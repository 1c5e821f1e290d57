"""Merging what is finished here into the committed tables under reports/published/."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from topograph.archive import claims
from topograph.archive.asked import Asked
from topograph.archive.history import Job, Makers, Sums, read_job
from topograph.archive.lineage import Today, origin, settings_key
from topograph.archive.tables import (
    CLAIMS,
    Row,
    Table,
    as_text,
    csv_text,
    read_published,
    read_rows,
    tables_of,
)
from topograph.config.models import JumpRetrain, Topography
from topograph.config.runs import Member
from topograph.foundation.errors import DataError
from topograph.foundation.provenance import Code, Start, manifest_path, write_manifest
from topograph.foundation.storage import atomic

MADE_UNDER = ("settings", "code", "commit", "current")
CODE = Code(scripts=("workflow/topograph/archive/publish.py",))


@dataclass(frozen=True)
class Published:
    """A table as it stands now: rows in all, those that are current, what it lacks.

    ``kept`` counts the current rows that stay although this machine has finished them, with other
    code or settings.
    """

    path: Path
    rows: int
    current: int
    missing: list[dict[str, Any]]
    kept: int
    written: bool


@dataclass
class _Content:
    """Rows by their keys, what their settings mean, and the sums of the files they come from."""

    rows: dict[tuple[str, ...], Row] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    here: dict[str, str] = field(default_factory=dict)
    elsewhere: dict[str, str] = field(default_factory=dict)
    kept: int = 0


def publish(
    study_file: str | Path, *, results: str | Path = "results", reports: str | Path = "reports"
) -> list[Published]:
    """Merge the finished rows of a study into ``<reports>/published/<study>/<experiment>/``.

    An experiment's ``published`` may name another folder than the study's. The claims that could be
    tested here are merged into ``<study>/claims/`` alike, and ruled over all that were tested.

    A finished row replaces the published one with the same keys, unless only the published one is
    current; rows of cells that are not finished here stay. ``code`` has the rule and digest of each
    job that a row goes back to; ``settings`` is a digest that the manifest spells out; ``current``
    says of every row whether today's code and study would make it so. A table that would not change
    is not written.

    Raises ConfigError for a study that cannot be used, DataError where nothing is finished or
    published, and where a manifest, a result or a published table is broken or was altered.
    """
    publisher = _Publisher(Asked.of(study_file), Path(results), Path(reports))
    found = publisher.all()
    if not any(table.rows for table in found):
        study = publisher.study
        raise DataError(
            f"nothing of {study} is finished in {Path(results) / study} and nothing is published; "
            f"make it first: make study STUDY={study}"
        )
    return found


class _Publisher:
    """One study's tables; manifests, sums and digests are read once for all of them."""

    def __init__(self, asked: Asked, results: Path, reports: Path) -> None:
        self.study = asked.study.study
        self._asked, self._today = asked, Today(asked)
        self._results = results / self.study
        self._target = reports / "published"
        self._makers, self._sums = Makers(), Sums()
        self._tested = claims.Tested(asked, self._today, self._makers, self._sums)

    def all(self) -> list[Published]:
        merged = [
            self._publish(experiment, table)
            for experiment, block in self._asked.study.experiments.items()
            for table in tables_of(block)
        ]
        return [*merged, *(found for table in CLAIMS for found in self._claims(table))]

    def _claims(self, table: Table) -> Iterator[Published]:
        """Merge the claims that were tested here into those that were tested elsewhere."""
        file = self._results / table.stage / table.file
        path = self._target / self.study / table.stage / f"{table.name}.csv"
        content = _published(path, table, self._sums)
        self._add_claims(content, table, file)
        rows = [
            {**row, "current": as_text(self._tested.is_current(row))}
            for row in claims.in_order(content.rows.values())
        ]
        if not rows:
            return
        if table.name == "claims":
            rows = claims.ruled_together(rows)
        values = dict.fromkeys(name for row in rows for name in row)
        text = csv_text([*(n for n in values if n not in MADE_UNDER), *MADE_UNDER], rows)
        written = self._write(path, text, {"study": self.study, "table": table.name}, content)
        current = sum(row["current"] == "true" for row in rows)
        yield Published(path, len(rows), current, [], content.kept, written)

    def _add_claims(self, content: _Content, table: Table, file: Path) -> None:
        """Add the claims that were tested here; one that lacked its tables here stays as it was."""
        job = self._makers(file)
        if job is None or not file.is_file():
            return
        then = self._unaltered(file, job)
        before = _by_test(content.rows)
        found = _by_test({_key(row, table): row for row in self._tested.rows(file, table, job)})
        better = {
            test: rows for test, rows in found.items() if self._is_better(rows, before.get(test))
        }
        kept = {test: rows for test, rows in before.items() if test not in better}
        content.rows = {
            key: row for rows in (*kept.values(), *better.values()) for key, row in rows.items()
        }
        left = [rows for test, rows in found.items() if test not in better]
        content.kept += sum(claims.is_tested(row) for rows in left for row in rows.values())
        if better:
            content.here[str(file)] = then
        if not kept:
            content.elsewhere.pop(str(file), None)

    def _is_better(
        self, found: Mapping[tuple[str, ...], Row], before: Mapping[tuple[str, ...], Row] | None
    ) -> bool:
        """Say whether a claim tested here replaces a published one, which may alone be current."""
        if not before or not any(map(claims.is_tested, before.values())):
            return True
        if not any(map(claims.is_tested, found.values())):
            return False
        current = self._tested.is_current
        return all(map(current, found.values())) or not all(map(current, before.values()))

    def _publish(self, experiment: str, table: Table) -> Published:
        folder = self._asked.study.experiments[experiment].published or self.study
        path = self._target / folder / experiment / f"{table.name}.csv"
        members = {m.cell.run: m for m in self._asked.members if m.experiment == experiment}
        content = _published(path, table, self._sums)
        for run in members:
            self._add(content, table, run, self._seeds(members[run], table))
        rows = [self._judged(row, table, members, content) for row in content.rows.values()]
        rows.sort(key=lambda row: _order(row, table, list(members)))
        missing = self._missing(rows, table, members)
        parameters = {
            "study": self.study,
            "experiment": experiment,
            "table": table.name,
            "missing": missing,
            "settings": {row["settings"]: content.settings.get(row["settings"]) for row in rows},
        }
        text = csv_text(_columns(rows, table, members), rows)
        written = bool(rows) and self._write(path, text, parameters, content)
        current = sum(row["current"] == "true" for row in rows)
        return Published(path, len(rows), current, missing, content.kept, written)

    def _seeds(self, member: Member, table: Table) -> list[str]:
        """Return the seeds that a table has rows of, as text; none where its rows are of a run."""
        # What several networks cost together has no seed of its own.
        if "seed" not in table.keys or table.name.endswith(".methods"):
            return []
        seeds: Sequence[int] = member.cell.seeds
        analysis = self._asked.analyses.get((member.cell.run, table.analysis))
        if isinstance(analysis, JumpRetrain):
            seeds = analysis.weights_seeds or seeds
        elif isinstance(analysis, Topography):
            seeds = seeds[: analysis.networks]
        return [str(seed) for seed in seeds]

    def _missing(
        self, rows: Sequence[Row], table: Table, members: Mapping[str, Member]
    ) -> list[dict[str, Any]]:
        """Return run, label and seed of what the study asks for and the table does not have."""
        there = {(row["run"], seed) for row in rows for seed in (row.get("seed", ""), "")}
        return [
            {"run": run, "label": member.label} | ({"seed": int(seed)} if seed else {})
            for run, member in members.items()
            for seed in self._seeds(member, table) or [""]
            if (run, seed) not in there
        ]

    def _add(self, content: _Content, table: Table, run: str, seeds: Sequence[str]) -> None:
        """Add the rows of a run if the job that leaves them is finished."""
        file = self._results / table.stage / run / table.file
        job = self._makers(file)
        if job is None or not file.is_file():
            return
        then = self._unaltered(file, job)
        made = origin(job, self._makers, table)
        settings = settings_key(made.settings)
        content.settings[settings] = made.settings
        under = {"settings": settings, "code": made.code, "commit": made.commit}
        wanted = [r for r in read_rows(file, table.keys) if not seeds or r["seed"] in seeds]
        found = {_key(row, table): row | under for row in wanted}
        replacing = {k: row for k, row in found.items() if not self._keeps(content, table, k, row)}
        content.rows |= replacing
        content.kept += len(found) - len(replacing)
        if replacing:
            content.here[str(file)] = then
        if len(replacing) == len(found):
            content.elsewhere.pop(str(file), None)

    def _unaltered(self, file: Path, job: Job) -> str:
        """Return the sum of a file; raise DataError if it is not what its job left."""
        then = job.outputs[os.path.abspath(file)]
        if then != self._sums(file):
            raise DataError(
                f"{file} was altered after it was made and is not published; remake it: "
                f"rm {file} && make {file}"
            )
        return then

    def _keeps(self, content: _Content, table: Table, key: tuple[str, ...], row: Row) -> bool:
        """Say whether a published row is better than a finished one: it alone is current."""
        published = content.rows.get(key)
        return (
            published is not None
            and not self._is_current(row, table, content)
            and self._is_current(published, table, content)
        )

    def _is_current(self, row: Row, table: Table, content: _Content) -> bool:
        settings = content.settings.get(row["settings"])
        return self._today.has(row["run"], table, row["code"], settings)

    def _judged(
        self, row: Row, table: Table, members: Mapping[str, Member], content: _Content
    ) -> Row:
        member = members.get(row["run"])
        if member is None:
            return row | {"current": as_text(False)}
        current = self._is_current(row, table, content)
        named = {name: as_text(value) for name, value in member.parameters.items()}
        return row | {"label": member.label, **named, "current": as_text(current)}

    def _write(
        self, path: Path, text: str, parameters: Mapping[str, Any], content: _Content
    ) -> bool:
        """Write a table and its manifest unless both would say the same as before."""
        if path.is_file() and manifest_path(path).is_file():
            before = read_job(manifest_path(path)).content
            same = (before["inputs"], before.get("data"), before.get("parameters"))
            now_said = (content.here, content.elsewhere, parameters)
            if path.read_text("utf-8") == text and same == now_said:
                return False
        start = Start.now(CODE)
        with atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        write_manifest(
            [path],
            rule="publish",
            inputs=content.here,
            parameters=parameters,
            start=start,
            command=f"make publish STUDY={self.study}",
            device="cpu",
            data=content.elsewhere,
        )
        return True


def _published(path: Path, table: Table, sums: Sums) -> _Content:
    """Return what is published already; raise DataError if it is not what publishing left."""
    manifest = manifest_path(path)
    # HEAD has both files also while git takes them for unmerged; without it git refuses them.
    restore = f"git checkout HEAD -- {path} {manifest} (while git merges, MERGE_HEAD for HEAD)"
    if _in_conflict(path) or _in_conflict(manifest):
        raise DataError(
            f"{path} or its manifest has an unresolved conflict of git, and both were left as they "
            f"are; take the other machine's side of both, then publish again: {restore}"
        )
    needed = (*table.keys, *MADE_UNDER, *((claims.ROLES,) if table.stage == "claims" else ()))
    rows = read_published(path, needed)
    content = _Content({_key(row, table): row for row in rows})
    if rows and manifest.is_file():
        job = read_job(manifest)
        if sums(path) not in job.outputs.values():
            raise DataError(
                f"{path} is not what {manifest} says was published, and was left as it is; restore "
                f"both: {restore}. Where publishing was interrupted, rm {manifest} and publish "
                "again"
            )
        content.settings = dict((job.content.get("parameters") or {}).get("settings") or {})
        content.elsewhere = {**job.content["inputs"], **(job.content.get("data") or {})}
    return content


def _in_conflict(path: Path) -> bool:
    return path.is_file() and b"\n<<<<<<< " in b"\n" + path.read_bytes()


def _key(row: Row, table: Table) -> tuple[str, ...]:
    return tuple(row[key] for key in table.keys)


def _by_test(
    rows: Mapping[tuple[str, ...], Row],
) -> dict[tuple[str, str], dict[tuple[str, ...], Row]]:
    """Return the rows of a claim on the same roles together: they come and go as one.

    Choices that are gone must not outlive a new test, nor those on roles that were not tested here
    be lost to it.
    """
    found: dict[tuple[str, str], dict[tuple[str, ...], Row]] = {}
    for key, row in rows.items():
        found.setdefault((row["claim"], row[claims.ROLES]), {})[key] = row
    return found


def _columns(rows: Sequence[Row], table: Table, members: Mapping[str, Member]) -> list[str]:
    """Return run, seed, label, grid axes and keys first, then values, what they were made under."""
    axes = [axis for member in members.values() for axis in member.parameters]
    start = [key for key in ("run", "seed") if key in table.keys]
    first = dict.fromkeys((*start, "label", *axes, *table.keys))
    values = dict.fromkeys(name for row in rows for name in row)
    return [*first, *(n for n in values if n not in {*first, *MADE_UNDER}), *MADE_UNDER]


def _order(row: Row, table: Table, runs: Sequence[str]) -> tuple[Any, ...]:
    """Sort by the study's order of runs, then by keys, numbers by value."""
    place = runs.index(row["run"]) if row["run"] in runs else len(runs)
    return place, *(_number(row[key]) for key in table.keys)


def _number(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return float("inf"), text
