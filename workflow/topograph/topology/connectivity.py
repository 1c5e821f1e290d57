"""Which vertices are neighbours: three named lattices in any dimension, or a list of edges."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from topograph.foundation.errors import TopographError, unknown_name

LATTICES = ("axis", "freudenthal", "moore")


class Neighbours(NamedTuple):
    """Neighbour lists over `size` slots; vertex i of the field occupies slot `positions[i]`.

    Edges: the neighbours of slot s are `steps[starts[s]:starts[s + 1]]`. Lattices: `starts` is
    empty and they are `s + steps`; slots that no vertex occupies border the lattice.
    """

    positions: NDArray[np.int64]
    size: int
    starts: NDArray[np.int64]
    steps: NDArray[np.int64]


def float_field(values: ArrayLike) -> NDArray[np.float64]:
    """Return values as a float64 array of one axis or more, of the shape received.

    Raises TopographError for complex, non-numeric, empty or scalar input, and where no value is
    finite.
    """
    received = np.asarray(values)
    if received.dtype.kind not in "buif":
        raise TopographError(
            f"values have dtype {received.dtype}; allowed: real numbers. "
            "Pass a real quantity, such as the modulus of complex values"
        )
    if received.ndim == 0 or received.size == 0:
        raise TopographError(
            f"values have shape {received.shape}; allowed: one axis or more, none of length 0"
        )
    field = received.astype(np.float64)
    if not np.isfinite(field).any():
        raise TopographError(
            f"all {field.size} values are NaN or infinite; allowed: at least one finite value. "
            "Check that the training behind them did not diverge"
        )
    return field


def lattice_offsets(name: str, dimensions: int) -> NDArray[np.int64]:
    """Return the steps from a lattice vertex to its neighbours, shape (K, dimensions).

    `axis` has K = 2n, `freudenthal` 2(2^n - 1), `moore` 3^n - 1. The Freudenthal steps are +-s for
    s in {0, 1}^n without 0, with the sign of the last (fastest) axis flipped: the triangulation of
    the Topology ToolKit (Tierny et al. 2018). Raises TopographError for another name.
    """
    if name == "axis":
        unit = np.eye(dimensions, dtype=np.int64)
        return np.concatenate([unit, -unit])
    if name == "freudenthal":
        steps = np.array(list(itertools.product((0, 1), repeat=dimensions))[1:], dtype=np.int64)
        steps[:, -1] *= -1
        return np.concatenate([steps, -steps])
    if name == "moore":
        steps = np.array(list(itertools.product((-1, 0, 1), repeat=dimensions)), dtype=np.int64)
        return steps[np.any(steps != 0, axis=1)]
    raise unknown_name("connectivity", name, LATTICES)


def lattice_neighbours(name: str, shape: tuple[int, ...]) -> Neighbours:
    """Return the neighbours in a C-ordered lattice of the given shape.

    Raises TopographError for an unknown name.
    """
    offsets = lattice_offsets(name, len(shape))
    # One spare slot at the end of each axis, and a margin before and after the whole, make every
    # step that leaves the lattice land on an empty slot: the sweep then needs no bounds checks.
    padded = tuple(length + 1 for length in shape)
    strides = np.array(
        [math.prod(padded[axis + 1 :]) for axis in range(len(shape))], dtype=np.int64
    )
    margin = int(strides.sum())
    positions = np.full(1, margin, dtype=np.int64)
    for length, stride in zip(shape, strides, strict=True):
        positions = np.add.outer(positions, np.arange(length) * stride).ravel()
    size = math.prod(padded) + 2 * margin
    return Neighbours(positions, size, np.empty(0, dtype=np.int64), offsets @ strides)


def edge_array(edges: ArrayLike, vertices: int) -> NDArray[np.int64]:
    """Return edges as an int64 array of shape (E, 2) with ends in 0 .. vertices - 1.

    Raises TopographError for another shape or dtype, and for an end out of range.
    """
    received = np.asarray(edges)
    if received.ndim != 2 or received.shape[1] != 2 or received.dtype.kind not in "iu":
        raise TopographError(
            f"edges have shape {received.shape} and dtype {received.dtype}; "
            "allowed: an (E, 2) array of integer vertex numbers"
        )
    outside = (received < 0) | (received >= vertices)
    if outside.any():
        row = int(np.flatnonzero(outside.any(axis=1))[0])
        raise TopographError(
            f"edge {row} joins vertices {received[row].tolist()}; "
            f"allowed: 0 to {vertices - 1}, as there are {vertices} values"
        )
    return received.astype(np.int64)


def edge_neighbours(edges: ArrayLike, vertices: int) -> Neighbours:
    """Return the neighbours in an undirected graph, shape (E, 2); repeats and loops do no harm.

    Raises TopographError as `edge_array` does.
    """
    pairs = edge_array(edges, vertices)
    sources = np.concatenate([pairs[:, 0], pairs[:, 1]])
    targets = np.concatenate([pairs[:, 1], pairs[:, 0]])
    degrees = np.bincount(sources, minlength=vertices)
    starts = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64)
    steps = targets[np.argsort(sources, kind="stable")]
    return Neighbours(np.arange(vertices, dtype=np.int64), vertices, starts, steps)
