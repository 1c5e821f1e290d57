"""Where a landscape is evaluated: axes through the centre, a list of points, or a line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from topograph.foundation.errors import TopographError


class Grid(NamedTuple):
    """Coefficients (M, n) of M points, in C order of ``shape`` over the dimensions ``dims``.

    ``coordinates`` maps a name to its dimension and its values.
    """

    coefficients: np.ndarray
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coordinates: dict[str, tuple[str, np.ndarray]]


def axis(distance: float, points: int) -> np.ndarray:
    """Return ``points`` equally spaced alphas, symmetric about 0 to the last bit.

    ``linspace`` misses the centre of many odd grids by a rounding error.
    """
    return np.arange(1 - points, points, 2) / (points - 1) * distance


def grid_of(
    points: int | Sequence[int] | ArrayLike, distance: float | Sequence[float], n: int
) -> Grid:
    """Return the grid of n axes, one count and one reach for all or for each, or listed points.

    Raises TopographError for sizes that do not fit n or make no grid.
    """
    names = [f"alpha_{i + 1}" for i in range(n)]
    given = np.asarray(points, dtype=float)
    if given.ndim == 2:
        _check_list(given, n)
        columns = {name: ("point", given[:, i]) for i, name in enumerate(names)}
        return Grid(given, ("point",), (len(given),), columns)
    counts = _per_axis("points", points, n)
    reaches = _per_axis("distance", distance, n)
    if any(count < 2 or count != int(count) for count in counts):
        raise TopographError(f"points is {counts}; each axis needs a whole number of at least 2")
    if any(not 0 < reach < np.inf for reach in reaches):
        raise TopographError(f"distance is {reaches}; each axis needs a finite number above 0")
    axes = [axis(reach, int(count)) for reach, count in zip(reaches, counts, strict=True)]
    alphas = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, n)
    coordinates = {name: (name, values) for name, values in zip(names, axes, strict=True)}
    return Grid(alphas, tuple(names), tuple(map(len, axes)), coordinates)


def line_of(points: int) -> Grid:
    """Return the weights (1 - t, t) of two ends for t = linspace(0, 1, points)."""
    if points < 2 or points != int(points):
        raise TopographError(f"points is {points}; a line needs a whole number of at least 2")
    t = np.linspace(0.0, 1.0, int(points))
    return Grid(np.stack([1 - t, t], axis=1), ("t",), (len(t),), {"t": ("t", t)})


def _check_list(given: np.ndarray, n: int) -> None:
    if given.shape[1] != n or not len(given) or not np.isfinite(given).all():
        raise TopographError(
            f"points has shape {given.shape} for {n} directions; a list of points needs one row "
            f"per point with {n} finite numbers"
        )


def _per_axis(name: str, given: Any, n: int) -> list[float]:
    listed = list(given) if isinstance(given, Iterable) else [given] * n
    if len(listed) != n:
        raise TopographError(
            f"{name} has {len(listed)} values for {n} directions; give one, or {n}"
        )
    return [float(value) for value in listed]
