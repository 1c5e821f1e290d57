"""The shape of a loss surface in three numbers: roughness, minima, and how much of it is convex."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from topograph.foundation.errors import TopographError
from topograph.topology.critical import counts_by_index


class PlaneShape(NamedTuple):
    """Roughness (0 for lines of one valley), local minima off the border, share that is convex."""

    roughness: float
    minima: int
    convex_share: float


def plane_shape(losses: ArrayLike) -> PlaneShape:
    """Return how rough, how cratered and how convex a plane of losses (M, N) is.

    - ``roughness``     over all lines of the grid along either axis, the mean of the line's total
                        variation less what falling to its least value and rising to its other end
                        needs, in units of the line's range: 0 for one valley, a slope or a
                        constant, 2 (k - 1) for a cosine of k waves that begins at its crest
    - ``minima``        local minima off the border, as ``critical_points`` counts them
    - ``convex_share``  of the interior points the share whose second differences along both axes
                        and both diagonals are at least 0: all of them, where the loss is convex

    Lines, and interior points with their eight neighbours, that hold a value that is not finite are
    left out of the first and the last, which are NaN where none remains. Scaling or shifting the
    losses changes none of the three. They put into numbers what Li et al. 2018 (arXiv 1712.09913,
    section 5) tell by eye. Raises TopographError for what is not a plane of at least
    3 x 3 points, and for values that are complex or all masked.
    """
    plane = np.asarray(losses)
    if plane.ndim != 2 or min(plane.shape) < 3:
        raise TopographError(
            f"losses have shape {plane.shape}; allowed: (M, N), each at least 3; give one plane"
        )
    minima = int(counts_by_index(plane)["critical_index_0"])
    plane = plane.astype(float)
    rough = np.concatenate([_line_roughness(lines) for lines in (plane, plane.T)])
    with np.errstate(invalid="ignore"):
        bends = _second_differences(plane)
    known = bends[:, np.isfinite(bends).all(axis=0)]
    convex = np.all(known >= 0, axis=0)
    return PlaneShape(_mean(rough[np.isfinite(rough)]), minima, _mean(convex))


def _line_roughness(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the roughness of each row (M,), NaN where a value is not finite."""
    found = np.full(len(lines), np.nan)
    whole = np.isfinite(lines).all(axis=1)
    rows = lines[whole]
    steps, span = np.diff(rows, axis=1), np.ptp(rows, axis=1)
    falling = np.arange(steps.shape[1]) < rows.argmin(axis=1)[:, None]
    # Each step against the way is made up for: as this sum a smooth line has exactly 0.
    excess = 2 * np.where(falling, steps, -steps).clip(min=0).sum(axis=1)
    found[whole] = np.divide(excess, span, out=np.zeros(len(rows)), where=span > 0)
    return found


def _second_differences(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return second differences (4, M - 2, N - 2) along axes and diagonals at interior points."""
    rows, columns = plane.shape

    def moved(down: int, right: int) -> NDArray[np.float64]:
        return plane[1 + down : rows - 1 + down, 1 + right : columns - 1 + right]

    ways = [(0, 1), (1, 0), (1, 1), (1, -1)]
    return np.stack([moved(i, j) + moved(-i, -j) - 2 * moved(0, 0) for i, j in ways])


def _mean(values: NDArray) -> float:
    return float(values.mean()) if len(values) else float("nan")
