"""How much landscapes of equal settings differ: distances between them, with an interval."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from topograph.topology.distances import diagram_distance
from topograph.topology.merge_tree import MergeTree
from topograph.topology.shape import curve_distance, width_curve

MEASURES = ("bottleneck", "bottleneck_scaled", "wasserstein_scaled", "width_curve")
DRAWS = 2000
# Matching diagrams takes the product of their numbers of pairs in memory.
MOST_MINIMA = 500


def variability(trees: Sequence[MergeTree], *, seed: int = 0) -> pd.DataFrame:
    """Return mean distances between landscapes, such as those of several seeds, one row a measure.

    Columns: measure, mean, low and high (the central 95 % of means over landscapes drawn again with
    replacement, NaN below 3 landscapes), landscapes. Measures: ``bottleneck`` between H0 diagrams
    in units of the values; ``bottleneck_scaled`` and ``wasserstein_scaled`` after each landscape's
    values are scaled to [0, 1], all three of the 500 most persistent minima at most;
    ``width_curve``, the mean absolute difference of width curves. A landscape drawn twice is not
    compared with itself. NaN below 2 landscapes.
    """
    rows = []
    generator = np.random.default_rng(seed)
    picks = generator.integers(0, max(1, len(trees)), (DRAWS, len(trees)))
    for measure, distances in _distances(trees).items():
        low, high = _interval(distances, picks) if len(trees) > 2 else (np.nan, np.nan)
        rows.append(
            {
                "measure": measure,
                "mean": _mean_off_diagonal(distances),
                "low": low,
                "high": high,
                "landscapes": len(trees),
            }
        )
    return pd.DataFrame(rows)


def _distances(trees: Sequence[MergeTree]) -> dict[str, NDArray[np.float64]]:
    """Return a symmetric matrix of distances for each measure."""
    largest = [tree.largest(MOST_MINIMA) for tree in trees]
    plain = [tree.pairs for tree in largest]
    scaled = [_scaled(tree) for tree in largest]
    curves = [width_curve(tree) for tree in trees]
    found = {name: np.zeros((len(trees), len(trees))) for name in MEASURES}
    for i, j in itertools.combinations(range(len(trees)), 2):
        between = {
            "bottleneck": diagram_distance(plain[i], plain[j]),
            "bottleneck_scaled": diagram_distance(scaled[i], scaled[j]),
            "wasserstein_scaled": diagram_distance(scaled[i], scaled[j], metric="wasserstein"),
            "width_curve": curve_distance(curves[i], curves[j]),
        }
        for name, distance in between.items():
            found[name][i, j] = found[name][j, i] = distance
    return found


def _scaled(tree: MergeTree) -> pd.DataFrame:
    values = tree.values[tree.vertex_arc >= 0]
    low, extent = values.min(), np.ptp(values) or 1.0
    pairs = tree.pairs
    return pairs.assign(
        birth=(pairs["birth"] - low) / extent, death=(pairs["death"] - low) / extent
    )


def _mean_off_diagonal(distances: NDArray[np.float64]) -> float:
    count = len(distances)
    return float(distances.sum() / (count * (count - 1))) if count > 1 else float("nan")


def _interval(distances: NDArray[np.float64], picks: NDArray[np.int64]) -> tuple[float, float]:
    means = []
    for pick in picks:
        different = pick[:, None] != pick[None, :]
        if different.any():
            means.append(distances[np.ix_(pick, pick)][different].mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
