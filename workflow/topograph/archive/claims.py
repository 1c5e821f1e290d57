"""Merging tables of claims: what one machine could test beside what others tested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from topograph.archive.asked import Asked
from topograph.archive.history import Job, Makers, Sums
from topograph.archive.lineage import UNKNOWN, Today, origin, settings_key
from topograph.archive.tables import Row, Table, as_text, read_rows
from topograph.claims.ledger import ruled
from topograph.claims.statistics import Test
from topograph.claims.tables import CLAIMS, code_of
from topograph.config.runs import claims_roles, entries
from topograph.topology.choices import AS_SAMPLED

ROLES = "roles"
CODE = "code"
_PLACES = {claim.id: place for place, claim in enumerate(CLAIMS)}


class Tested:
    """Which rows of claims are current: today's claims on today's tables of today's study."""

    def __init__(self, asked: Asked, today: Today, makers: Makers, sums: Sums) -> None:
        self._asked, self._today, self._makers, self._sums = asked, today, makers, sums
        self._roles = claims_roles(asked.study, entries(asked.members))
        self._codes = {claim.id: f"claims:{code_of(claim)}" for claim in CLAIMS}

    def rows(self, file: Path, table: Table, job: Job) -> list[Row]:
        """Return the rows that a job left, each with what it was made under.

        ``code`` is that of the claim and of the jobs behind the tables that a row was tested on,
        ``unknown`` where one was made anew since or is not what the study asks for today;
        ``settings`` is a digest of the runs, seeds and analyses that play its roles.
        """
        then = job.content.get("parameters", {}).get("roles", {})
        codes = {role: self._code(role, source, job) for role, source in then.items()}
        commit = str(job.content.get("commit", UNKNOWN))
        found = []
        for row in read_rows(file, (*table.keys, ROLES, CODE)):
            read = [codes[role] for role in row[ROLES].split() if role in codes]
            parts = " ".join([f"claims:{row[CODE]}", *read]).split(" ")
            under = {"settings": self._settings(row, then), CODE: " ".join(dict.fromkeys(parts))}
            found.append({**row, **under, "commit": commit})
        return found

    def is_current(self, row: Row) -> bool:
        """Say whether today's code and study would test a row so."""
        names = [role for role in row[ROLES].split() if role in self._roles]
        runs = {entry["run"] for role in names for entry in self._roles[role]["runs"]}
        same = row["settings"] == self._settings(row, self._roles)
        own, *behind = row[CODE].split(" ")
        tested = own == self._codes.get(row["claim"])
        return same and tested and self._today.has_code(behind, runs)

    def _settings(self, row: Row, roles: Mapping[str, Any]) -> str:
        """Return a digest of a row's roles, with the analyses as the study has them today."""
        read: dict[str, Any] = {}
        for role in row[ROLES].split():
            source = roles.get(role, {})
            runs = [entry["run"] for entry in source.get("runs", [])]
            asked = [self._asked.analyses.get((run, source.get("analysis", ""))) for run in runs]
            read[role] = [source, [one.model_dump() if one else None for one in asked]]
        return settings_key(read)

    def _code(self, role: str, source: Mapping[str, Any], job: Job) -> str:
        """Return the codes behind the tables of a role, ``unknown`` if one is not today's."""
        codes: dict[str, None] = {}
        for file, table, run in _tables(source):
            inputs = [name for name in job.inputs if name.endswith(file)]
            for name in inputs:
                maker = self._makers(Path(name))
                if maker is None or self._sums(Path(name)) != job.inputs[name]:
                    return UNKNOWN
                made = origin(maker, self._makers, table)
                if not self._today.has(run, table, made.code, made.settings):
                    return UNKNOWN
                codes |= dict.fromkeys(made.code.split(" "))
        return " ".join(codes)


def _tables(source: Mapping[str, Any]) -> Iterator[tuple[str, Table, str]]:
    """Yield the end of the path, the kind and the run of each table that plays a role."""
    analysis, name, stage = source["analysis"], source["table"], source["stage"]
    for run in dict.fromkeys(entry["run"] for entry in source["runs"]):
        file = f"{stage}/{run}/{analysis}.{name}.parquet"
        yield file, Table(f"{analysis}.{name}", stage, file, ("seed",), analysis), run
        file = f"train/{run}/metrics.parquet"
        yield file, Table("metrics", "train", file, ("seed",)), run


def is_tested(row: Row) -> bool:
    """Say whether a claim had the tables that it needs."""
    return row["n"] != "0"


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Return rows in the order of the ledger, without those of claims that it no longer has."""
    known = [row for row in rows if row["claim"] in _PLACES]
    return sorted(known, key=lambda r: (_PLACES[r["claim"]], r.get("choice", "") != AS_SAMPLED))


def ruled_together(rows: list[Row]) -> list[Row]:
    """Return rows of claims with Holm's correction, and so the verdicts, over all current ones.

    What other code tested keeps the verdict that it had: it may be of another statistic.
    """
    places = [place for place, row in enumerate(rows) if row["current"] == "true"]
    if not places:
        return rows
    chosen = [rows[place] for place in places]
    numbers = {name: pd.to_numeric([row[name] for row in chosen]) for name in Test._fields}
    found = ruled(CLAIMS, pd.DataFrame(chosen).assign(**numbers)).to_dict("records")
    changed = ("p_holm", "verdict", "note")
    merged = list(rows)
    for place, now in zip(places, found, strict=True):
        merged[place] = {**rows[place], **{name: as_text(now[name]) for name in changed}}
    return merged
