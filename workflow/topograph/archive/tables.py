"""The small tables of finished runs: which there are, their rows as text, the CSV they go into."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from topograph.config.models import METHODS
from topograph.config.study import Experiment
from topograph.foundation.errors import DataError
from topograph.foundation.provenance import canonical_json
from topograph.foundation.storage import read_dataset, read_table

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, str]


class Table(NamedTuple):
    """A published table: its name, the file of each run that it is read from, its keys.

    ``analysis`` is empty for what training leaves.
    """

    name: str
    stage: str
    file: str
    keys: tuple[str, ...]
    analysis: str = ""


def tables_of(experiment: Experiment) -> list[Table]:
    """Return the tables that the runs of an experiment leave when all its analyses are finished."""
    found = [Table("metrics", "train", "metrics.parquet", ("run", "seed"))]
    for analysis, chosen in experiment.analyses.items():
        for name, stage, suffix, keys in _TABLES[chosen.kind]:
            found.append(
                Table(f"{analysis}.{name}", stage, f"{analysis}{suffix}", ("run", *keys), analysis)
            )
    return found


CLAIMS = (
    Table("claims", "claims", "claims.parquet", ("claim",)),
    Table("sensitivity", "claims", "sensitivity.parquet", ("claim", "choice")),
)
_LANDSCAPE = (
    ("quantities", "topology", ".quantities.parquet", ("seed", "epoch", "points")),
    ("variability", "topology", ".variability.parquet", ("epoch", "measure")),
)
_SPECTRA = (("quantities", "spectrum", ".quantities.parquet", ("seed", "epoch")),)
_JUMPS = (
    ("quality", "embedding", ".quality.parquet", ("seed", "method")),
    ("statistics", "homology", ".statistics.parquet", ("seed", "mode", "filtration")),
    ("returns", "trajectory", ".nc", ("seed", "ray", "step")),
)
_BASELINES = (("summary", "baselines", ".summary.parquet", ("seed", "kind", "quantile")),)
_METHOD_KEYS = {
    "methods": ("seed", "method", "part"),
    "shape": ("seed", "plane"),
    "card": ("seed",),
    "critical": ("seed", "directions", "dimensions", "index"),
}
_TABLES = {
    "landscape": _LANDSCAPE,
    "spectrum": _SPECTRA,
    "jump-retrain": _JUMPS,
    "baselines": _BASELINES,
    **{
        kind: tuple((table, kind, f".{table}.parquet", _METHOD_KEYS[table]) for table in tables)
        for kind, tables in METHODS.items()
    },
}


def read_rows(path: Path, keys: Sequence[str]) -> list[Row]:
    """Return the rows of a run's file as text, numbers to nine digits.

    A trajectory gives a row for each seed, ray and step: what it returned to at the last epoch.
    Raises DataError for a file that is broken, lacks a key, or has two rows with the same keys.
    """
    table = _at_last_epoch(path) if path.suffix == ".nc" else read_table(path)
    rows = [{str(k): as_text(v) for k, v in row.items()} for row in table.to_dict("records")]
    if rows and (lacking := [key for key in keys if key not in rows[0]]):
        raise DataError(f"{path} has no column {', '.join(lacking)}; remake it: make {path}")
    if len({tuple(row[key] for key in keys) for row in rows}) < len(rows):
        raise DataError(f"{path} has several rows of the same {', '.join(keys)}; make {path} again")
    return rows


def _at_last_epoch(path: Path) -> pd.DataFrame:
    dataset = read_dataset(path)
    dims = ("seed", "ray", "step")
    try:
        names = [name for name, found in dataset.items() if found.dims == (*dims, "epoch")]
        last = dataset[names].isel(epoch=-1, drop=True)
        last["jump_test_loss"] = dataset["test_loss"].isel(epoch=0, drop=True)
        last["diverged"] = dataset["diverged"]
        table = last.to_dataframe(dim_order=dims).reset_index()
    except (KeyError, ValueError) as error:
        raise DataError(f"{path} is not a trajectory ({error}); remake it: make {path}") from error
    return table.assign(run=dataset.attrs.get("run", path.parent.name))


def as_text(value: Any) -> str:
    """Return a value as it stands in a published table; what is not a number is empty."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.9g}"
    return value if isinstance(value, str) else canonical_json(value)


def read_published(path: Path, needed: Sequence[str]) -> list[Row]:
    """Return the rows of a published table, none where there is no such file yet.

    Raises DataError for a file that is cut off or lacks a needed column.
    """
    if not path.is_file():
        return []
    try:
        text = path.read_text(encoding="utf-8")
        header, *lines = list(csv.reader(io.StringIO(text, newline=""))) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise _unusable(path, str(error)) from error
    if lacking := [name for name in needed if name not in header]:
        raise _unusable(path, f"no column {', '.join(lacking)}")
    if not text.endswith("\n") or any(len(line) != len(header) for line in lines):
        raise _unusable(path, "it is cut off")
    return [dict(zip(header, line, strict=True)) for line in lines]


def _unusable(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} is not a published table ({why}) and was left as it is; restore it: "
        f"git checkout -- {path}"
    )


def csv_text(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """Return rows as CSV; what a row does not have is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
