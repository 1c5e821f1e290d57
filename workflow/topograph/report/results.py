"""What a notebook draws from: the results of one analysis over the runs of one experiment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from IPython.display import HTML

from topograph.foundation.errors import TopographError
from topograph.foundation.storage import read_dataset, read_table
from topograph.topology.resolution import undersampled

DISTANCES = {
    "bottleneck": "bottleneck (loss)",
    "bottleneck_scaled": "bottleneck (range 1)",
    "wasserstein_scaled": "Wasserstein (range 1)",
    "width_curve": "width curves",
}


class Results:
    """Tables and datasets of the runs that a figure shows, in the order of the study file.

    ``runs`` lists mappings with run, label, parameters and seeds; ``labels`` maps run to label.
    """

    def __init__(self, results: str | Path, analysis: str, runs: Sequence[dict[str, Any]]) -> None:
        self._root, self._analysis = Path(results), analysis
        self.runs = list(runs)
        self.labels = {entry["run"]: entry["label"] for entry in runs}

    def table(self, stage: str, name: str) -> pd.DataFrame:
        """Return ``<stage>/<run>/<analysis>.<name>.parquet`` of every run, one below the other."""
        return self._tables(f"{self._analysis}.{name}.parquet", stage)

    def training(self, name: str) -> pd.DataFrame:
        """Return ``train/<run>/<name>.parquet`` of every run: history or metrics."""
        return self._tables(f"{name}.parquet", "train")

    def predictions(self, run: str, *needed: str) -> xr.Dataset:
        """Return the predictions of one run; raise TopographError where they lack what is needed.

        Names of variables and of dimensions may be needed.
        """
        found = read_dataset(self._root / "train" / run / "predictions.nc")
        lacking = [name for name in needed if name not in {*found.variables, *found.dims}]
        if lacking:
            raise TopographError(
                f"this notebook draws {', '.join(needed)} and the predictions of "
                f"{self.labels[run]} ({run}) have no {', '.join(lacking)}; use the notebook "
                "'profiles', which draws the landscapes of any family"
            )
        return found

    def dataset(self, stage: str, run: str) -> xr.Dataset:
        """Return ``<stage>/<run>/<analysis>.nc`` of one run."""
        return read_dataset(self._root / stage / run / f"{self._analysis}.nc")

    def by_label(self, table: pd.DataFrame, column: str) -> dict[str, list[float]]:
        """Return a column's values over seeds by the label of their run, for ``values.json``."""
        if column not in table:
            return {}
        groups = table.groupby("run", sort=False)[column]
        return {self.labels[str(run)]: values.tolist() for run, values in groups}

    def minima_on_subgrids(self, quantities: pd.DataFrame) -> HTML:
        """Return minima on the grid and its subgrids as a table that judges the grid.

        A row for each run, and epoch where there are several, by points per axis. The grid
        undersamples where the total still changes from the next coarser one.
        """
        rows = {}
        for label, group in self._groups(quantities):
            cells = {
                f"points = {points}": f"{some['minima_resolved'].mean():.4g} of "
                f"{some['minima'].mean():.4g}"
                for points, some in group.groupby("points")
            }
            rows[label] = cells | {"the grid": _judged(group)}
        return captioned(
            pd.DataFrame.from_dict(rows, orient="index"),
            "Minima that the arithmetic resolves, of all: means over seeds, on the grid and its "
            "subgrids. Where the count still changes, the grid undersamples the landscape.",
        )

    def differences_between_seeds(self) -> HTML:
        """Return how far the landscapes of a run's seeds lie apart, with intervals, as a table."""
        table = self.table("topology", "variability")
        rows = {
            label: {
                DISTANCES[row["measure"]]: f"{row['mean']:.3g}"
                + ("" if isnan(row["low"]) else f" ({row['low']:.3g} … {row['high']:.3g})")
                for row in group.to_dict("records")
            }
            for label, group in self._groups(table)
        }
        return captioned(
            pd.DataFrame.from_dict(rows, orient="index"),
            f"Mean distance between the landscapes of {table['landscapes'].max()} seeds; in "
            "brackets 95 % of means over seeds drawn again, where there are 3 or more.",
        )

    def _groups(self, table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield the rows of each run, and epoch where there are several, with their label."""
        several = table["epoch"].nunique() > 1
        for (run, epoch), group in table.groupby(["run", "epoch"], sort=False):
            label = self.labels[str(run)]
            yield f"{label}, epoch {epoch}" if several else label, group

    def _tables(self, file: str, stage: str) -> pd.DataFrame:
        tables = [read_table(self._root / stage / run / file) for run in self.labels]
        filled = [table for table in tables if len(table)]
        return pd.concat(filled, ignore_index=True) if filled else tables[0]


def captioned(table: pd.DataFrame, caption: str) -> HTML:
    """Return a table as HTML with its caption, for the last line of a notebook's cell."""
    html = table.to_html(border=0, formatters=[_plain] * table.shape[1])
    head, _, rest = html.partition(">")
    return HTML(f"{head}><caption>{escape(caption)}</caption>{rest}")


def sampling_in_words(landscape: xr.Dataset) -> str:
    """Return the directions, their scale and the data of a landscape, for captions."""
    asked = landscape.attrs
    hessian = asked["directions"] == "hessian"
    scale = {"none": "of unit norm" if hessian else "not normalised"}.get(
        asked["normalization"], f"normalised by {asked['normalization']}"
    )
    kind = "top Hessian eigenvectors" if hessian else "random directions"
    examples = asked["examples"]
    data = "all training points" if examples == "all" else f"{examples} training examples"
    term = " with the decay term" if asked["objective"] == "regularised" else ""
    norm = "; batch norm recalibrated" if asked["batch_norm"] == "recalibrated" else ""
    loss = f"the mean over {data}{term}, in {asked['dtype']}{norm}"
    return f"{asked['dimensions']} {kind} ({scale}; {loss})"


def connectivity_in_words(quantities: pd.DataFrame) -> str:
    """Return which vertices are neighbours in the trees of a table, for captions."""
    name = str(quantities["connectivity"].iloc[0])
    if not name.startswith("mutual-knn"):
        return f"{name} connectivity"
    return (
        f"{name}, ties between equally near vertices drawn by a seed (ties by index would leave "
        "the axis neighbours alone in three and more dimensions)"
    )


def _judged(quantities: pd.DataFrame) -> str:
    """Return in words in how many landscapes the finest two grids disagree on the minima."""
    each = [
        dict(zip(one["points"], one["minima"], strict=True))
        for _, one in quantities.dropna(subset=["minima"]).groupby("seed")
    ]
    if not any(len(counts) > 1 for counts in each):
        return "has no subgrid"
    changing = sum(undersampled(counts) for counts in each)
    return f"undersamples {changing} of {len(each)} landscapes" if changing else "suffices"


def _plain(value: Any) -> str:
    """Return a number to four figures, a count in full, and anything else as it is."""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4g}"
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def spread(values: pd.Series) -> str:
    """Return ``mean (min … max)`` of a column over seeds, for captions and tables."""
    return f"{values.mean():.3g} ({values.min():.3g} … {values.max():.3g})"
