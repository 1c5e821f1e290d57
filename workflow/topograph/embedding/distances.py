"""What every map of points known by their distances expects of those distances."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from topograph.foundation.errors import TopographError

FloatArray = NDArray[np.float64]

SYMMETRY_TOLERANCE = 1e-8


def checked_distances(distances: ArrayLike) -> FloatArray:
    """Return a copy of (N, N) distances in float64, with a diagonal of exact zeros.

    Raises TopographError for distances that are not square, symmetric, finite, or are negative.
    """
    distances = np.array(distances, dtype=np.float64)
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1]:
        raise TopographError(
            f"distances have shape {distances.shape}; allowed: (N, N); "
            "pass the distance of every point to every point"
        )
    unusable = int(np.count_nonzero(~np.isfinite(distances)))
    if unusable:
        raise TopographError(
            f"{unusable} distances are not finite; allowed: finite distances; "
            "leave out the points of diverged trainings"
        )
    if distances.size and distances.min() < 0:
        raise TopographError(
            f"the smallest distance is {distances.min():g}; allowed: 0 or more; "
            "clip rounding errors at 0"
        )
    tolerance = SYMMETRY_TOLERANCE * distances.max(initial=0.0)
    gap = np.abs(distances - distances.T).max(initial=0.0)
    if gap > tolerance:
        raise TopographError(
            f"distances differ from their transpose by up to {gap:g}; allowed: {tolerance:g}; "
            "pass (distances + distances.T) / 2 if both directions mean the same"
        )
    own = np.diagonal(distances).max(initial=0.0)
    if own > tolerance:
        raise TopographError(
            f"a point lies at distance {own:g} from itself; allowed: 0; "
            "pass distances, not similarities"
        )
    np.fill_diagonal(distances, 0.0)
    return distances
