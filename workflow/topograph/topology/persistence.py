"""Persistent homology of sublevel sets on grids and graphs, computed by GUDHI."""

from __future__ import annotations

from collections.abc import Iterable

import gudhi
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from topograph.foundation.errors import TopographError, unknown_name
from topograph.topology.connectivity import edge_array, float_field

CONSTRUCTIONS = ("vertices", "cells", "graph")


def persistence(
    values: ArrayLike,
    *,
    construction: str = "vertices",
    edges: ArrayLike | None = None,
    dims: Iterable[int] = (0, 1),
) -> pd.DataFrame:
    """Return the persistence pairs of the sublevel sets {f <= level}: dim, birth, death.

    `construction` says where the values sit on a grid of any shape: "vertices" (axis neighbours)
    or "cells" (top-dimensional cubes, Moore neighbours). With `edges`, shape (E, 2), the values
    are those of a "graph". NaN and infinite vertices are masked. Essential pairs have death inf.
    Grids leave out pairs of length 0, graphs keep them. Rows are sorted by dim, birth and death.
    Raises TopographError for unusable values or edges, an unknown construction, a construction
    that contradicts `edges`, and a negative or fractional dim.
    Source: GUDHI, CubicalComplex and SimplexTree; Wagner, Chen and Vucini 2012 for grids.
    """
    field = float_field(values)
    field[~np.isfinite(field)] = np.inf
    wanted = _dimensions(dims)
    _check_construction(construction, edges)
    complex_ = _complex(field, construction, edges)
    found = [complex_.persistence_intervals_in_dimension(d).reshape(-1, 2) for d in wanted]
    pairs = np.concatenate(found)
    dim = np.repeat(wanted, [len(intervals) for intervals in found])
    table = pd.DataFrame({"dim": dim, "birth": pairs[:, 0], "death": pairs[:, 1]})
    # Masked cells enter the grid at infinity and are born there.
    table = table[np.isfinite(table["birth"])]
    return table.sort_values(["dim", "birth", "death"], ignore_index=True)


def _dimensions(dims: Iterable[int]) -> list[int]:
    wanted = list(dims)
    if not wanted or any(not isinstance(d, int | np.integer) or d < 0 for d in wanted):
        raise TopographError(f"dims are {wanted}; allowed: one or more integers from 0")
    return sorted({int(d) for d in wanted})


def _check_construction(construction: str, edges: ArrayLike | None) -> None:
    if construction not in CONSTRUCTIONS:
        raise unknown_name("construction", construction, CONSTRUCTIONS)
    if edges is None and construction == "graph":
        raise TopographError("construction 'graph' needs edges; pass an (E, 2) array as edges=")
    if edges is not None and construction == "cells":
        raise TopographError(
            "construction 'cells' contradicts edges; pass construction='graph', or no edges"
        )


def _complex(
    field: NDArray[np.float64], construction: str, edges: ArrayLike | None
) -> gudhi.CubicalComplex | gudhi.SimplexTree:
    """Build the complex and compute its persistence."""
    if edges is not None:
        tree = _graph(field.ravel(), edge_array(edges, field.size))
        # GUDHI's defaults drop zero-length pairs and leave the loops of a graph out.
        tree.compute_persistence(min_persistence=-1, persistence_dim_max=True)
        return tree
    grid = (
        gudhi.CubicalComplex(vertices=field)
        if construction == "vertices"
        else gudhi.CubicalComplex(top_dimensional_cells=field)
    )
    grid.compute_persistence()
    return grid


def _graph(heights: NDArray[np.float64], edges: NDArray[np.int64]) -> gudhi.SimplexTree:
    """Return the sublevel filtration of a graph without its masked vertices."""
    tree = gudhi.SimplexTree()
    present = np.flatnonzero(np.isfinite(heights))
    tree.insert_batch(present[None], heights[present])
    ends = edges[np.isfinite(heights[edges]).all(axis=1) & (edges[:, 0] != edges[:, 1])]
    tree.insert_batch(ends.T, heights[ends].max(axis=1))
    return tree
