"""Topological landscape profiles: the merge tree laid out as hanging basins of true size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import ArrayLike, NDArray

from topograph.foundation.errors import TopographError
from topograph.topology.merge_tree import MergeTree


@dataclass(frozen=True, eq=False)
class Profile:
    """The layout of a merge tree: x counts vertices, y is the loss.

    Full width at height y is the number of vertices of that component at or below y. Each arc has
    an interval of x as long as its total width; its children fill, widest first, the part of it
    that lies below the arc.

    tree          the merge tree laid out
    child_width   (A,) vertices strictly below the arc
    total_width   (A,) child_width plus the vertices on the arc
    spans         (A, 2) interval of x of each arc; the whole profile spans 0 .. finite vertices
    """

    tree: MergeTree
    child_width: NDArray[np.int64]
    total_width: NDArray[np.int64]
    spans: NDArray[np.float64]

    @property
    def centres(self) -> NDArray[np.float64]:
        """The x of the axis of symmetry of each arc, shape (A,)."""
        return self.spans.mean(axis=1)

    @property
    def is_basin(self) -> NDArray[np.bool_]:
        """Whether each arc is a basin (starts at a minimum) and not a sub-basin, shape (A,)."""
        return self.tree.is_leaf

    @cached_property
    def mean_loss(self) -> NDArray[np.float64]:
        """The mean value over the vertices on each arc, shape (A,), in units of the values."""
        vertices, arcs = self._vertices
        sums = np.bincount(arcs, weights=self.tree.values[vertices])
        return sums / np.bincount(arcs)

    @cached_property
    def polygons(self) -> list[NDArray[np.float64]]:
        """One closed outline per arc, shape (2 * vertices on the arc + 4, 2): up, then mirrored.

        Points are joined by straight lines, as in the paper's pictures: between two values the
        outline is wider than the count. The last arc of a component ends at its maximum.
        """
        arcs, x, y = self._outlines(np.ones(self._vertices[0].size, dtype=bool))
        ends = np.cumsum(np.bincount(arcs))
        return np.split(np.column_stack([x, y]), ends[:-1])

    @cached_property
    def steps(self) -> list[NDArray[np.float64]]:
        """The polygons with a horizontal step at each value: their width is exact at every level.

        Shape (4 * vertices on the arc + 6, 2) each.
        """
        return [stepped(polygon) for polygon in self.polygons]

    def width(self, level: ArrayLike) -> NDArray[np.int64]:
        """Return the summed width of the components alive at each level, in vertices.

        This is the number of vertices with value <= level (>= for a superlevel tree); `level` has
        any shape, which the result keeps.
        """
        heights = np.sort(self.tree.heights[self._vertices[0]])
        level = -np.asarray(level) if self.tree.superlevel else np.asarray(level)
        return np.searchsorted(heights, level, side="right")

    def table(self, resolution: int = 1000) -> pd.DataFrame:
        """Return the outlines in long form: arc, branch, kind, point, x, y, mean_loss.

        `branch` is the vertex of the minimum that the arc belongs to by the elder rule; `kind` is
        "basin" or "sub-basin"; `point` counts along the outline. Of the points of an arc
        on one of `resolution` equal levels of the loss range (and of its logarithm, where all
        losses are positive) the first and last are kept, so no point of the outline moves by more
        than one level. Raises TopographError unless resolution is a positive integer.
        """
        if not isinstance(resolution, int | np.integer) or resolution < 1:
            raise TopographError(f"resolution is {resolution!r}; allowed: an integer from 1")
        arcs, x, y = self._outlines(self._visible(int(resolution)))
        counts = np.bincount(arcs)
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        return pd.DataFrame(
            {
                "arc": arcs,
                "branch": self.tree.arc_vertex[self.tree.arc_branch[arcs]],
                "kind": np.where(self.is_basin, "basin", "sub-basin")[arcs],
                "point": np.arange(arcs.size) - starts,
                "x": x,
                "y": y,
                "mean_loss": self.mean_loss[arcs],
            }
        )

    def marks(self) -> pd.DataFrame:
        """Return one row per arc start: kind, vertex, x, y, volume.

        `kind` is "minimum" ("maximum" for a superlevel tree) or "saddle"; `volume` is the number of
        vertices from which steepest descent reaches the minimum, 0 for a saddle.
        """
        leaf = "maximum" if self.tree.superlevel else "minimum"
        vertices = self.tree.arc_vertex
        return pd.DataFrame(
            {
                "kind": np.where(self.is_basin, leaf, "saddle"),
                "vertex": vertices,
                "x": self.centres,
                "y": self.tree.values[vertices],
                "volume": self.tree.basin_volumes,
            }
        )

    def tree_lines(self) -> pd.DataFrame:
        """Return the merge tree as segments on the profile's axes: branch, x0, y0, x1, y1.

        A vertical stem for each arc at its centre, a horizontal connector to its upper saddle.
        """
        parents = self.tree.arc_parent
        joined = parents >= 0
        x, top = self.centres, self._tops
        bottom = self.tree.values[self.tree.arc_vertex]
        stems = np.column_stack([x, bottom, x, top])
        connectors = np.column_stack([x, top, x[parents], top])[joined]
        segments = np.concatenate([stems, connectors])
        table = pd.DataFrame(segments, columns=["x0", "y0", "x1", "y1"])
        branch = self.tree.arc_vertex[self.tree.arc_branch]
        table.insert(0, "branch", np.concatenate([branch, branch[joined]]))
        return table

    @cached_property
    def _vertices(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Finite vertices sorted by (arc, height, index), and the arc of each."""
        finite = np.flatnonzero(self.tree.vertex_arc >= 0)
        arcs = self.tree.vertex_arc[finite]
        order = np.lexsort((self.tree.heights[finite], arcs))
        return finite[order], arcs[order]

    @property
    def _tops(self) -> NDArray[np.float64]:
        """Value at the upper end of each arc: its saddle, or the maximum of its component."""
        vertices, arcs = self._vertices
        last = vertices[np.cumsum(np.bincount(arcs)) - 1]
        parents = self.tree.arc_parent
        return self.tree.values[np.where(parents >= 0, self.tree.arc_vertex[parents], last)]

    def _visible(self, resolution: int) -> NDArray[np.bool_]:
        """Whether each sorted vertex is the first or last of its arc on a level."""
        vertices, arcs = self._vertices
        values = self.tree.values[vertices]
        levels = [_levels(values, resolution)]
        if values.min() > 0:
            levels.append(_levels(np.log(values), resolution))
        changes = np.diff(arcs) != 0
        for level in levels:
            changes |= np.diff(level) != 0
        return np.append(True, changes) | np.append(changes, True)

    def _outlines(
        self, keep: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Arc, x and y of all outline points, built from the sorted vertices that are kept."""
        vertices, arcs = self._vertices
        values, every = self.tree.values, np.arange(self.total_width.size)
        sizes = np.bincount(arcs)
        rank = np.arange(1, arcs.size + 1) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        widths = self.child_width[arcs] + rank
        half = np.concatenate([every, arcs[keep], every])
        x = np.concatenate([np.zeros(every.size), widths[keep] / 2, self.total_width / 2])
        y = np.concatenate([values[self.tree.arc_vertex], values[vertices[keep]], self._tops])
        # Stable sorts keep start, samples, end of an arc in order; then the way up before the
        # mirrored way down.
        upwards = np.argsort(half, kind="stable")
        half, x, y = half[upwards], x[upwards], y[upwards]
        arc, x, y = _concatenated(half, half), _concatenated(x, -x), _concatenated(y, y)
        closed = np.argsort(arc, kind="stable")
        return arc[closed], self.centres[arc[closed]] + x[closed], y[closed]


def profile(tree: MergeTree) -> Profile:
    """Return the topological landscape profile of a merge tree.

    Widths are in vertices, heights in units of the values; time and memory grow with N log N.
    Source: profiles paper, arXiv 2411.12136, figure 2; Oesterling et al. 2013, for valleys.
    """
    sizes = np.bincount(tree.vertex_arc[tree.vertex_arc >= 0])
    child_width, total_width = _widths(tree.arc_parent, sizes)
    # A last arc sorts first, then parents before children (their numbers are larger), then
    # siblings by falling width.
    above = np.where(tree.arc_parent < 0, sizes.size, tree.arc_parent)
    order = np.lexsort((-total_width, -above))
    spans = _spans(tree.arc_parent, order, child_width, total_width)
    return Profile(tree, child_width, total_width, spans)


def stepped(outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an outline, (2m, 2), up and then mirrored down, with corners between its points.

    Going up, the width changes where the next value is reached.
    """
    half = len(outline) // 2
    up, down = outline[:half], outline[half:]
    corners_up = np.column_stack([up[:-1, 0], up[1:, 1]])
    corners_down = np.column_stack([down[1:, 0], down[:-1, 1]])
    return np.concatenate([_interleaved(up, corners_up), _interleaved(down, corners_down)])


def _interleaved(points: NDArray, corners: NDArray) -> NDArray:
    both = np.empty((len(points) + len(corners), 2))
    both[::2], both[1::2] = points, corners
    return both


def _concatenated(up: NDArray, down: NDArray) -> NDArray:
    return np.concatenate([up, down[::-1]])


def _levels(values: NDArray[np.float64], resolution: int) -> NDArray[np.int64]:
    """Number of the level, of `resolution` equal ones over the range, that each value lies on."""
    low, high = values.min(), values.max()
    share = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return np.floor(share * resolution).astype(np.int64)


@njit(cache=True)
def _widths(parent, sizes):
    """Return the vertices below each arc and those below or on it; children come first."""
    below = np.zeros(sizes.size, np.int64)
    total = sizes.astype(np.int64)
    for arc in range(sizes.size):
        total[arc] += below[arc]
        if parent[arc] >= 0:
            below[parent[arc]] += total[arc]
    return below, total


@njit(cache=True)
def _spans(parent, order, child_width, total_width):
    """Return the interval of each arc; `order` has parents before children, widest first."""
    spans = np.empty((order.size, 2))
    free = np.zeros(order.size + 1)
    for arc in order:
        # The last slot of `free` belongs to the whole profile, of which parent -1 means the last.
        left = free[parent[arc]]
        spans[arc, 0] = left
        spans[arc, 1] = left + total_width[arc]
        free[parent[arc]] = spans[arc, 1]
        free[arc] = (spans[arc, 0] + spans[arc, 1] - child_width[arc]) / 2
    return spans
