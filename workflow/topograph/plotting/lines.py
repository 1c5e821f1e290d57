"""Lines over an axis that several networks share: their mean, and the range between them."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from numpy.typing import ArrayLike


def draw_mean_and_range(
    axes: Axes, places: ArrayLike, values: ArrayLike, *, colour: object, label: str
) -> list[Artist]:
    """Draw the mean of values (K, P) at places (P,) as a line, least to largest as a band.

    Values that are not finite are left out; a place without any is a gap. Returns line and band.
    """
    given = np.ma.masked_invalid(np.atleast_2d(np.asarray(values, dtype=float)))
    middle, low, high = (given.mean(0), given.min(0), given.max(0))
    (line,) = axes.plot(places, middle.filled(np.nan), color=colour, lw=1.4, label=label)
    band = axes.fill_between(
        np.asarray(places, dtype=float),
        low.filled(np.nan),
        high.filled(np.nan),
        color=colour,
        alpha=0.18,
        lw=0,
    )
    return [line, band]


def over(values: xr.DataArray, axis: str) -> np.ndarray:
    """Return values as an array (K, P), P along an axis and K all else."""
    return values.transpose(..., axis).values.reshape(-1, values.sizes[axis])
