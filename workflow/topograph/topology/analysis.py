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
    by ``points``. A landscape without a finite value has only a ``quantities`` row, ``diverged``.
    """
    collected: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
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
            for name, table in _one(values, connectivity).items():
                collected[name].append(table.assign(**keys))
    return {
        name: pd.concat(tables) if tables else pd.DataFrame() for name, tables in collected.items()
    }


def _one(values: np.ndarray, connectivity: str) -> dict[str, pd.DataFrame]:
    if not np.isfinite(values).any():
        return {"quantities": pd.DataFrame([{"points": len(values), "diverged": 1}])}
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


def _subgrids(values: np.ndarray) -> list[np.ndarray]:
    """Return the grid and its nested halves, as long as both ends and the centre stay vertices."""
    grids = [values]
    while (len(grids[-1]) - 1) % 4 == 0 and (len(grids[-1]) + 1) // 2 >= COARSEST:
        grids.append(grids[-1][(slice(None, None, 2),) * values.ndim])
    return grids
