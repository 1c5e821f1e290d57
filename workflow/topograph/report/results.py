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


# A profile and its marks, or why there is none.
Drawn = tuple[pd.DataFrame, pd.DataFrame] | str


class Results:
    """Tables and datasets of the runs that a figure shows, in the order of the study file.

    ``runs`` lists mappings with run, label, parameters and seeds; ``labels`` maps run to label.
    Where ``partial``, tables leave out the runs that are not finished yet.
    """

    def __init__(
        self,
        results: str | Path,
        analysis: str,
        runs: Sequence[dict[str, Any]],
        *,
        partial: bool = False,
    ) -> None:
        self._root, self._analysis, self._partial = Path(results), analysis, partial
        self.runs = list(runs)
        self.labels = {entry["run"]: entry["label"] for entry in runs}

    @property
    def analysis(self) -> str:
        """The name of the analysis in the study file."""
        return self._analysis

    def only(self, run: str) -> Results:
        """Return the results of one run: the tables of a large grid do not fit in memory."""
        entries = [entry for entry in self.runs if entry["run"] == run]
        return Results(self._root, self._analysis, entries, partial=self._partial)

    def described(self) -> dict[str, str]:
        """Return label by run, with the settings behind the name of a variant."""
        return {entry["run"]: _described(entry) for entry in self.runs}

    def table(self, stage: str, name: str) -> pd.DataFrame:
        """Return ``<stage>/<run>/<analysis>.<name>.parquet`` of every run, one below the other."""
        return self._tables(f"{self._analysis}.{name}.parquet", stage)

    def training(self, name: str) -> pd.DataFrame:
        """Return ``train/<run>/<name>.parquet`` of every run: history or metrics."""
        return self._tables(f"{name}.parquet", "train")

    def of_study(self, name: str) -> pd.DataFrame:
        """Return a table of the whole study by its path below the results, without suffix."""
        return read_table(self._root / f"{name}.parquet")

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

    def any_dataset(self, stage: str) -> xr.Dataset:
        """Return the dataset of the first run that is finished: how all of them were sampled.

        Raises DataError, which names the first, where none is.
        """
        there = [
            run
            for run in self.labels
            if (self._root / stage / run / f"{self._analysis}.nc").is_file()
        ]
        return self.dataset(stage, (there or list(self.labels))[0])

    def by_label(self, table: pd.DataFrame, column: str) -> dict[str, list[float]]:
        """Return a column's values over seeds by the label of their run, for ``values.json``."""
        if column not in table:
            return {}
        groups = table.groupby("run", sort=False)[column]
        return {self.labels[str(run)]: values.tolist() for run, values in groups}

    def over_seeds(self, table: pd.DataFrame, column: str) -> pd.DataFrame:
        """Return ``mean`` and ``note`` by run: of a column's finite values, and what they lack.

        The note is empty where every seed asked for has a finite value; else ``3 of 5``, or without
        any ``diverged``, or ``missing`` where the table has no row of the run.
        """
        rows = {}
        for entry in self.runs:
            values = table.loc[table["run"] == entry["run"], column].astype(float)
            finite = values[values.abs() < float("inf")]
            without = "diverged" if len(values) else "missing"
            partly = f"{len(finite)} of {len(entry['seeds'])}"
            note = "" if len(finite) >= len(entry["seeds"]) else partly if len(finite) else without
            rows[entry["run"]] = {"mean": finite.mean(), "note": note}
        return pd.DataFrame.from_dict(rows, orient="index")

    def on_axes(self, values: pd.Series, rows: str, columns: str) -> pd.DataFrame:
        """Return values by run as a table over two parameters; NaN where the grid has no run.

        Raises TopographError where a run lacks one of the parameters or shares both with another.
        """
        lacking = [e["label"] for e in self.runs if not {rows, columns} <= e["parameters"].keys()]
        if lacking:
            raise TopographError(
                f"a grid over {rows} and {columns} cannot hold {lacking[0]!r}, which sets only "
                f"one or none of them; draw an experiment whose grid has both"
            )
        places = pd.DataFrame(
            {
                "row": [entry["parameters"][rows] for entry in self.runs],
                "column": [entry["parameters"][columns] for entry in self.runs],
                "value": [values[entry["run"]] for entry in self.runs],
            }
        )
        if places.duplicated(["row", "column"]).any():
            raise TopographError(
                f"several runs share one {rows} and one {columns}; allowed: one run for each pair. "
                "Draw an experiment whose grid varies nothing else"
            )
        frame = places.pivot(index="row", columns="column", values="value")
        return frame.loc[places["row"].unique(), places["column"].unique()]

    def landscape_numbers(self, names: Sequence[str]) -> pd.DataFrame:
        """Return means over seeds of named quantities of the full grids, a row for each label.

        ``relative_persistence`` is that of `with_relative_persistence`. NaN where a run has none.
        """
        table = with_relative_persistence(finest(self.table("topology", "quantities")))
        means = {name: self.over_seeds(table, name)["mean"] for name in names}
        return pd.DataFrame(means).rename(index=self.described())

    def small_profile(self, row: object, column: object, axes: Sequence[str]) -> Drawn:
        """Return profile and marks of the first seed at two parameters, or why there is none."""
        at = dict(zip(axes, (row, column), strict=True))
        for entry in self.runs:
            if all(entry["parameters"].get(name) == value for name, value in at.items()):
                one = self.only(entry["run"])
                # A run that is not finished has no file, one that diverged has no rows.
                if not one.has("topology", "profile"):
                    return "missing"
                chosen = f"seed == {entry['seeds'][0]}"
                drawn = one.table("topology", "profile").query(chosen)
                marks = one.table("topology", "marks").query(chosen)
                return (drawn, marks) if len(drawn) else "diverged"
        return "missing"

    def has(self, stage: str, name: str) -> bool:
        """Return whether that table of any run is there."""
        file = f"{self._analysis}.{name}.parquet"
        return any((self._root / stage / run / file).is_file() for run in self.labels)

    def commands(self) -> HTML:
        """Return the commands that make each run and the numbers of its landscape, as a table."""
        rows = {
            label: {
                "the network": f"make {self._root}/train/{run}/metrics.parquet",
                "its landscape in numbers": f"make {self._root}/topology/{run}/"
                f"{self._analysis}.quantities.parquet",
            }
            for run, label in self.described().items()
        }
        return captioned(
            pd.DataFrame.from_dict(rows, orient="index"),
            "The command that remakes each cell, from the root of the repository; what it needs "
            "is made first.",
        )

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
        paths = [self._root / stage / run / file for run in self.labels]
        there = [path for path in paths if path.is_file()] if self._partial else paths
        # Without any, the error names the first.
        tables = [read_table(path) for path in there or paths[:1]]
        filled = [table for table in tables if len(table)]
        return pd.concat(filled, ignore_index=True) if filled else tables[0]


