"""Critical points of landscapes of one to three axes, of every index: minima, saddles, maxima."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from topograph.foundation.errors import TopographError
from topograph.topology.connectivity import float_field, lattice_offsets, on_border

MOST_AXES = 3


def critical_points(values: ArrayLike) -> pd.DataFrame:
    """Return the critical vertices of a grid of values, by rising value, then vertex and index.

    ``values`` has one to three axes, in units of the loss. Columns: vertex (C order), value, index
    (0 to n), kind (minimum, saddle, 1-saddle, 2-saddle, maximum), multiplicity (2 for a monkey
    saddle) and on_border. A vertex whose lower link, in the Freudenthal triangulation and with
    ties by (value, index), has reduced Betti number b_i > 0 is critical of index i + 1 with
    multiplicity b_i; it is a minimum where that link is empty, and has two rows where it is
    critical in two indices. On a plateau there can be further points that cancel each other. NaN
    and infinite vertices are masked: they, and what lies beyond the border, are in no lower link,
    so border and masks make minima and saddles that a larger grid need not have. An axis of length
    1 has no border and adds no index. Raises TopographError for more than three axes, and for
    complex, empty or all-masked values.
    Source: Banchoff (1970); Edelsbrunner, Harer, Natarajan and Pascucci (2003).
    """
    field = _checked(values)
    found = _multiplicities(field)
    vertex, index = np.nonzero(found)
    value = field.ravel()[vertex]
    axes = sum(length > 1 for length in field.shape)
    table = pd.DataFrame(
        {
            "vertex": vertex,
            "value": value,
            "index": index,
            "kind": np.array(_kinds(axes), dtype=object)[index],
            "multiplicity": found[vertex, index],
            "on_border": on_border(field.shape)[vertex],
        }
    )
    return table.iloc[np.argsort(value, kind="stable")].reset_index(drop=True)


def counts_by_index(values: ArrayLike) -> dict[str, float]:
    """Return the critical points off the border, with multiplicity: critical_index_0 … _n.

    ``values`` and errors are those of ``critical_points``.
    """
    field = _checked(values)
    counts = _multiplicities(field)[~on_border(field.shape)].sum(axis=0)
    return {f"critical_index_{index}": float(count) for index, count in enumerate(counts)}


def _checked(values: ArrayLike) -> NDArray[np.float64]:
    field = float_field(values)
    if field.ndim > MOST_AXES:
        raise TopographError(
            f"values have {field.ndim} axes, shape {field.shape}; critical points of every index "
            f"are found on 1 to {MOST_AXES} axes. Take a slice, or the minima of merge_tree()"
        )
    return field


def _kinds(axes: int) -> list[str]:
    """Return what an index is called, in a field of so many axes longer than 1."""
    inner = ["saddle"] if axes == 2 else [f"{index}-saddle" for index in range(1, axes)]
    return ["minimum", *inner, "maximum"]


def _multiplicities(field: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the multiplicity of each vertex as a critical point of each index, (N, n + 1)."""
    found = _link_table(field.ndim)[_lower_links(field).ravel()]
    return np.where(np.isfinite(field).reshape(-1, 1), found, 0)


def _lower_links(field: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the lower link of each vertex as bits in the order of the lattice's steps."""
    heights = np.where(np.isfinite(field), field, np.nan)
    strides = [math.prod(field.shape[axis + 1 :]) for axis in range(field.ndim)]
    links = np.zeros(field.shape, dtype=np.int64)
    for bit, step in enumerate(lattice_offsets("freudenthal", field.ndim)):
        here, there = _overlap(field.shape, step), _overlap(field.shape, -step)
        # Among equal values the vertex of lower index counts as lower; masked ones never do.
        is_lower = np.less_equal if step @ strides < 0 else np.less
        links[here] |= is_lower(heights[there], heights[here]).astype(np.int64) << bit
    return links


def _overlap(shape: tuple[int, ...], step: NDArray[np.int64]) -> tuple[slice, ...]:
    """Return the part of a box from which the step stays inside it."""
    return tuple(
        slice(max(0, -s), length - max(0, s)) for s, length in zip(step, shape, strict=True)
    )


@functools.cache
def _link_table(dimensions: int) -> NDArray[np.int64]:
    """Return the multiplicities of each index for every subset of the link, (2^K, n + 1).

    The link is a sphere of n - 1 dimensions with K vertices, a flag complex, in which a lower link
    is the subcomplex of its vertices. Bit k of a row's number stands for step k of the lattice.
    """
    adjacent = _link_neighbours(dimensions)
    subsets = np.arange(1 << len(adjacent))
    table = np.zeros((len(subsets), dimensions + 1), dtype=np.int64)
    table[0, 0] = 1
    table[1:, 1] = _components(subsets, adjacent)[1:] - 1
    # A sphere has homology at its own dimension only as a whole.
    table[-1, dimensions] = 1
    if dimensions == 3:
        euler = _euler_characteristics(subsets, adjacent, dimensions)
        table[:, 2] = 1 - euler - table[:, 0] + table[:, 1] + table[:, 3]
    table.setflags(write=False)
    return table


def _link_neighbours(dimensions: int) -> list[int]:
    """Return, for each vertex of the link, its neighbours in the link as bits."""
    steps = [tuple(step) for step in lattice_offsets("freudenthal", dimensions).tolist()]
    differences = [[tuple(np.subtract(a, b).tolist()) for b in steps] for a in steps]
    return [sum((gap in steps) << bit for bit, gap in enumerate(row)) for row in differences]


def _components(subsets: NDArray[np.int64], adjacent: list[int]) -> NDArray[np.int64]:
    """Return the number of connected components of each subset of a graph, by flooding all."""
    rest, count = subsets.copy(), np.zeros_like(subsets)
    while rest.any():
        count += rest > 0
        flooded, before = rest & -rest, np.zeros_like(rest)
        while (flooded != before).any():
            before = flooded.copy()
            for bit, neighbours in enumerate(adjacent):
                flooded |= np.where(flooded >> bit & 1, neighbours & rest, 0)
        rest &= ~flooded
    return count


def _euler_characteristics(
    subsets: NDArray[np.int64], adjacent: list[int], dimensions: int
) -> NDArray[np.int64]:
    """Return vertices - edges + triangles … of the subcomplex that each subset spans."""
    euler = np.zeros_like(subsets)
    for size in range(1, dimensions + 1):
        for simplex in itertools.combinations(range(len(adjacent)), size):
            if all(adjacent[a] >> b & 1 for a, b in itertools.combinations(simplex, 2)):
                bits = sum(1 << bit for bit in simplex)
                euler += (-1) ** (size - 1) * (subsets & bits == bits)
    return euler
