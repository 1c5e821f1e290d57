"""What must stand beside a total persistence: other filtrations, extended pairs, a null."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from topograph.foundation.errors import TopographError
from topograph.topology.merge_tree import merge_tree
from topograph.topology.persistence import persistence
from topograph.trajectory.homology import Edges, FloatArray

DRAWS = 999
KINDS = ("ordinary", "relative", "extended+", "extended-")


def filtrations(losses: ArrayLike) -> dict[str, FloatArray]:
    """Return losses (N,) under monotone transforms, which pair the same points.

    ``log loss`` is base 10, NaN where a loss is not above 0; ``rank`` runs from 1 / N to 1, ties at
    their mean. A loss that is not finite is NaN in all. What remains of a difference between
    networks under them is no matter of scale.
    """
    given = np.array(losses, dtype=np.float64)
    finite = np.isfinite(given)
    given[~finite] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms = np.where(given > 0, np.log10(given), np.nan)
    ranks = np.full(len(given), np.nan)
    ranks[finite] = rankdata(given[finite]) / max(np.count_nonzero(finite), 1)
    return {"loss": given, "log loss": logarithms, "rank": ranks}


def extended_totals(edges: ArrayLike, losses: ArrayLike) -> dict[str, float]:
    """Return the sums of (death - birth)^2 of extended persistence, by kind, dimensions 0 and 1.

    ``ordinary`` are minima that merge as the loss rises, ``relative`` maxima that merge as it
    falls, ``extended+`` each component's minimum and maximum, ``extended-`` loops. Losses are
    finite. Source: Cohen-Steiner, Edelsbrunner and Harer 2009, by GUDHI.
    """
    pairs = persistence(np.asarray(losses, float), edges=edges, extended=True)
    squares = (pairs["death"] - pairs["birth"]) ** 2
    totals = squares.groupby(pairs["kind"]).sum()
    return {kind: float(totals.get(kind, 0.0)) for kind in KINDS}


def permutation_null(
    edges: ArrayLike,
    losses: ArrayLike,
    strata: ArrayLike | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, float]:
    """Compare totals of the graph with those after the losses are permuted among its vertices.

    ``edges`` is (E, 2), ``losses`` (N,) finite; with ``strata`` (N,) losses stay within equal
    entries, such as those of one step and epoch. ``finite`` is the total of the finite pairs of
    dimension 0, ``both`` with those of -loss added: the ordinary and the relative pairs of extended
    persistence. For each, the mean over ``draws`` permutations and p = (1 + how many reach the
    observed total) / (draws + 1): small where the losses make more of the graph than chance does,
    near 1 where they change gently along it. The published total of a connected graph does not
    change under it and has no p.
    """
    links, given = np.asarray(edges, dtype=np.int64), np.asarray(losses, dtype=np.float64)
    if not np.isfinite(given).all():
        raise TopographError(
            f"{np.count_nonzero(~np.isfinite(given))} losses are not finite; allowed: finite "
            "losses; leave out diverged trajectories and their edges"
        )
    groups = _groups(strata, len(given))
    draw = np.random.default_rng(seed)
    observed = _totals(links, given)
    found = np.empty((draws, 2))
    for row in found:
        permuted = given.copy()
        for group in groups:
            permuted[group] = given[draw.permutation(group)]
        row[:] = _totals(links, permuted)
    # A tolerance, since sums of the same numbers in another order differ in the last bit.
    reached = (found >= observed * (1 - 1e-12)).sum(axis=0)
    p = (1 + reached) / (draws + 1)
    return {
        "finite": float(observed[0]),
        "both": float(observed[1]),
        "finite_null": float(found[:, 0].mean()),
        "both_null": float(found[:, 1].mean()),
        "finite_p": float(p[0]),
        "both_p": float(p[1]),
    }


def _groups(strata: ArrayLike | None, points: int) -> list[NDArray[np.int64]]:
    if strata is None:
        return [np.arange(points)]
    names = np.asarray(strata)
    if len(names) != points:
        raise TopographError(f"{len(names)} strata belong to {points} losses; give one for each")
    _, place = np.unique(names, return_inverse=True)
    return [np.flatnonzero(place == group) for group in range(place.max() + 1)]


def _totals(edges: Edges, losses: FloatArray) -> FloatArray:
    rising, falling = (_finite_total(edges, values) for values in (losses, -losses))
    return np.array([rising, rising + falling])


def _finite_total(edges: Edges, losses: FloatArray) -> float:
    pairs = merge_tree(losses, edges).pairs
    lengths = (pairs["death"] - pairs["birth"]).to_numpy()
    return float(np.sum(lengths[np.isfinite(lengths)] ** 2))
