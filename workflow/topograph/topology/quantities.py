"""Numbers that summarise a landscape, derived from its merge tree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from topograph.topology.connectivity import LATTICES
from topograph.topology.merge_tree import MergeTree

LOW_SHARE = 0.1  # share of the loss range that counts as low
LEAST_SPREAD = 2.0  # rises that span a smaller factor do not fix a slope


def quantities(tree: MergeTree) -> dict[str, float]:
    """Return the named numbers of a merge tree; persistence and loss are in units of the values.

    Counts, all for the tree's connectivity
        vertices (finite), masked, minima, saddles (nodes of the tree), components
    Persistence (XIE, arXiv 2411.09807: "average persistence", as death - birth)
        total_persistence, max_persistence    over finite pairs; 0 where there are none
        mean_persistence                      over finite pairs; NaN where there are none
        total_, mean_persistence_with_global  with the pair of global minimum and maximum added,
                                              which the Topology ToolKit's diagrams contain
    Saddle-minimum average distance (Landscaper, arXiv 2602.07135)
        smad             mean of saddle - minimum over the arcs that join a minimum to a saddle;
                         not by the elder rule; 0 where there are none
        smad_normalized  smad / loss_range; 0 for a constant field
    Levels
        loss_minimum, loss_maximum, loss_range   of the finite values
        width_slope      least-squares slope of log width on log rise over the vertices with a
                         rise (value - minimum) in (0, 10 % of the range], divided by n / 2, n the
                         number of axes longer than 1. The width at a vertex is its rank by value,
                         so that ties and rounding weigh nothing. A quadratic bowl tends to 1, a
                         cone to 2 (profiles paper, arXiv 2411.12136: "bowl" and "funnel"). NaN on
                         graphs and where those rises span less than a factor of 2
        volume_below_10  share of the finite vertices at or below minimum + 10 % of the range

    For a superlevel tree, minimum and maximum change places in every definition except
    loss_minimum and loss_maximum.
    """
    heights = np.sort(tree.heights[tree.vertex_arc >= 0])
    extent = float(heights[-1] - heights[0])
    values = tree.values[tree.vertex_arc >= 0]
    low = heights <= heights[0] + LOW_SHARE * extent
    return {
        "vertices": float(heights.size),
        "masked": float(tree.masked),
        "minima": float(tree.minima.size),
        "saddles": float(tree.saddles.size),
        "components": float(np.count_nonzero(tree.arc_parent < 0)),
        **_persistence_numbers(tree, extent),
        **_smad(tree, extent),
        "loss_minimum": float(values.min()),
        "loss_maximum": float(values.max()),
        "loss_range": extent,
        "width_slope": _width_slope(tree, heights),
        "volume_below_10": float(low.mean()),
    }


def _persistence_numbers(tree: MergeTree, extent: float) -> dict[str, float]:
    pairs = tree.pairs
    finite = pairs[np.isfinite(pairs["death"])]
    lengths = (finite["death"] - finite["birth"]).abs().to_numpy()
    total = float(lengths.sum())
    return {
        "mean_persistence": total / lengths.size if lengths.size else float("nan"),
        "total_persistence": total,
        "mean_persistence_with_global": (total + extent) / (lengths.size + 1),
        "total_persistence_with_global": total + extent,
        "max_persistence": float(lengths.max(initial=0.0)),
    }


def _smad(tree: MergeTree, extent: float) -> dict[str, float]:
    heights = tree.heights[tree.arc_vertex]
    arcs = np.flatnonzero(tree.is_leaf & (tree.arc_parent >= 0))
    gaps = heights[tree.arc_parent[arcs]] - heights[arcs]
    smad = float(gaps.mean()) if gaps.size else 0.0
    return {"smad": smad, "smad_normalized": smad / extent if extent > 0 else 0.0}


def _width_slope(tree: MergeTree, heights: NDArray[np.float64]) -> float:
    axes = sum(length > 1 for length in tree.shape)
    if tree.connectivity not in LATTICES or axes == 0:
        return float("nan")
    rises = heights - heights[0]
    ranks = np.arange(1, rises.size + 1)
    low = (rises > 0) & (rises <= LOW_SHARE * rises[-1])
    if not low.any() or rises[low][-1] < LEAST_SPREAD * rises[low][0]:
        return float("nan")
    x, y = np.log(rises[low]), np.log(ranks[low])
    slope = np.sum((x - x.mean()) * (y - y.mean())) / np.sum((x - x.mean()) ** 2)
    return float(slope / (axes / 2))
