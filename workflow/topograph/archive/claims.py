"""Merging tables of claims: what one machine could test beside what others tested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from topograph.archive.lineage import settings_key
from topograph.archive.tables import Row, as_text
from topograph.claims.ledger import ruled
from topograph.claims.statistics import Test
from topograph.claims.tables import CLAIMS
from topograph.topology.choices import AS_SAMPLED

_PLACES = {claim.id: place for place, claim in enumerate(CLAIMS)}


def read_by(row: Row, roles: Mapping[str, Any]) -> str:
    """Return a digest of the runs and analyses behind the roles that a row was tested on."""
    return settings_key({name: roles.get(name) for name in row["roles"].split()})


def is_tested(row: Row) -> bool:
    """Say whether a claim had the tables that it needs."""
    return row["n"] != "0"


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Return rows in the order of the ledger, without those of claims that it no longer has."""
    known = [row for row in rows if row["claim"] in _PLACES]
    return sorted(known, key=lambda r: (_PLACES[r["claim"]], r.get("choice", "") != AS_SAMPLED))


def ruled_together(rows: list[Row]) -> list[Row]:
    """Return rows of claims with Holm's correction, and so the verdicts, over all of them."""
    numbers = {name: pd.to_numeric([row[name] for row in rows]) for name in Test._fields}
    found = ruled(CLAIMS, pd.DataFrame(rows).assign(**numbers)).to_dict("records")
    changed = ("p_holm", "verdict", "note")
    return [
        {**row, **{name: as_text(now[name]) for name in changed}}
        for row, now in zip(rows, found, strict=True)
    ]
