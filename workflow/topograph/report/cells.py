"""The trained cells of a study: what was asked of each, and what its training reached."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from topograph.foundation.errors import DataError
from topograph.foundation.storage import read_table

_INDEX_COLUMNS = ("experiment", "run", "label", "parameters", "seeds")
_METRICS_COLUMNS = ("run", "seed", "diverged")


@dataclass(frozen=True)
class Spread:
    """A metric over the ``count`` seeds that did not diverge."""

    mean: float
    low: float
    high: float
    count: int

    @property
    def range(self) -> str:
        """The smallest and the largest value in words."""
        return f"{rounded(self.low)} to {rounded(self.high)}" if self.count > 1 else "one seed"


@dataclass(frozen=True)
class TrainedCell:
    """One cell of one experiment; metrics by the name of their column."""

    experiment: str
    run: str
    label: str
    parameters: Mapping[str, str]
    seeds: list[int]
    trained: int
    diverged: int
    metrics: Mapping[str, Spread]


def read_cells(results: Path) -> list[TrainedCell]:
    """Return every cell of every experiment, in the order of ``<results>/index.parquet``.

    Raises DataError when that index or the metrics of a run are missing or broken.
    """
    path = results / "index.parquet"
    rows = read_columns(path, _INDEX_COLUMNS).to_dict("records")
    tables = {
        run: read_columns(results / "train" / run / "metrics.parquet", _METRICS_COLUMNS)
        for run in {str(row["run"]) for row in rows}
    }
    return [_cell(row, tables[row["run"]], path) for row in rows]


def by_experiment(cells: Iterable[TrainedCell]) -> dict[str, list[TrainedCell]]:
    """Return the cells of each experiment, both in the order given."""
    found: dict[str, list[TrainedCell]] = {}
    for cell in cells:
        found.setdefault(cell.experiment, []).append(cell)
    return found


def metrics_of(cells: Iterable[TrainedCell]) -> list[str]:
    """Return the metrics that any of the cells has, each once."""
    return list(dict.fromkeys(name for cell in cells for name in cell.metrics))


def rounded(value: float) -> str:
    """Return a number to three figures, a large one in full."""
    return f"{value:.3g}" if abs(value) < 1000 or abs(value) >= 1e6 else f"{value:.0f}"


def in_words(name: str) -> str:
    """Return a column's or a parameter's name as a heading."""
    words = name.rpartition(".")[2].replace("_", " ")
    return words.replace("iou", "IoU") if words.startswith("iou") else words.capitalize()


def read_columns(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read a table; raise DataError where it is missing, broken or lacks one of the columns."""
    table = read_table(path)
    missing = [name for name in columns if name not in table]
    if missing:
        raise DataError(
            f"{path} lacks the columns {', '.join(missing)}; it has "
            f"{', '.join(map(str, table.columns))}. Remake it: rm {path} && make {path}"
        )
    return table


def _cell(row: Mapping[Any, Any], metrics: pd.DataFrame, index: Path) -> TrainedCell:
    diverged = metrics["diverged"].astype(bool)
    kept = metrics[~diverged].drop(columns=list(_METRICS_COLUMNS)).select_dtypes("number")
    spreads = {str(name): _spread(values.dropna()) for name, values in kept.items()}
    try:
        parameters = json.loads(row["parameters"])
        return TrainedCell(
            experiment=row["experiment"],
            run=row["run"],
            label=row["label"],
            parameters={name: str(value) for name, value in parameters.items()},
            seeds=list(json.loads(row["seeds"])),
            trained=len(metrics),
            diverged=int(diverged.sum()),
            metrics={name: spread for name, spread in spreads.items() if spread is not None},
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{index}: the run {row['run']} has the parameters {row['parameters']!r} and the seeds "
            f"{row['seeds']!r}, not the JSON text of a mapping and of a list; remake it: "
            f"rm {index} && make {index}"
        ) from error


def _spread(values: pd.Series) -> Spread | None:
    if values.empty:
        return None
    return Spread(float(values.mean()), float(values.min()), float(values.max()), len(values))
