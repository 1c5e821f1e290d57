"""Which vertices are neighbours: three lattices, mutual nearest neighbours, or a list of edges."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from topograph.foundation.errors import TopographError, unknown_name

LATTICES = ("axis", "freudenthal", "moore")
CONNECTIVITIES = (*LATTICES, "mutual-knn")


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


def on_border(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which vertices of a lattice lie at an end of an axis longer than 1, shape (N,)."""
    border = np.zeros(shape, dtype=bool)
    for axis, length in enumerate(shape):
        if length > 1:
            np.moveaxis(border, axis, 0)[[0, -1]] = True
    return border.ravel()


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
    raise unknown_name("connectivity", name, CONNECTIVITIES)


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


def mutual_knn_neighbours(shape: tuple[int, ...], k: int, seed: int) -> Neighbours:
    """Return the neighbours in the mutual k-nearest-neighbour graph of a lattice.

    Two vertices are neighbours where each is among the k nearest of the other. Vertices at equal
    distance compete, and a draw that `seed`, an integer from 0, fixes chooses among them. Raises
    TopographError for a k below 1. Source: profiles paper, arXiv 2411.12136, k = 4n; its code
    drops the vertex itself, so k = 4n - 1 there.
    """
    if not isinstance(k, int | np.integer) or k < 1:
        raise TopographError(f"k is {k!r}; allowed: an integer from 1, such as 4n or 4n - 1")
    offsets = _near_offsets(shape, int(k))
    squared = (offsets**2).sum(axis=1)
    sizes = np.array(shape, dtype=np.int64)
    chosen = _nearest(sizes, offsets, squared, int(k), np.uint64(seed))
    # The offsets are sorted by distance and then as words, so opposite ones mirror in a shell.
    shell_ends = np.searchsorted(squared, squared, side="right")
    shell_starts = np.searchsorted(squared, squared, side="left")
    opposite = shell_starts + shell_ends - 1 - np.arange(len(offsets))
    strides = np.array([math.prod(shape[axis + 1 :]) for axis in range(len(shape))], dtype=np.int64)
    starts, steps = _mutual(chosen, offsets @ strides, opposite)
    return Neighbours(np.arange(len(chosen), dtype=np.int64), len(chosen), starts, steps)


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


def _near_offsets(shape: tuple[int, ...], k: int) -> NDArray[np.int64]:
    """Return the offsets among which every vertex has its k nearest, sorted by distance.

    A corner sees the fewest vertices within any distance, so its k-th nearest bounds them all.
    """
    for radius in range(1, max(2, *shape)):
        corner = itertools.product(*(range(min(length, radius + 1)) for length in shape))
        squared = sorted(sum(step**2 for step in offset) for offset in corner)[1:]
        within = [distance for distance in squared if distance <= radius**2]
        if len(within) >= k:
            break
    farthest = within[k - 1] if len(within) >= k else max([*squared, 0])
    radius = math.isqrt(farthest)
    reach = [range(-min(length - 1, radius), min(length - 1, radius) + 1) for length in shape]
    near = [o for o in itertools.product(*reach) if 0 < sum(step**2 for step in o) <= farthest]
    near.sort(key=lambda offset: (sum(step**2 for step in offset), offset))
    return np.array(near, dtype=np.int64).reshape(-1, len(shape))


@njit(cache=True)
def _draw(seed, vertex, offset):
    """Return a number that looks random: SplitMix64 (Steele, Lea and Flood 2014), stateless."""
    z = seed * np.uint64(0x9E3779B97F4A7C15) + np.uint64(vertex) * np.uint64(0xD1342543DE82EF95)
    z += (np.uint64(offset) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True)
def _nearest(sizes, offsets, squared, k, seed):
    """Return which offsets lead from each vertex to its k nearest, (N, K)."""
    vertices = 1
    for size in sizes:
        vertices *= size
    chosen = np.zeros((vertices, len(offsets)), np.bool_)
    place = np.empty(len(sizes), np.int64)
    shell, draws = np.empty(len(offsets), np.int64), np.empty(len(offsets), np.uint64)
    for vertex in range(vertices):
        rest = vertex
        for axis in range(len(sizes) - 1, -1, -1):
            place[axis] = rest % sizes[axis]
            rest //= sizes[axis]
        wanted, first = k, 0
        while wanted > 0 and first < len(offsets):
            found, last = 0, first
            while last < len(offsets) and squared[last] == squared[first]:
                moved = place + offsets[last]
                if np.all(moved >= 0) and np.all(moved < sizes):
                    shell[found], draws[found] = last, _draw(seed, vertex, last)
                    found += 1
                last += 1
            if found > wanted:
                for winner in np.argsort(draws[:found])[:wanted]:
                    chosen[vertex, shell[winner]] = True
            else:
                for winner in range(found):
                    chosen[vertex, shell[winner]] = True
            wanted, first = wanted - found, last
    return chosen


@njit(cache=True)
def _mutual(chosen, steps, opposite):
    """Return neighbour lists, starts and targets, of the vertices that chose each other."""
    starts = np.zeros(len(chosen) + 1, np.int64)
    for vertex in range(len(chosen)):
        for k in range(len(steps)):
            if chosen[vertex, k] and chosen[vertex + steps[k], opposite[k]]:
                starts[vertex + 1] += 1
    starts = np.cumsum(starts)
    targets = np.empty(starts[-1], np.int64)
    at = 0
    for vertex in range(len(chosen)):
        for k in range(len(steps)):
            if chosen[vertex, k] and chosen[vertex + steps[k], opposite[k]]:
                targets[at] = vertex + steps[k]
                at += 1
    return starts, targets
