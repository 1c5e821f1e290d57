"""Merge trees of sublevel sets, on lattices of any dimension and on graphs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import ArrayLike, NDArray

from topograph.foundation.errors import TopographError
from topograph.topology.connectivity import (
    Neighbours,
    edge_neighbours,
    float_field,
    lattice_neighbours,
    mutual_knn_neighbours,
)


@dataclass(frozen=True, eq=False)
class MergeTree:
    """The merge tree (a forest where the finite vertices are not connected) of N values.

    One arc starts at each minimum and at each saddle. Arcs are numbered in order of the value at
    their start, so a parent has a larger number than its children. With `superlevel`, read maximum
    for minimum and higher for lower; values keep their sign.

    values        (N,) float64 in C order, NaN and infinity as received
    shape         shape of the values received
    connectivity  lattice name, "mutual-knn, k = 8" or the like, or "edges"
    superlevel    whether the components of {f >= level} are followed
    arc_vertex    (A,) vertex at which the arc starts: a minimum or a saddle
    arc_parent    (A,) arc that continues this one above its upper saddle, -1 for a last arc
    arc_branch    (A,) arc of the lowest minimum below, by the elder rule (ties: lower index)
    vertex_arc    (N,) arc on which the vertex lies, -1 where masked; a minimum or saddle lies on
                  the arc that starts at it, a root on the last arc, so arc sizes sum to N - masked
    vertex_basin  (N,) arc of the minimum that steepest descent over the neighbours reaches, ties
                  by index, from a plateau through its nearest way down; -1 where masked
    """

    values: NDArray[np.float64]
    shape: tuple[int, ...]
    connectivity: str
    superlevel: bool
    arc_vertex: NDArray[np.int64]
    arc_parent: NDArray[np.int64]
    arc_branch: NDArray[np.int64]
    vertex_arc: NDArray[np.int64]
    vertex_basin: NDArray[np.int64]

    @property
    def heights(self) -> NDArray[np.float64]:
        """The values in the direction of the sweep, shape (N,): negated with `superlevel`."""
        return -self.values if self.superlevel else self.values

    @property
    def masked(self) -> int:
        """The number of vertices left out because their value is NaN or infinite."""
        return int(np.count_nonzero(self.vertex_arc < 0))

    @property
    def components(self) -> int:
        """The number of trees: of pieces into which the finite vertices fall."""
        return int(np.count_nonzero(self.arc_parent < 0))

    @property
    def is_leaf(self) -> NDArray[np.bool_]:
        """Whether each arc starts at a minimum, shape (A,)."""
        return self.arc_branch == np.arange(self.arc_branch.size)

    @property
    def minima(self) -> NDArray[np.int64]:
        """The vertex of each minimum in order of value, of a plateau the one of lowest index."""
        return self.arc_vertex[self.is_leaf]

    @property
    def saddles(self) -> NDArray[np.int64]:
        """The vertex of each saddle in order of value; one saddle may join more than two arcs."""
        return self.arc_vertex[~self.is_leaf]

    @property
    def basin_volumes(self) -> NDArray[np.int64]:
        """The number of vertices whose steepest descent ends in each arc's minimum, shape (A,)."""
        basins = self.vertex_basin[self.vertex_basin >= 0]
        return np.bincount(basins, minlength=self.arc_vertex.size)

    @property
    def branch_death(self) -> NDArray[np.int64]:
        """The arc at whose start each minimum dies, in order of `minima`; -1 if it never does."""
        parents = self.arc_parent
        last = (parents < 0) | (self.arc_branch[parents] != self.arc_branch)
        deaths = parents[last]
        return deaths[np.argsort(self.arc_branch[last])]

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Minimum-saddle pairs by the elder rule: birth, death, birth_vertex, death_vertex.

        One row per minimum, the essential ones (one per component) first, then by falling
        persistence. Essential: death infinite (minus infinity with `superlevel`), death_vertex -1.
        """
        deaths = self.branch_death
        death_vertex = np.where(deaths >= 0, self.arc_vertex[deaths], -1)
        endless = -np.inf if self.superlevel else np.inf
        table = pd.DataFrame(
            {
                "birth": self.values[self.minima],
                "death": np.where(deaths >= 0, self.values[death_vertex], endless),
                "birth_vertex": self.minima,
                "death_vertex": death_vertex,
            }
        )
        order = np.argsort(-self._persistence(), kind="stable")
        return table.iloc[order].reset_index(drop=True)

    def simplify(self, persistence: float) -> MergeTree:
        """Return the tree without the minima whose persistence is below the threshold.

        The vertices of a removed branch pass to the branch that it joins, each to the arc that
        spans its value, so at every level the widths still sum to the vertices at or below it.
        `persistence` is in units of the values. Raises TopographError if it is negative or NaN.
        Source: cancellation of Edelsbrunner, Letscher and Zomorodian (2002), on the merge tree.
        """
        if not persistence >= 0:
            raise TopographError(
                f"persistence threshold is {persistence!r}; allowed: 0 (keep all) or more"
            )
        leaves = np.flatnonzero(self.is_leaf)
        survives = np.zeros(self.arc_vertex.size, dtype=bool)
        survives[leaves] = self._persistence() >= persistence
        kept = survives.copy()
        deaths = self.branch_death
        kept[deaths[(deaths >= 0) & survives[leaves]]] = True
        return _restrict(self, survives, kept)

    def largest(self, minima: int) -> MergeTree:
        """Return the tree simplified to at most so many minima, the most persistent.

        Ties at the threshold all go; one essential minimum for each component always stays. Raises
        TopographError for a number below 1.
        """
        if minima < 1:
            raise TopographError(f"minima is {minima!r}; allowed: an integer from 1")
        persistence = np.sort(self._persistence())[::-1]
        if persistence.size <= minima:
            return self
        return self.simplify(float(np.nextafter(persistence[minima], np.inf)))

    def _persistence(self) -> NDArray[np.float64]:
        """Persistence of each minimum, in order of `minima`."""
        deaths = self.branch_death
        heights = self.heights[self.arc_vertex]
        return np.where(deaths >= 0, heights[deaths], np.inf) - heights[self.is_leaf]


def merge_tree(
    values: ArrayLike,
    connectivity: str | ArrayLike = "freudenthal",
    *,
    superlevel: bool = False,
    k: int | None = None,
    seed: int = 0,
) -> MergeTree:
    """Return the merge tree of the sublevel sets {f <= level} of values on a lattice or graph.

    `values` has any shape, in units of the loss; `connectivity` is "freudenthal", "axis", "moore",
    "mutual-knn" (`k` nearest neighbours, 4 for each axis unless given, drawn by `seed` among
    equally near ones), or an (E, 2) array of edges between C-order vertex numbers. NaN and infinite
    vertices are masked; a graph of several components gives a forest. A connected plateau acts as
    one vertex, so it is at most one minimum or saddle, and no pair has persistence 0. `superlevel`
    follows {f >= level} instead. Raises TopographError for complex, empty or all-masked values, an
    unknown name, edges out of range, and a `k` that is no count or has no use.
    Source: Carr, Snoeyink and Axen (2003), join tree; profiles paper, arXiv 2411.12136.
    """
    field = float_field(values)
    neighbours, name = _neighbours(connectivity, field.shape, k, seed)
    flat = field.ravel()
    heights = -flat if superlevel else flat
    finite = np.flatnonzero(np.isfinite(flat))
    finite = finite[np.argsort(heights[finite], kind="stable")]
    # Half the memory of int64, and so more of the sweep in the cache.
    integer = np.int32 if neighbours.size < np.iinfo(np.int32).max else np.int64
    order = neighbours.positions[finite].astype(integer)
    ranks = np.full(neighbours.size, np.iinfo(integer).max, integer)
    ranks[order] = np.cumsum(np.diff(heights[finite], prepend=heights[finite[0]]) != 0)
    slot, parent, branch, *by_slot = _sweep(ranks, order, neighbours.starts, neighbours.steps)
    vertex = np.searchsorted(neighbours.positions, slot)
    by_vertex = [found[neighbours.positions].astype(np.int64) for found in by_slot]
    return MergeTree(flat, field.shape, name, superlevel, vertex, parent, branch, *by_vertex)


def _neighbours(
    connectivity: str | ArrayLike, shape: tuple[int, ...], k: int | None, seed: int
) -> tuple[Neighbours, str]:
    if isinstance(connectivity, str) and connectivity == "mutual-knn":
        k = 4 * len(shape) if k is None else k
        return mutual_knn_neighbours(shape, k, seed), f"mutual-knn, k = {k}"
    if k is not None:
        raise TopographError(f"k is {k!r}; it counts the neighbours of 'mutual-knn' alone")
    if isinstance(connectivity, str):
        return lattice_neighbours(connectivity, shape), connectivity
    return edge_neighbours(connectivity, int(np.prod(shape))), "edges"


def _restrict(tree: MergeTree, survives: NDArray[np.bool_], kept: NDArray[np.bool_]) -> MergeTree:
    """Return the tree of the kept arcs; `survives` marks the leaf arcs of surviving branches."""
    arcs = tree.arc_vertex.size
    leaves = np.flatnonzero(tree.is_leaf)
    death = np.full(arcs, -1)
    death[leaves] = tree.branch_death
    # Sorted by branch, then upwards: the successor on the same branch is the new parent.
    chain = np.flatnonzero(kept)
    chain = chain[np.argsort(tree.arc_branch[chain], kind="stable")]
    branch = tree.arc_branch[chain]
    parent = np.full(arcs, -1)
    parent[chain] = death[branch]
    same = branch[1:] == branch[:-1]
    parent[chain[:-1][same]] = chain[1:][same]

    host = np.append(_hosts(tree, survives, death), -1)
    renumbered = np.append(np.cumsum(kept) - 1, -1)
    return replace(
        tree,
        arc_vertex=tree.arc_vertex[kept],
        arc_parent=renumbered[parent[kept]],
        arc_branch=renumbered[tree.arc_branch[kept]],
        vertex_arc=renumbered[_reassigned(tree, survives, chain, host)],
        vertex_basin=renumbered[host[tree.vertex_basin]],
    )


def _hosts(
    tree: MergeTree, survives: NDArray[np.bool_], death: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return, for each leaf arc, that of the surviving branch which its branch ends up in."""
    host = np.where(survives, np.arange(tree.arc_vertex.size), tree.arc_branch[death])
    while not survives[host[tree.is_leaf]].all():
        host = host[host]
    return host


