"""The topology of a study's landscapes: trees, diagrams, profiles and numbers as tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from topograph.topology.merge_tree import merge_tree
from topograph.topology.persistence import persistence
from topograph.topology.profile import profile
from topograph.topology.quantities import quantities

TABLES = ("pairs", "diagram", "profile", "marks", "tree", "quantities")
COARSEST = 5


def landscape_topology(dataset: xr.Dataset, connectivity: str) -> dict[str, pd.DataFrame]:
    """Return the tables of every seed and epoch of a landscape, long form.

    ``pairs``, ``profile``, ``marks`` and ``tree`` are of the merge tree with the connectivity
    named; ``diagram`` is GUDHI's, of the vertex construction (the axis connectivity);
    ``quantities`` holds a row for the grid and one for each subgrid of every 2nd, 4th, … vertex,
    by ``points``. A landscape without a finite value has no rows but one of ``quantities``, all
    NaN, with ``diverged`` 1.
    """
    collected: list[dict[str, pd.DataFrame]] = []
    losses = dataset["loss"]
    for seed in losses["seed"].values:
        for epoch in losses["epoch"].values:
            values = losses.sel(seed=seed, epoch=epoch).values
            keys = {
                "run": dataset.attrs["run"],
                "seed": int(seed),
                "epoch": int(epoch),
                "connectivity": connectivity,
            }
            tables = _one(values, connectivity)
            collected.append({name: table.assign(**keys) for name, table in tables.items()})
    return {name: pd.concat([tables[name] for tables in collected]) for name in TABLES}


def _one(values: np.ndarray, connectivity: str) -> dict[str, pd.DataFrame]:
    if not np.isfinite(values).any():
        return _diverged(values, connectivity)
    tree = merge_tree(values, connectivity)
    shape = profile(tree)
    numbers = [
        {"points": len(grid), "diverged": 0, **quantities(merge_tree(grid, connectivity))}
        for grid in _subgrids(values)
    ]
    return {
        "pairs": tree.pairs,
        "diagram": persistence(values, construction="vertices"),
        "profile": shape.table(),
        "marks": shape.marks(),
        "tree": shape.tree_lines(),
        "quantities": pd.DataFrame(numbers),
    }


def _diverged(values: np.ndarray, connectivity: str) -> dict[str, pd.DataFrame]:
    """Return the tables of a single vertex, emptied: the same columns as any other landscape."""
    tables = _one(np.zeros((1,) * values.ndim), connectivity)
    empty = {name: table.iloc[:0] for name, table in tables.items()}
    row = tables["quantities"].astype(float) * np.nan
    return {**empty, "quantities": row.assign(points=len(values), diverged=1)}


def _subgrids(values: np.ndarray) -> list[np.ndarray]:
    """Return the grid and its nested halves, as long as both ends and the centre stay vertices.

    Halves without a finite value are left out.
    """
    grids = [values]
    while len(grids[-1]) % 4 == 1 and (len(grids[-1]) + 1) // 2 >= COARSEST:
        grids.append(grids[-1][(slice(None, None, 2),) * values.ndim])
    return [grid for grid in grids if np.isfinite(grid).any()]
