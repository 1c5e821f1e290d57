"""Small tables of finished runs, by the role they play in a comparison or a claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from topograph.foundation.storage import read_table


def read_tables(results: Path, roles: Mapping[str, Mapping[str, Any]]) -> dict[str, pd.DataFrame]:
    """Return the tables of each role, with the grid's axes as columns.

    ``results`` is the study's folder; ``roles`` maps a role to the ``table`` of a ``stage`` that it
    reads, the name of the ``analysis`` and the ``runs`` (run, parameters) of its experiment. Tables
    are named ``<role>.metrics`` and ``<role>.<table>``. Raises DataError for what is not there.
    """
    found = {}
    for role, source in roles.items():
        runs, table = source["runs"], source["table"]
        file = f"{source['analysis']}.{table}.parquet"
        found[f"{role}.metrics"] = _table(results / "train", "metrics.parquet", runs)
        found[f"{role}.{table}"] = _table(results / source["stage"], file, runs)
    return found


def _table(folder: Path, file: str, runs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    parts = []
    for entry in runs:
        rows = read_table(folder / entry["run"] / file)
        axes = {key: value for key, value in entry["parameters"].items() if key != "variant"}
        parts.append(rows[rows["seed"].isin(entry["seeds"])].assign(**axes))
    return pd.concat(parts).sort_values(["run", "seed"], kind="stable", ignore_index=True)
