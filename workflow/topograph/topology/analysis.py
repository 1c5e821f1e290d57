"""The topology of a study's landscapes: trees, diagrams, profiles and numbers as tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from topograph.config.models import Landscape
from topograph.config.runs import Cell
from topograph.foundation.storage import read_dataset, read_weights, write_table
from topograph.topology.choices import under_choices
from topograph.topology.critical import counts_by_index
from topograph.topology.merge_tree import MergeTree, merge_tree
from topograph.topology.persistence import persistence
from topograph.topology.profile import profile
from topograph.topology.quantities import quantities
from topograph.topology.resolution import resolved
from topograph.topology.variability import variability

TABLES = ("pairs", "diagram", "profile", "marks", "tree", "quantities", "choices", "variability")
ERRORS = ("error_absolute", "error_relative")
COARSEST = 5
# More basins than this no picture can show.
MOST_DRAWN = 500


def write_topology(
    cell: Cell,
    analysis: Landscape,
    *,
    weights: str | Path,
    landscape: str | Path,
    directions: str | Path,
    tables: Mapping[str, str | Path],
) -> None:
    """Write the tables of a cell's landscapes, each of ``TABLES`` to its path.

    Losses in a short type are measured against float64 at every birth and death first.
    """
    dataset = read_dataset(landscape)
    if analysis.dtype != "float64":
        # Imported here: a landscape in float64 needs no network, and torch takes seconds to load.
        from topograph.landscape.analysis import Landscapes, measured_again

        vertices = critical_vertices(dataset, analysis.connectivity)
        vectors, _ = read_weights(directions) if vertices else ({}, {})
        found = Landscapes(dataset, vectors)
        dataset = measured_again(cell, analysis, weights, found, vertices)
    for name, table in landscape_topology(dataset, analysis.connectivity).items():
        write_table(tables[name], table)


def critical_vertices(dataset: xr.Dataset, connectivity: str) -> dict[tuple[int, int], np.ndarray]:
    """Return the births and deaths of every landscape with a finite value, by (seed, epoch)."""
    found = {}
    for epoch in dataset["epoch"].values:
        for seed in dataset["seed"].values:
            values = dataset["loss"].sel(seed=seed, epoch=epoch).values
            if np.isfinite(values).any():
                pairs = merge_tree(values, connectivity).pairs
                ends = pairs[["birth_vertex", "death_vertex"]].to_numpy().ravel()
                found[int(seed), int(epoch)] = ends[ends >= 0]
    return found


def landscape_topology(dataset: xr.Dataset, connectivity: str) -> dict[str, pd.DataFrame]:
    """Return the tables of every seed and epoch of a landscape, long form.

    ``pairs``, ``profile``, ``marks`` and ``tree`` are of the merge tree with the connectivity
    named, ``resolved`` where the landscape's measured errors cannot explain the pair; ``diagram``
    is that of the vertex construction (the axis connectivity), by GUDHI; ``quantities`` holds a row
    for the grid and one for each subgrid of every 2nd, 4th, … vertex, by ``points``;
    ``choices`` holds a row for each other way to analyse the same grid; ``variability`` compares
    the seeds of each epoch. A landscape without a finite value has no rows
    but one of ``quantities``, all NaN, with ``diverged`` 1.
    """
    collected: list[dict[str, pd.DataFrame]] = []
    for epoch in dataset["epoch"].values:
        trees = []
        keys = {"run": dataset.attrs["run"], "epoch": int(epoch)}
        for seed in dataset["seed"].values:
            one = dataset.sel(seed=seed, epoch=epoch)
            values = one["loss"].values
            errors = {name: float(one[name]) for name in ERRORS}
            if np.isfinite(values).any():
                trees.append(merge_tree(values, connectivity))
                tables = _tables(trees[-1], connectivity, errors)
            else:
                tables = _diverged(values, connectivity)
            collected.append({name: t.assign(**keys, seed=int(seed)) for name, t in tables.items()})
        named = trees[0].connectivity if trees else connectivity
        between = variability(trees).assign(**keys, connectivity=named)
        collected.append({"variability": between})
    return {
        name: pd.concat([tables[name] for tables in collected if name in tables]) for name in TABLES
    }


def _tables(
    tree: MergeTree, connectivity: str, errors: Mapping[str, float]
) -> dict[str, pd.DataFrame]:
    values = tree.values.reshape(tree.shape)
    numbers = [
        {"points": len(grid), "diverged": 0, **_numbers(grid, connectivity, errors)}
        for grid in _subgrids(values)
    ]
    tables = _flagged(tree, errors) | {
        "diagram": _diagram(values),
        "quantities": pd.DataFrame(numbers),
    }
    named = {name: table.assign(connectivity=tree.connectivity) for name, table in tables.items()}
    return named | {"choices": under_choices(values, connectivity, errors)}


def _diagram(values: np.ndarray) -> pd.DataFrame:
    """Return the diagrams of every dimension below that of the grid, above 3 axes of H0 alone.

    A cubical complex has 2^n cells a vertex; H0 is that of the merge tree on the same neighbours.
    """
    if values.ndim <= 3:
        return persistence(values, construction="vertices", dims=range(values.ndim))
    ends = merge_tree(values, "axis").pairs[["birth", "death"]].assign(dim=0)
    return ends.sort_values(["birth", "death"], ignore_index=True)[["dim", "birth", "death"]]


def _flagged(tree: MergeTree, errors: Mapping[str, float]) -> dict[str, pd.DataFrame]:
    """Return the tables of the tree with a column that says what is resolved.

    Those that are drawn are of its most persistent minima, where they are too many for a picture.
    """
    shape, pairs = profile(tree.largest(MOST_DRAWN)), tree.pairs
    kept = resolved(pairs, errors)
    # A branch is that of its minimum; a saddle is resolved if a resolved pair ends there.
    births, deaths = pairs.loc[kept, "birth_vertex"], pairs.loc[kept, "death_vertex"]
    outlines, marks, lines = shape.table(), shape.marks(), shape.tree_lines()
    is_saddle = marks["kind"] == "saddle"
    at = marks["vertex"]
    return {
        "pairs": pairs.assign(resolved=kept),
        "profile": outlines.assign(resolved=outlines["branch"].isin(births)),
        "marks": marks.assign(resolved=np.where(is_saddle, at.isin(deaths), at.isin(births))),
        "tree": lines.assign(resolved=lines["branch"].isin(births)),
    }


def _numbers(
    values: np.ndarray, connectivity: str, errors: Mapping[str, float]
) -> dict[str, float]:
    numbers = quantities(merge_tree(values, connectivity), errors=errors)
    return numbers | counts_by_index(values) if values.ndim <= 3 else numbers


def _diverged(values: np.ndarray, connectivity: str) -> dict[str, pd.DataFrame]:
    """Return the tables of a single vertex, emptied: the same columns as any other landscape."""
    tree = merge_tree(np.zeros((1,) * values.ndim), connectivity)
    tables = _tables(tree, connectivity, dict.fromkeys(ERRORS, 0.0))
    empty = {name: table.iloc[:0] for name, table in tables.items()}
    numbers = tables["quantities"]
    row = numbers.drop(columns="connectivity").astype(float) * np.nan
    row = row.assign(points=len(values), diverged=1, connectivity=numbers["connectivity"])
    return {**empty, "quantities": row}


def _subgrids(values: np.ndarray) -> list[np.ndarray]:
    """Return the grid and its nested halves, as long as both ends and the centre stay vertices.

    Halves without a finite value are left out.
    """
    grids = [values]
    while len(grids[-1]) % 4 == 1 and (len(grids[-1]) + 1) // 2 >= COARSEST:
        grids.append(grids[-1][(slice(None, None, 2),) * values.ndim])
    return [grid for grid in grids if np.isfinite(grid).any()]