def captioned(table: pd.DataFrame, caption: str) -> HTML:
    """Return a table as HTML with its caption, for the last line of a notebook's cell."""
    # Wide cells, such as commands, must not be cut.
    with pd.option_context("display.max_colwidth", None):
        html = table.to_html(border=0, formatters=[_plain] * table.shape[1])
    head, _, rest = html.partition(">")
    return HTML(f"{head}><caption><span>{escape(caption)}</span></caption>{rest}")


def finest(quantities: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of quantities that are of the full grids, not of their subgrids."""
    return quantities[quantities["points"] == quantities["points"].max()]


def best_and_worst(metrics: pd.DataFrame, column: str) -> dict[str, dict[str, int]]:
    """Return the seeds of the lowest and the highest value, by run; one of a single seed.

    A seed without a finite value counts as the highest.
    """
    found = {}
    for run, group in metrics.groupby("run", sort=False):
        order = group.sort_values(column, kind="stable")["seed"].astype(int).tolist()
        found[str(run)] = {"best": order[0]} | ({"worst": order[-1]} if len(order) > 1 else {})
    return found


def with_relative_persistence(quantities: pd.DataFrame) -> pd.DataFrame:
    """Return quantities with ``relative_persistence``: mean_persistence_resolved / loss_range."""
    return quantities.assign(
        relative_persistence=quantities["mean_persistence_resolved"] / quantities["loss_range"]
    )


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


def extent_in_words(landscape: xr.Dataset) -> str:
    """Return how far the grid of a landscape reaches along each direction, for captions."""
    distance = f"{landscape.attrs['distance']:g}"
    if landscape.attrs.get("extent") == "curvature":
        return (
            f"alpha from -{distance} to {distance}, in units of 1 / sqrt(|eigenvalue|) along each "
            "unit eigenvector: the quadratic part of the loss rises alike in every landscape"
        )
    return f"alpha from -{distance} to {distance}"


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


def _described(entry: dict[str, Any]) -> str:
    settings = {k: v for k, v in entry["parameters"].items() if k != "variant"}
    if "variant" not in entry["parameters"] or not settings:
        return str(entry["label"])
    words = [f"{axis.rpartition('.')[2].replace('_', ' ')} {v}" for axis, v in settings.items()]
    return f"{entry['parameters']['variant']}: {', '.join(words)}"


def _plain(value: Any) -> str:
    """Return a number to four figures, a count in full, and anything else as it is."""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4g}"
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def spread(values: pd.Series) -> str:
    """Return ``mean (min … max)`` of a column over seeds, for captions and tables."""
    return f"{values.mean():.3g} ({values.min():.3g} … {values.max():.3g})"


def number_of(count: int, noun: str) -> str:
    """Return ``1 seed`` or ``3 seeds``, for captions."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
