"""Tests of claims: ranks, permutations within strata, intervals over cells, Holm's correction."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from topograph.foundation.errors import TopographError

PERMUTATIONS = 9_999
DRAWS = 2_000
# Fewer arrangements than this are all looked at.
MOST_ENUMERATED = 20_000
Floats = NDArray[np.float64]


class Test(NamedTuple):
    """A statistic with its 95 % interval and one-sided p, the smallest attainable p, the units."""

    value: float
    low: float
    high: float
    p: float
    p_smallest: float
    n: int


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Return the rank correlation of two (N,) samples, ties at mean ranks; NaN for a constant."""
    a, b = rankdata(x), rankdata(y)
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def rank_correlation(x: ArrayLike, y: ArrayLike, strata: ArrayLike, *, seed: int = 0) -> Test:
    """Test whether y rises with x within strata, each (N,), one unit an entry.

    The statistic is the mean over strata of Spearman's rho, weighted by their units less one; p is
    one-sided, from permutations of y within strata, all of them where they are few; the interval is
    of units drawn again with replacement within strata. Strata of fewer than 3 units, or constant
    in x, cannot say anything and are left out; NaN where none remains. A stratum constant in y says
    that y does not rise: it counts with a rho of 0. Raises TopographError for unequal lengths.
    """
    one, two, labels = _aligned(x, y, strata)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    groups = [g for g in groups if len(g) > 2 and np.ptp(one[g]) > 0]
    n = sum(map(len, groups))
    if not groups:
        return _nothing(n)
    ranks = [(_standard(one[g]), _standard(two[g])) for g in groups]
    weights = np.array([len(g) - 1 for g in groups], float)
    weights /= weights.sum()
    value = float(weights @ [a @ b for a, b in ranks])
    best = float(weights @ [np.sort(a) @ np.sort(b) for a, b in ranks])
    found, total = _permuted(ranks, weights, seed)
    drawn = _drawn_again([(one[g], two[g]) for g in groups], weights, seed)
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
    return Test(value, float(low), float(high), *_p(value, best, found, total), n)


def valley(x: ArrayLike, y: ArrayLike, bottom: float, *, seed: int = 0) -> Test:
    """Test whether y rises away from a place on x, to both sides; each (N,), one unit an entry.

    The statistic is the lower of the two sides' rank correlations of y with the distance to the
    place, so that one side alone proves nothing; p is one-sided, from permutations of y over all
    units; the interval is of units drawn again with replacement on each side. NaN where a side,
    the place included, has fewer than 2 units.
    """
    one, two, _ = _aligned(x, y, np.zeros(np.shape(x)))
    n, total = len(one), math.factorial(len(one))
    sides = [np.flatnonzero(side) for side in (one <= bottom, one >= bottom)]
    if min(map(len, sides)) < 2:
        return _nothing(n)
    away = np.abs(one - bottom)
    if total <= MOST_ENUMERATED:
        arranged = np.array(list(itertools.permutations(two)))
    else:
        arranged = np.random.default_rng(seed).permuted(np.tile(two, (PERMUTATIONS, 1)), axis=1)
    value, *found = np.min(
        [_standard(np.vstack([two, arranged])[:, s]) @ _standard(away[s]) for s in sides], axis=0
    )
    drawn = [
        _drawn_again([(away[s], two[s])], np.ones(1), seed + place) for place, s in enumerate(sides)
    ]
    # Draws of one place only are left out of each.
    lower = np.minimum(*(one[: min(map(len, drawn))] for one in drawn))
    low, high = np.quantile(lower, [0.025, 0.975])
    best = float(np.max(found))
    return Test(float(value), float(low), float(high), *_p(value, best, np.array(found), total), n)


def sign_flips(differences: ArrayLike, *, seed: int = 0) -> Test:
    """Test whether (N,) differences, one for each unit, have a mean above 0, by flips of signs.

    NaN entries are left out. The interval is of units drawn again with replacement.
    """
    units = np.asarray(differences, float)
    units = units[np.isfinite(units)]
    n = len(units)
    if n == 0:
        return _nothing(0)
    total = 2**n
    if total <= MOST_ENUMERATED:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=n)))
    else:
        signs = np.random.default_rng(seed).choice([1.0, -1.0], (PERMUTATIONS, n))
    value = float(units.mean())
    found, best = signs @ units / n, float(np.abs(units).mean())
    again = np.random.default_rng(seed).choice(units, (DRAWS, n)).mean(axis=1)
    low, high = np.quantile(again, [0.025, 0.975])
    return Test(value, float(low), float(high), *_p(value, best, found, total), n)


