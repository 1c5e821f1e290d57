"""Distances between persistence diagrams, and diagrams as images and numbers."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from topograph.foundation.errors import TopographError, unknown_name

METRICS = ("bottleneck", "wasserstein")


def diagram_distance(
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    metric: str = "bottleneck",
    dim: int = 0,
    order: float = 1.0,
) -> float:
    """Return the distance between two persistence diagrams, in units of the values.

    `a` and `b` have columns birth and death, and dim where they come from `persistence`; the pairs
    of a merge tree have no dim and are of dim 0. Points are matched with each other or with the
    diagonal, at the larger difference of births and of deaths. "bottleneck" is the largest of
    these in the best matching; "wasserstein" the root of order `order`, from 1, of the sum of their
    powers. Both are exact: GUDHI 3.13 returns some bottleneck distances that are too large, and its
    Hera hangs or crashes on equal diagrams in different order. Memory grows with the product of
    the numbers of pairs. Essential pairs match each other by birth; where their numbers differ,
    the distance is infinite. Superlevel pairs (death below birth) in both tables are mirrored.
    Raises TopographError for an unknown metric, an order below 1, missing columns, a birth that is
    not finite, a death that is NaN, and pairs of which some rise and others fall.
    Source: Cohen-Steiner, Edelsbrunner and Harer 2007 and, with Mileyko, 2010.
    """
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    if not (isinstance(order, int | float | np.number) and 1 <= order < math.inf):
        raise TopographError(f"order is {order!r}; allowed: a finite number from 1")
    first, second = _points(a, dim), _points(b, dim)
    # Both at once: the minima of one landscape have no distance to the maxima of another.
    rising = _rising(np.concatenate([first, second]))
    first, second = rising[: len(first)], rising[len(first) :]
    (first, births), (second, other_births) = _split(first), _split(second)
    if len(births) != len(other_births):
        return math.inf
    apart = np.abs(births - other_births)
    if metric == "bottleneck":
        return max(float(apart.max(initial=0.0)), _bottleneck(first, second))
    return _wasserstein(first, second, apart, order)


def persistence_image(
    pairs: pd.DataFrame,
    *,
    bandwidth: float,
    extent: tuple[float, float, float, float],
    resolution: int = 20,
    dim: int = 0,
) -> NDArray[np.float64]:
    """Return the persistence image of the finite pairs, shape (resolution, resolution).

    Each pair adds a Gaussian of standard deviation `bandwidth` and integral death - birth, so the
    unit is 1 / that of the values. Rows are steps of persistence and columns of birth, both from
    the first to the last value of `extent`: lowest and highest birth, then persistence. Bandwidth
    and extent are in units of the values; images compare where they are equal. `pairs` is as in
    `diagram_distance`, superlevel pairs with values negated; without finite pairs, all 0.
    Raises TopographError as there, for a bandwidth not above 0, an extent of another form, and a
    resolution below 1.
    Source: Adams et al. 2017, with their linear weight.
    """
    _check_image(bandwidth, extent, resolution)
    finite = _finite(pairs, dim)
    if not len(finite):
        return np.zeros((resolution, resolution))
    from gudhi.representations import PersistenceImage  # slow: it loads scikit-learn

    image = PersistenceImage(
        bandwidth=bandwidth,
        weight=lambda point: point[1],
        resolution=[resolution, resolution],
        im_range=list(extent),
    )
    return image.fit_transform([finite])[0].reshape(resolution, resolution)


def persistence_entropy(pairs: pd.DataFrame, *, dim: int = 0) -> float:
    """Return the entropy of the finite pairs' shares of the total persistence, in nats.

    From 0 for a single pair to log m for m pairs of one length; NaN where there is no finite pair.
    `pairs` is as in `diagram_distance`; pairs of length 0 add nothing. Raises TopographError as
    there. Source: Atienza, Gonzalez-Diaz and Soriano-Trigueros 2020.
    """
    finite = _finite(pairs, dim)
    if not len(finite):
        return float("nan")
    from gudhi.representations import Entropy  # slow: it loads scikit-learn

    return float(Entropy(mode="scalar").fit_transform([finite])[0, 0])


def _bottleneck(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the least level at which every point that outlives it finds a partner within it.

    Matchings that serve the points of one diagram and those of the other make one that serves
    both (Mendelsohn and Dulmage 1958), so each is looked for alone.
    """
    between, lengths, other_lengths = _costs(first, second)
    # No level is lower than what the worst-placed point needs, wherever all others go.
    needs = np.minimum(lengths, between.min(axis=1, initial=np.inf))
    other_needs = np.minimum(other_lengths, between.min(axis=0, initial=np.inf))
    least = max(needs.max(initial=0.0), other_needs.max(initial=0.0))
    levels = np.concatenate([between.ravel(), lengths, other_lengths])
    longest = max(lengths.max(initial=0.0), other_lengths.max(initial=0.0))
    levels = np.unique(np.append(levels[(levels > least) & (levels <= longest)], least))

    def suffices(level: float) -> bool:
        within = between <= level
        return _all_matched(within[lengths > level]) and _all_matched(
            within.T[other_lengths > level]
        )

    return float(levels[bisect_left(levels, True, key=suffices)])


