"""How well a map shows the distances that it was made from, and the order of trajectories."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr

from topograph.embedding.distances import FloatArray, checked_distances
from topograph.foundation.errors import TopographError

IntArray = NDArray[np.int64]


def quality(
    distances: ArrayLike, coordinates: ArrayLike, *, neighbours: int = 15
) -> dict[str, float]:
    """Return numbers by which maps (N, c) of the same points can be compared.

    - ``trustworthiness``  1 where all near on the map are near; falls with each stranger's rank
    - ``continuity``       1 where all that are near stay near on the map
    - ``overlap``          share of each point's nearest that are among its nearest on the map
    - ``shepard``          rank correlation of distances with those on the map
    - ``stress``           root of the squared error of the best scaled map over squared distances

    The first three look at the ``neighbours`` nearest points, ties by index. Where one side has no
    distances at all, ``shepard`` is NaN and ``stress`` 1. Raises TopographError for unusable
    distances, coordinates of other points or not finite, and ``neighbours`` of half the points.
    Source: Venna and Kaski 2001; Kruskal 1964 (stress-1 with a free scale); Shepard 1962.
    """
    given = checked_distances(distances)
    drawn = squareform(pdist(_checked_coordinates(coordinates, len(given))))
    _check_neighbours(neighbours, len(given))
    before, after = _ranks(given), _ranks(drawn)
    near, near_on_map = before <= neighbours, after <= neighbours
    pairs = np.triu_indices(len(given), 1)
    apart, apart_on_map = given[pairs], drawn[pairs]
    return {
        "trustworthiness": _kept(before, near_on_map & ~near, neighbours),
        "continuity": _kept(after, near & ~near_on_map, neighbours),
        "overlap": float((near & near_on_map).sum() / near.sum()),
        "shepard": _rank_correlation(apart, apart_on_map),
        "stress": _stress(apart, apart_on_map),
    }


def trajectory_preservation(
    coordinates: ArrayLike, trajectories: ArrayLike, *, neighbours: int = 5
) -> float:
    """Return the share of a trajectory's steps that are short on the map.

    ``coordinates`` is (N, c) with the points of each trajectory in the order of time;
    ``trajectories`` (N,) names the trajectory of each. A step joins two consecutive points, and is
    short where either is among the ``neighbours`` nearest of the other. NaN without steps.
    Raises TopographError for coordinates that are not finite or not as many as the names, and
    ``neighbours`` of half the points.
    """
    names = np.asarray(trajectories)
    drawn = squareform(pdist(_checked_coordinates(coordinates, len(names))))
    _check_neighbours(neighbours, len(names))
    near = _ranks(drawn) <= neighbours
    order = np.argsort(names, kind="stable")
    first, second = order[:-1], order[1:]
    steps = names[first] == names[second]
    short = near[first, second] | near[second, first]
    return float(short[steps].mean()) if steps.any() else float("nan")


def _ranks(distances: FloatArray) -> IntArray:
    """Return the rank (N, N) of the others of a row, 1 for the nearest; its own is N."""
    apart = distances.copy()
    np.fill_diagonal(apart, -1.0)
    order = np.argsort(apart, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(len(apart))[None, :], axis=1)
    np.fill_diagonal(ranks, len(apart))
    return ranks


def _kept(ranks: IntArray, strangers: NDArray[np.bool_], neighbours: int) -> float:
    """Return 1 less the excess ranks of strangers among the nearest, over the most there can be."""
    points = len(ranks)
    most = points * neighbours * (2 * points - 3 * neighbours - 1) / 2
    return float(1 - (ranks[strangers] - neighbours).sum() / most)


def _rank_correlation(first: FloatArray, second: FloatArray) -> float:
    if not (np.ptp(first) and np.ptp(second)):
        return float("nan")
    return float(spearmanr(first, second).statistic)


def _stress(apart: FloatArray, apart_on_map: FloatArray) -> float:
    total, own = apart @ apart, apart_on_map @ apart_on_map
    if not total or not own:
        return 1.0
    scale = (apart @ apart_on_map) / own
    return float(np.sqrt(np.sum((apart - scale * apart_on_map) ** 2) / total))


def _checked_coordinates(coordinates: ArrayLike, points: int) -> FloatArray:
    found = np.asarray(coordinates, dtype=np.float64)
    if found.ndim != 2 or len(found) != points or not np.isfinite(found).all():
        raise TopographError(
            f"coordinates have shape {found.shape} and "
            f"{np.count_nonzero(~np.isfinite(found))} values that are not finite; allowed: a "
            f"finite ({points}, c) matrix; pass the map of these points"
        )
    return found


def _check_neighbours(neighbours: int, points: int) -> None:
    if not 1 <= neighbours < points / 2:
        raise TopographError(
            f"neighbours is {neighbours} for {points} points; allowed: 1 to {(points - 1) // 2}; "
            "lower it or add points"
        )