def two_groups(first: ArrayLike, second: ArrayLike, *, seed: int = 0) -> Test:
    """Test whether the first sample has the higher mean rank, by exchanging labels.

    The statistic is the probability that a unit of the first exceeds one of the second, ties
    counted half (Mann and Whitney), less 1/2; n counts both. NaN entries are left out.
    """
    one, two = (np.asarray(v, float) for v in (first, second))
    one, two = one[np.isfinite(one)], two[np.isfinite(two)]
    n = len(one) + len(two)
    if not len(one) or not len(two):
        return _nothing(n)
    both = np.concatenate([one, two])
    ranks = rankdata(both)
    value = float(_exceeds(ranks[None, : len(one)], len(two))[0])
    total = math.comb(n, len(one))
    if total <= MOST_ENUMERATED:
        chosen = np.array(list(itertools.combinations(range(n), len(one))))
    else:
        draw = np.random.default_rng(seed)
        chosen = np.array([draw.permutation(n)[: len(one)] for _ in range(PERMUTATIONS)])
    found = _exceeds(ranks[chosen], len(two))
    best = float(_exceeds(np.sort(ranks)[None, len(two) :], len(two))[0])
    draw = np.random.default_rng(seed)
    again = np.concatenate(
        [draw.choice(sample, (DRAWS, len(sample))) for sample in (one, two)], axis=1
    )
    shares = _exceeds(rankdata(again, axis=1)[:, : len(one)], len(two))
    low, high = np.quantile(shares, [0.025, 0.975])
    return Test(value, float(low), float(high), *_p(value, best, found, total), n)


def holm(p: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p of a family of tests; NaN entries are not in it (Holm 1979)."""
    known = [i for i, value in enumerate(p) if not math.isnan(value)]
    adjusted, running = [float("nan")] * len(p), 0.0
    for place, i in enumerate(sorted(known, key=lambda i: p[i])):
        running = max(running, min(1.0, (len(known) - place) * p[i]))
        adjusted[i] = running
    return adjusted


def transition(settings: ArrayLike, errors: ArrayLike, threshold: float) -> float:
    """Return the log10 of the setting at which errors first exceed a threshold for good.

    Half way, on the log scale, between the last setting at or below it and the next one; settings
    are positive. NaN where all lie on one side.
    """
    order = np.argsort(np.asarray(settings, float))
    x, above = np.log10(np.asarray(settings, float)[order]), np.asarray(errors)[order] > threshold
    if above.all() or not above[-1]:
        return float("nan")
    last = int(np.flatnonzero(~above)[-1])
    return float((x[last] + x[last + 1]) / 2)


def _aligned(*given: ArrayLike) -> tuple[NDArray, ...]:
    arrays = [np.asarray(one) for one in given]
    if len({len(one) for one in arrays}) > 1:
        raise TopographError(
            f"samples of {', '.join(str(len(one)) for one in arrays)} units cannot be paired; "
            "give each unit one value of each"
        )
    x, y = arrays[0].astype(float), arrays[1].astype(float)
    finite = np.isfinite(x) & np.isfinite(y)
    return tuple(one[finite] for one in (x, y, arrays[2]))


def _standard(values: Floats) -> Floats:
    """Return ranks with mean 0 and length 1, so that a product of two is Spearman's rho.

    Along the last axis; zeros for a constant.
    """
    ranks = rankdata(values, axis=-1)
    ranks = ranks - ranks.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(ranks, axis=-1, keepdims=True)
    return ranks / np.where(length > 0, length, 1.0)


def _permuted(
    ranks: Sequence[tuple[Floats, Floats]], weights: Floats, seed: int
) -> tuple[Floats, int]:
    """Return the statistic under permutations within strata, and how many there are in all."""
    total = math.prod(math.factorial(len(a)) for a, _ in ranks)
    if total <= MOST_ENUMERATED:
        found = np.zeros(1)
        for weight, (a, b) in zip(weights, ranks, strict=True):
            one = weight * (np.array(list(itertools.permutations(b))) @ a)
            found = (found[:, None] + one).ravel()
        return found, total
    draw = np.random.default_rng(seed)
    found = np.zeros(PERMUTATIONS)
    for weight, (a, b) in zip(weights, ranks, strict=True):
        found += weight * (draw.permuted(np.tile(b, (PERMUTATIONS, 1)), axis=1) @ a)
    return found, total


def _drawn_again(groups: Sequence[tuple[Floats, Floats]], weights: Floats, seed: int) -> Floats:
    """Return the statistic of units drawn again within strata; a draw may make x constant."""
    draw = np.random.default_rng(seed)
    total, known = np.zeros(DRAWS), np.zeros(DRAWS)
    for weight, (x, y) in zip(weights, groups, strict=True):
        pick = draw.integers(0, len(x), (DRAWS, len(x)))
        total += weight * (_standard(x[pick]) * _standard(y[pick])).sum(axis=1)
        known += weight * (np.ptp(x[pick], axis=1) > 0)
    return total[known > 0] / known[known > 0]


def _exceeds(ranks: Floats, others: int) -> Floats:
    """Return P(unit > other) - 1/2 from the ranks (draws, units) among units and others."""
    units = ranks.shape[1]
    share: Floats = (ranks.sum(axis=1) - units * (units + 1) / 2) / (units * others) - 0.5
    return share


def _p(value: float, best: float, found: Floats, total: int) -> tuple[float, float]:
    """Return p of a value, and of the best that any arrangement reaches: ties make it larger.

    ``found`` are the statistics of all ``total`` arrangements, or of a sample of them.
    """
    close = 1e-12 * max(1.0, float(np.abs(found).max()))
    hits, reaching = (int((found >= one - close).sum()) for one in (value, best))
    if len(found) == total:
        return hits / total, reaching / total
    return (1 + hits) / (1 + len(found)), (1 + reaching) / (1 + len(found))


def _nothing(n: int) -> Test:
    nan = float("nan")
    return Test(nan, nan, nan, nan, nan, n)