def _all_matched(joined: NDArray[np.bool_]) -> bool:
    """Return whether some matching gives each row a column of its own."""
    if not joined.any(axis=1).all():
        return False
    if not len(joined):
        return True
    return bool((maximum_bipartite_matching(csr_array(joined), perm_type="column") >= 0).all())


def _wasserstein(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    apart: NDArray[np.float64],
    order: float,
) -> float:
    """Return the root of the sum of powers; `apart` are the costs of the essential pairs."""
    between, lengths, other_lengths = _costs(first, second)
    # Powers of shares, so that none overflows.
    scale = max(values.max(initial=0.0) for values in (apart, lengths, other_lengths)) or 1.0
    alone = np.add.outer((lengths / scale) ** order, (other_lengths / scale) ** order)
    # A match is worth what it saves over the diagonal; a negative saving stands for the diagonal.
    saved = alone - (between / scale) ** order
    rows, columns = linear_sum_assignment(np.maximum(saved, 0), maximize=True)
    worth = saved[rows, columns] > 0
    rows, columns = rows[worth], columns[worth]
    left = [np.delete(lengths, rows), np.delete(other_lengths, columns)]
    costs = np.concatenate([apart, between[rows, columns], *left])
    return float(scale * np.sum((costs / scale) ** order) ** (1 / order))


def _costs(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the costs of every match, (m, k), and of leaving each point to the diagonal."""
    births, deaths = (np.abs(np.subtract.outer(first[:, i], second[:, i])) for i in range(2))
    return np.maximum(births, deaths), np.ptp(first, axis=1) / 2, np.ptp(second, axis=1) / 2


def _split(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the finite points and the births of the essential ones, sorted."""
    essential = np.isinf(points[:, 1])
    return points[~essential], np.sort(points[essential, 0])


def _points(pairs: pd.DataFrame, dim: int) -> NDArray[np.float64]:
    """Return births and deaths of one dimension, (m, 2), without pairs of length 0."""
    if not {"birth", "death"} <= set(pairs.columns):
        raise TopographError(
            f"the diagram has columns {list(pairs.columns)}; allowed: birth and death, "
            "and dim if there are several, as persistence() and a merge tree's pairs have"
        )
    if "dim" in pairs.columns:
        pairs = pairs[pairs["dim"] == dim]
    elif dim != 0:
        raise TopographError(
            f"dim is {dim!r}, but the diagram has no column dim, so that its pairs are of dim 0; "
            "allowed: 0, or a diagram of persistence()"
        )
    points = pairs[["birth", "death"]].to_numpy(np.float64)
    bad = ~np.isfinite(points[:, 0]) | np.isnan(points[:, 1])
    if bad.any():
        raise TopographError(
            f"the diagram has the pair {tuple(points[bad][0].tolist())}; "
            "allowed: finite births, and deaths that are no NaN"
        )
    return points[points[:, 0] != points[:, 1]]


def _rising(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points with deaths above births: mirrored if all of them fall."""
    falls = points[:, 1] < points[:, 0]
    if falls.any() and not falls.all():
        raise TopographError(
            f"{np.count_nonzero(falls)} of {len(falls)} pairs have their death below their birth; "
            "allowed: all or none. Compare sublevel pairs with sublevel pairs, and extended pairs "
            "kind by kind"
        )
    return -points if falls.any() else points


def _finite(pairs: pd.DataFrame, dim: int) -> NDArray[np.float64]:
    return _split(_rising(_points(pairs, dim)))[0]


def _check_image(
    bandwidth: float, extent: tuple[float, float, float, float], resolution: int
) -> None:
    if not 0 < bandwidth < math.inf:
        raise TopographError(f"bandwidth is {bandwidth!r}; allowed: a finite number above 0")
    if not isinstance(resolution, int | np.integer) or resolution < 1:
        raise TopographError(f"resolution is {resolution!r}; allowed: an integer from 1")
    if len(extent) != 4 or not np.isfinite(extent).all():
        raise TopographError(
            f"extent is {extent!r}; allowed: four finite numbers, "
            "lowest and highest birth, lowest and highest persistence"
        )
    if not (extent[0] < extent[1] and extent[2] < extent[3]):
        raise TopographError(f"extent is {extent!r}; allowed: each lowest below its highest")