def _reassigned(
    tree: MergeTree,
    survives: NDArray[np.bool_],
    chain: NDArray[np.int64],
    host: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the kept arc (old number) of every vertex, -1 where masked."""
    arcs = tree.arc_vertex.size
    finite = np.flatnonzero(tree.vertex_arc >= 0)
    arc = tree.vertex_arc[finite]
    branch = tree.arc_branch[arc]
    heights = tree.heights
    # Arc numbers rise with height, so the arcs that start at or below a value are a prefix.
    below = np.searchsorted(heights[tree.arc_vertex], heights[finite], side="right") - 1
    limit = np.where(survives[branch], arc, below)
    keys = tree.arc_branch[chain] * arcs + chain
    found = np.searchsorted(keys, host[branch] * arcs + limit, side="right") - 1
    reassigned = np.full(tree.vertex_arc.size, -1)
    reassigned[finite] = chain[found]
    return reassigned


@njit(cache=True)
def _find(component, vertex):
    """Return the root of a vertex, halving its path."""
    while component[vertex] != vertex:
        component[vertex] = component[component[vertex]]
        vertex = component[vertex]
    return vertex


@njit(cache=True)
def _flood(seed, ranks, starts, steps, component, seen_from, region, lower, basin):
    """Give the plateau around seed to the component `seed`; list the components below it.

    Fills `region` with the plateau, `lower` with the distinct roots and `basin` of each vertex from
    which a neighbour lies lower; returns the lengths of the first two.
    """
    rank = ranks[seed]
    component[seed] = seed
    region[0] = seed
    length, read, found = 1, 0, 0
    while read < length:
        vertex = region[read]
        read += 1
        first, last, base = 0, steps.size, vertex
        if starts.size > 0:
            first, last, base = starts[vertex], starts[vertex + 1], 0
        lowest, root = -1, -1
        for k in range(first, last):
            other = base + steps[k]
            if ranks[other] < rank:
                if (
                    lowest < 0
                    or ranks[other] < ranks[lowest]
                    or (ranks[other] == ranks[lowest] and other < lowest)
                ):
                    lowest = other
                # Neighbours mostly lie in one component, whose root their links name.
                if component[other] == root:
                    continue
                root = _find(component, other)
                if seen_from[root] != seed:
                    seen_from[root] = seed
                    lower[found] = root
                    found += 1
            elif ranks[other] == rank and component[other] < 0:
                component[other] = seed
                region[length] = other
                length += 1
        if lowest >= 0:
            basin[vertex] = basin[lowest]
    return length, found


@njit(cache=True)
def _drain(region, ranks, starts, steps, basin, queue):
    """Give the inner vertices of a plateau the basin of its nearest way down."""
    length, read = 0, 0
    for vertex in region:
        if basin[vertex] >= 0:
            queue[length] = vertex
            length += 1
    while read < length:
        vertex = queue[read]
        read += 1
        # As in _flood: a function of its own for the two makes the sweep a fifth slower.
        first, last, base = 0, steps.size, vertex
        if starts.size > 0:
            first, last, base = starts[vertex], starts[vertex + 1], 0
        for k in range(first, last):
            other = base + steps[k]
            if ranks[other] == ranks[vertex] and basin[other] < 0:
                basin[other] = basin[vertex]
                queue[length] = other
                length += 1


@njit(cache=True)
def _sweep(ranks, order, starts, steps):
    """Sweep upwards with union-find; return vertex, parent and branch per arc, then per slot.

    `ranks` number the distinct heights upwards; an empty slot has a rank above all and so is never
    a neighbour. `order` lists the finite vertices by (height, index). Per slot: arc and basin.
    """
    component, seen_from, root_arc, vertex_arc, basin = (
        np.full(ranks.size, -1, order.dtype),
        np.full(ranks.size, -1, order.dtype),
        np.full(ranks.size, -1, order.dtype),
        np.full(ranks.size, -1, order.dtype),
        np.full(ranks.size, -1, order.dtype),
    )
    region, lower = np.empty(order.size, np.int64), np.empty(order.size, np.int64)
    arc_vertex = np.empty(order.size, np.int64)
    parent, branch = np.full(order.size, -1), np.empty(order.size, np.int64)
    arcs = 0
    for seed in order:
        if component[seed] >= 0:
            continue
        length, found = _flood(
            seed, ranks, starts, steps, component, seen_from, region, lower, basin
        )
        root = seed if found == 0 else lower[0]
        if found == 0:
            basin[region[:length]] = arcs
        elif length > 1:
            _drain(region[:length], ranks, starts, steps, basin, lower[found:])
        if found != 1:
            arc_vertex[arcs], branch[arcs] = seed, arcs
            for k in range(found):
                # Leaf arcs are numbered by (value, index): the smallest number is the elder.
                child = root_arc[lower[k]]
                parent[child] = arcs
                branch[arcs] = min(branch[arcs], branch[child])
                component[lower[k]] = root
            root_arc[root] = arcs
            arcs += 1
        component[seed] = root
        vertex_arc[region[:length]] = root_arc[root]
    return arc_vertex[:arcs], parent[:arcs], branch[:arcs], vertex_arc, basin
