"""Persistent homology of sublevel sets on grids and graphs, computed by GUDHI."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import gudhi
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from topograph.foundation.errors import TopographError, unknown_name
from topograph.topology.connectivity import edge_array, float_field, lattice_offsets

CONSTRUCTIONS = ("vertices", "cells", "freudenthal", "graph")
EXTENDABLE = ("freudenthal", "graph")


def persistence(
    values: ArrayLike,
    *,
    construction: str = "vertices",
    edges: ArrayLike | None = None,
    dims: Iterable[int] = (0, 1),
    extended: bool = False,
) -> pd.DataFrame:
    """Return the persistence pairs of the sublevel sets {f <= level}: dim, birth, death.

    `construction` says where the values sit, and births and deaths are in their units:
        "vertices"     vertices of a cubical complex, a grid of any shape; axis neighbours
        "cells"        its top-dimensional cubes; neighbours share a corner (Moore)
        "freudenthal"  vertices of the Freudenthal triangulation of the grid, which `merge_tree`
                       follows by default: every cube of n axes is cut into n! simplices
        "graph"        vertices of the graph with `edges`, shape (E, 2); `edges` alone imply it
    NaN and infinite vertices are left out. Essential pairs have death inf. Grids leave out pairs of
    length 0, graphs keep them. A dim above that of the complex has no rows. Rows are sorted by dim,
    birth and death.

    `extended` ("freudenthal" and "graph") goes on through the pairs (f <= top, f >= level) as the
    level falls, so that every class dies. A column `kind` says where: "ordinary" pairs rise,
    "relative" ones fall (a maximum and the saddle below it have dim 1), both without those of
    length 0; "extended+" pairs rise or have length 0 and "extended-" ones fall: a component is an
    "extended+" pair of its minimum and maximum, a loop of a graph an "extended-" one.

    Raises TopographError for unusable values or edges, an unknown construction, one that
    contradicts `edges` or `extended`, and a negative or fractional dim.
    Source: GUDHI, CubicalComplex and SimplexTree; Wagner, Chen and Vucini 2012 for cubes,
    Freudenthal 1942, and Cohen-Steiner, Edelsbrunner and Harer 2009 for extended persistence.
    """
    field = float_field(values)
    wanted = _dimensions(dims)
    construction = _construction(construction, edges, extended)
    if construction in EXTENDABLE:
        links = _freudenthal_edges(field.shape) if edges is None else edge_array(edges, field.size)
        # Homology of dimension d depends on simplices of dimension d + 1 at most.
        top = min(field.ndim, wanted[-1] + 1) if edges is None else 1
        if extended:
            return _extended(field.ravel(), links, top, wanted)
        tree = _flag_complex(field.ravel(), links, top)
        # GUDHI's defaults drop pairs of length 0 and leave out the loops of a graph.
        tree.compute_persistence(
            min_persistence=0 if edges is None else -1,
            persistence_dim_max=tree.dimension() <= wanted[-1],
        )
        return _table(tree, wanted)
    grid = _cubical(field, construction)
    grid.compute_persistence()
    return _table(grid, wanted)


def _dimensions(dims: Iterable[int]) -> list[int]:
    wanted = list(dims)
    if not wanted or any(not isinstance(d, int | np.integer) or d < 0 for d in wanted):
        raise TopographError(f"dims are {wanted}; allowed: one or more integers from 0")
    return sorted({int(d) for d in wanted})


def _construction(construction: str, edges: ArrayLike | None, extended: bool) -> str:
    """Return the construction that the options amount to."""
    if construction not in CONSTRUCTIONS:
        raise unknown_name("construction", construction, CONSTRUCTIONS)
    if edges is None and construction == "graph":
        raise TopographError("construction 'graph' needs edges; pass an (E, 2) array as edges=")
    if edges is not None and construction in ("cells", "freudenthal"):
        raise TopographError(
            f"construction {construction!r} contradicts edges; "
            "pass construction='graph', or no edges"
        )
    if edges is not None:
        return "graph"
    if extended and construction not in EXTENDABLE:
        raise TopographError(
            f"extended persistence of construction {construction!r} is not available, since GUDHI "
            f"extends simplicial complexes alone; allowed: {', '.join(EXTENDABLE)}"
        )
    return construction


def _cubical(field: NDArray[np.float64], construction: str) -> gudhi.CubicalComplex:
    present = np.where(np.isfinite(field), field, np.inf)
    if construction == "vertices":
        return gudhi.CubicalComplex(vertices=present)
    return gudhi.CubicalComplex(top_dimensional_cells=present)


def _freudenthal_edges(shape: Sequence[int]) -> NDArray[np.int64]:
    """Return the edges of the Freudenthal triangulation of a grid, (E, 2), each once."""
    number = np.arange(math.prod(shape)).reshape(shape)
    offsets = lattice_offsets("freudenthal", len(shape))
    edges = []
    for step in offsets[: len(offsets) // 2]:
        bounds = list(zip(step, shape, strict=True))
        start = tuple(slice(max(0, -s), length - max(0, s)) for s, length in bounds)
        end = tuple(slice(max(0, s), length - max(0, -s)) for s, length in bounds)
        edges.append(np.column_stack([number[start].ravel(), number[end].ravel()]))
    return np.concatenate(edges)


def _flag_complex(
    heights: NDArray[np.float64], edges: NDArray[np.int64], dimension: int
) -> gudhi.SimplexTree:
    """Return the lower-star filtration of the cliques of a graph without its masked vertices.

    The Freudenthal triangulation is one: differences of joined vertices are in {0, 1}^n up to a
    sign, which orders the vertices of a clique along a path through one cube.
    """
    tree = gudhi.SimplexTree()
    present = np.flatnonzero(np.isfinite(heights))
    tree.insert_batch(present[None], heights[present])
    ends = edges[np.isfinite(heights[edges]).all(axis=1) & (edges[:, 0] != edges[:, 1])]
    tree.insert_batch(ends.T, heights[ends].max(axis=1))
    tree.expansion(dimension)
    return tree


def _table(complex_: gudhi.CubicalComplex | gudhi.SimplexTree, wanted: list[int]) -> pd.DataFrame:
    """Return the pairs of a complex whose persistence has been computed."""
    found = [complex_.persistence_intervals_in_dimension(d).reshape(-1, 2) for d in wanted]
    pairs = np.concatenate(found)
    dim = np.repeat(wanted, [len(intervals) for intervals in found])
    table = pd.DataFrame({"dim": dim, "birth": pairs[:, 0], "death": pairs[:, 1]})
    # Masked cells enter the grid at infinity and are born there.
    table = table[np.isfinite(table["birth"])]
    return table.sort_values(["dim", "birth", "death"], ignore_index=True)


def _extended(
    heights: NDArray[np.float64], edges: NDArray[np.int64], dimension: int, wanted: list[int]
) -> pd.DataFrame:
    """Return the pairs of extended persistence with their kind."""
    finite = np.isfinite(heights)
    levels, rank = np.unique(heights[finite], return_inverse=True)
    # GUDHI maps heights to [-2, -1] and back, which rounds them; ranks survive that unharmed.
    ranks = np.full(heights.size, np.nan)
    ranks[finite] = rank
    tree = _flag_complex(ranks, edges, dimension)
    tree.extend_filtration()
    ordinary, relative, *extended = tree.extended_persistence(min_persistence=-1)
    found = [(*pair, "ordinary") for pair in ordinary] + [(*pair, "relative") for pair in relative]
    found += [(*pair, "extended") for pairs in extended for pair in pairs]
    ends = np.array([end for _, end, _ in found]).reshape(-1, 2)
    birth, death = levels[np.rint(ends).astype(np.int64)].T
    dim = np.array([dim for dim, _, _ in found], dtype=np.int64)
    kind = np.array([kind for _, _, kind in found], dtype=object)
    essential = kind == "extended"
    kind[essential] = np.where(death >= birth, "extended+", "extended-")[essential]
    table = pd.DataFrame({"dim": dim, "birth": birth, "death": death, "kind": kind})
    table = table[np.isin(dim, wanted) & (essential | (birth != death))]
    return table.sort_values(["dim", "birth", "death", "kind"], ignore_index=True)
