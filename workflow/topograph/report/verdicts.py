"""The claims of a study as they were tested: read, checked and counted for the pages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from topograph.foundation.errors import DataError, nearest
from topograph.foundation.storage import read_table
from topograph.report.cells import rounded
from topograph.report.papers import PAPERS

VERDICTS = ("supported", "not supported", "inconclusive", "not tested")
BASELINE = "as sampled"

_NUMBERS = ("value", "low", "high", "n", "p")
_COLUMNS = {
    "claims": (
        *("claim", "paper", "figure", "source", "sentence", "statistic", *_NUMBERS, "units"),
        *("p_smallest", "p_holm", "rule", "verdict", "note", "command"),
    ),
    "sensitivity": ("claim", "choice", *_NUMBERS, "verdict"),
}


@dataclass(frozen=True)
class Estimate:
    """A statistic with its 95 % interval, over ``n`` units, and its p; NaN where there is none."""

    value: float
    low: float
    high: float
    n: float
    p: float

    @property
    def interval(self) -> str:
        """The interval in words."""
        ends = number(self.low), number(self.high)
        return " to ".join(ends) if all(ends) else ""


@dataclass(frozen=True)
class Claim:
    """A published claim, the statistic that tested it, the rule for its verdict, the verdict."""

    name: str
    paper: str
    figure: str
    source: str
    sentence: str
    statistic: str
    estimate: Estimate
    units: str
    p_smallest: float
    p_holm: float
    rule: str
    verdict: str
    note: str
    command: str


@dataclass(frozen=True)
class Variation:
    """What became of a claim under another choice of the analysis."""

    estimate: Estimate
    verdict: str
    differs: bool
    unchanged: bool


@dataclass(frozen=True)
class Claims:
    """The claims of a study; ``variations`` by claim and choice, ``tables`` as they were read."""

    rows: list[Claim]
    choices: list[str]
    variations: Mapping[str, Mapping[str, Variation]]
    file: Path
    tables: Mapping[str, pd.DataFrame] = field(repr=False, compare=False)

    def of(self, paper: str) -> list[Claim]:
        """Return the claims of a paper, in the order of the table."""
        return [claim for claim in self.rows if claim.paper == paper]


def read_claims(files: Iterable[str | Path]) -> Claims | None:
    """Read the tables of claims and of their sensitivity, in this order; None without files.

    Raises DataError when a table is missing, broken, lacks a column, or names a paper or a verdict
    that there is not.
    """
    paths = [Path(file) for file in files]
    if not paths:
        return None
    tables = {
        name: _table(path, name)
        for name, path in zip(("claims", "sensitivity"), paths, strict=True)
    }
    rows = [_claim(row) for row in tables["claims"].to_dict("records")]
    varied = tables["sensitivity"].to_dict("records")
    choices = dict.fromkeys(str(row["choice"]) for row in varied)
    return Claims(
        rows=rows,
        choices=sorted(choices, key=lambda choice: choice != BASELINE),
        variations={claim.name: _variations(claim, varied) for claim in rows},
        file=paths[0],
        tables=tables,
    )


def number(value: float) -> str:
    """Return a number as the pages show it, nothing for NaN."""
    return "" if math.isnan(value) else rounded(value)


def summary(claims: Iterable[Claim]) -> str:
    """Return in words how many claims were tested and what came of them."""
    counts = verdict_counts(claims)
    total = sum(counts.values())
    untested = counts.pop("not tested")
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    tested = f"{total - untested} of {total} claim{'' if total == 1 else 's'} tested"
    return f"{tested} ({verdicts})" if verdicts else tested


def verdict_counts(claims: Iterable[Claim]) -> dict[str, int]:
    """Return how many claims have each verdict, those that none has among them."""
    found = Counter(claim.verdict for claim in claims)
    return {verdict: found[verdict] for verdict in VERDICTS}


def _table(path: Path, name: str) -> pd.DataFrame:
    table = read_table(path)
    missing = [column for column in _COLUMNS[name] if column not in table]
    if missing:
        raise _foreign(path, f"lacks the columns {', '.join(missing)}")
    allowed = {"verdict": VERDICTS} | ({"paper": tuple(PAPERS)} if name == "claims" else {})
    for column, values in allowed.items():
        for received in table[column].unique():
            if received not in values:
                close = nearest(str(received), values)
                allow = f"allowed: {', '.join(values)}"
                raise _foreign(path, f"has the {column} {received!r}{close}; {allow}")
    return table


def _foreign(path: Path, problem: str) -> DataError:
    return DataError(f"{path} {problem}. Remake it: rm {path} && make {path}")


def _claim(row: Mapping[Any, Any]) -> Claim:
    words = ("paper", "figure", "source", "sentence", "statistic")
    more = ("units", "rule", "verdict", "note", "command")
    return Claim(
        name=_text(row["claim"]),
        estimate=_estimate(row),
        p_smallest=_number(row["p_smallest"]),
        p_holm=_number(row["p_holm"]),
        **{column: _text(row[column]) for column in (*words, *more)},
    )


def _variations(claim: Claim, rows: Iterable[Mapping[Any, Any]]) -> dict[str, Variation]:
    own = {str(row["choice"]): row for row in rows if row["claim"] == claim.name}
    usual = own[BASELINE]["verdict"] if BASELINE in own else claim.verdict
    numbers = _estimate(own[BASELINE]) if BASELINE in own else None
    # What was not tested under another choice says nothing against the verdict.
    same = (usual, "not tested")
    return {
        choice: Variation(
            estimate=(estimate := _estimate(row)),
            verdict=str(row["verdict"]),
            differs=row["verdict"] not in same,
            # In words NaN equals NaN.
            unchanged=choice != BASELINE and repr(estimate) == repr(numbers),
        )
        for choice, row in own.items()
    }


def _estimate(row: Mapping[Any, Any]) -> Estimate:
    return Estimate(**{name: _number(row[name]) for name in _NUMBERS})


def _number(value: Any) -> float:
    return math.nan if pd.isna(value) else float(value)


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)
