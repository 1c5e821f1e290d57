"""The width curve of a landscape and what makes it a funnel, a bowl or a plain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from topograph.topology.connectivity import LATTICES, on_border
from topograph.topology.merge_tree import MergeTree

# Rises that span a smaller factor, or fewer vertices, do not fix a slope.
LEAST_SPREAD, LEAST_VERTICES = 2.0, 10


def width_curve(tree: MergeTree, levels: int = 101) -> NDArray[np.float64]:
    """Return the share of finite vertices at or below equal steps of the loss range, (levels,).

    The loss is scaled to [0, 1], so landscapes of any height can be compared; a superlevel tree
    counts downwards from its maximum. A constant field is 1 everywhere.
    """
    heights = np.sort(tree.heights[tree.vertex_arc >= 0])
    extent = heights[-1] - heights[0]
    scaled = (heights - heights[0]) / extent if extent > 0 else np.zeros_like(heights)
    return np.searchsorted(scaled, np.linspace(0, 1, levels), side="right") / heights.size


def curve_distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the mean absolute difference of two width curves, from 0 (equal) to 1."""
    return float(np.abs(one - other).mean())


def width_slope(tree: MergeTree) -> float:
    """Return the slope of log width on log rise, divided by n/2 for n axes longer than 1.

    A quadratic bowl tends to 1, a cone to 2: the words "bowl" and "funnel" of the profiles paper
    (arXiv 2411.12136) as a number. Least squares over the vertices of the inscribed level set, the
    largest that stays off the border of the grid, where the rise is value - minimum > 0 and the
    width at a vertex is its rank by value. NaN on graphs, and where that set has too few vertices
    or rises.
    """
    axes = sum(length > 1 for length in tree.shape)
    finite = tree.vertex_arc >= 0
    if not is_on_lattice(tree) or axes == 0:
        return float("nan")
    heights = tree.heights[finite]
    top = heights[on_border(tree.shape)[finite]].min(initial=np.inf)
    rises = np.sort(heights - heights.min())
    inside = (rises > 0) & (rises < top - heights.min())
    if inside.sum() < LEAST_VERTICES or rises[inside][-1] < LEAST_SPREAD * rises[inside][0]:
        return float("nan")
    x, y = np.log(rises[inside]), np.log(np.flatnonzero(inside) + 1)
    slope = np.sum((x - x.mean()) * (y - y.mean())) / np.sum((x - x.mean()) ** 2)
    return float(slope / (axes / 2))


def is_on_lattice(tree: MergeTree) -> bool:
    """Say whether the vertices of a tree are those of a grid, which has a border and axes."""
    return tree.connectivity in LATTICES or tree.connectivity.startswith("mutual-knn")
