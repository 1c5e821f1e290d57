"""Numbers that summarise a landscape, derived from its merge tree."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from topograph.topology.connectivity import on_border
from topograph.topology.merge_tree import MergeTree
from topograph.topology.resolution import resolved
from topograph.topology.shape import is_on_lattice, width_curve, width_slope

LOW_PERCENT = (10, 25, 50)  # heights, in percent of the loss range, below which volume is counted


def quantities(tree: MergeTree, *, errors: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return the named numbers of a merge tree; persistence and loss are in units of the values.

    Counts, all for the tree's connectivity
        vertices (finite), masked, minima, saddles (nodes of the tree), components
        minima_resolved, saddles_resolved   with the `errors` of a landscape, see `resolved`: the
                         minima of resolved pairs, and the saddles at which one of them dies
        mean_persistence_resolved           over finite resolved pairs; 0 where there are none
    Persistence (XIE, arXiv 2411.09807: "average persistence", as death - birth)
        total_persistence, max_persistence    over finite pairs; 0 where there are none
        mean_persistence                      over finite pairs; NaN where there are none
        mean_log_persistence                  of log10 death - log10 birth: the same for losses in
                                              any unit; 0 where there are no pairs, NaN where a
                                              birth or a death is not above 0
        total_, mean_persistence_with_global  with the pair of global minimum and maximum added,
                                              which the Topology ToolKit's diagrams contain
        persistence_entropy                   of the finite pairs' shares of the total (Atienza et
                                              al. 2020), in nats; 0 for one pair, NaN for none
    Saddle-minimum average distance (Landscaper, arXiv 2602.07135), on the merge tree: its first
    releases took the contour tree, which is another number and is not computed here
        smad             mean of saddle - minimum over the arcs that join a minimum to a saddle;
                         not by the elder rule; 0 where there are none
        smad_normalized  smad / loss_range; 0 for a constant field
        smad_weighted    the same mean of (saddle - minimum) times the share of the vertices from
                         which steepest descent reaches the minimum
    Volumes
        volume_global_basin   share of the finite vertices from which steepest descent reaches the
                              global minimum
        volume_largest_basin  the largest such share of any minimum
        volume_below_10, _25, _50   share of the finite vertices at or below minimum + that percent
                              of the range
    Levels
        loss_minimum, loss_maximum, loss_range   of the finite values
        loss_border      median over the border of a grid; NaN on graphs
        width_slope      1 for a quadratic bowl, 2 for a cone, see `width_slope`

    For a superlevel tree, minimum and maximum change places in every definition except
    loss_minimum and loss_maximum. Raises TopographError as `resolved` does.
    """
    values = tree.values[tree.vertex_arc >= 0]
    extent = float(np.ptp(values))
    curve = width_curve(tree)
    return {
        "vertices": float(values.size),
        "masked": float(tree.masked),
        "minima": float(tree.minima.size),
        "saddles": float(tree.saddles.size),
        "components": float(tree.components),
        **_resolved_counts(tree, errors),
        **_persistence_numbers(tree, extent),
        **_smad(tree, extent),
        **_volumes(tree),
        **{f"volume_below_{percent}": float(curve[percent]) for percent in LOW_PERCENT},
        "loss_minimum": float(values.min()),
        "loss_maximum": float(values.max()),
        "loss_range": extent,
        "loss_border": _border(tree),
        "width_slope": width_slope(tree),
    }


def _resolved_counts(tree: MergeTree, errors: Mapping[str, float] | None) -> dict[str, float]:
    if errors is None:
        return {}
    kept = tree.pairs[resolved(tree.pairs, errors)]
    finite = kept[np.isfinite(kept["death"])]
    lengths = (finite["death"] - finite["birth"]).abs()
    return {
        "minima_resolved": float(len(kept)),
        "saddles_resolved": float(finite["death_vertex"].nunique()),
        "mean_persistence_resolved": float(lengths.mean()) if len(lengths) else 0.0,
    }


def _persistence_numbers(tree: MergeTree, extent: float) -> dict[str, float]:
    pairs = tree.pairs
    finite = pairs[np.isfinite(pairs["death"])]
    lengths = (finite["death"] - finite["birth"]).abs().to_numpy()
    total = float(lengths.sum())
    shares = lengths / total if lengths.size else lengths
    return {
        "mean_persistence": total / lengths.size if lengths.size else float("nan"),
        "mean_log_persistence": _mean_log_persistence(finite),
        "total_persistence": total,
        "mean_persistence_with_global": (total + extent) / (lengths.size + 1),
        "total_persistence_with_global": total + extent,
        "max_persistence": float(lengths.max(initial=0.0)),
        "persistence_entropy": float((shares * -np.log(shares)).sum()) if total else float("nan"),
    }


def _mean_log_persistence(finite: pd.DataFrame) -> float:
    ends = finite[["birth", "death"]].to_numpy()
    if not (ends > 0).all():
        return float("nan")
    return float(np.abs(np.diff(np.log10(ends), axis=1)).mean()) if len(ends) else 0.0


def _border(tree: MergeTree) -> float:
    if not is_on_lattice(tree):
        return float("nan")
    border = tree.values[on_border(tree.shape) & (tree.vertex_arc >= 0)]
    return float(np.median(border)) if border.size else float("nan")


def _smad(tree: MergeTree, extent: float) -> dict[str, float]:
    heights = tree.heights[tree.arc_vertex]
    arcs = np.flatnonzero(tree.is_leaf & (tree.arc_parent >= 0))
    gaps = heights[tree.arc_parent[arcs]] - heights[arcs]
    smad, weighted = (
        float(found.mean()) if arcs.size else 0.0
        for found in (gaps, gaps * tree.basin_volumes[arcs] / (tree.values.size - tree.masked))
    )
    return {
        "smad": smad,
        "smad_normalized": smad / extent if extent > 0 else 0.0,
        "smad_weighted": weighted,
    }


def _volumes(tree: MergeTree) -> dict[str, float]:
    shares = tree.basin_volumes / (tree.values.size - tree.masked)
    return {"volume_global_basin": float(shares[0]), "volume_largest_basin": float(shares.max())}
