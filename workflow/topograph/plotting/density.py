"""Spectral densities of Hessians on logarithmic axes, positive and negative eigenvalues apart."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from topograph.foundation.errors import TopographError
from topograph.plotting.style import COLOURS

# Standard deviation of the bump that `landscape.spectrum` makes of an eigenvalue, as a part of the
# length of its grid; repeated here, and held to it by a test, because it comes with torch.
BUMP = 0.006 / 1.1
# Lower densities are tails of bumps.
DECADES = 8


def draw_density(axes: Axes, spectrum: xr.Dataset) -> None:
    """Draw the density of |eigenvalue| on logarithmic axes, both signs with a band of one error.

    ``spectrum`` has ``grid``, ``density`` and ``density_error`` over ``point``, of one network.
    The grid is linear, so what lies below twice the width of its bumps is the bump at 0, in which
    small eigenvalues of either sign are not told apart: it is shaded. Raises TopographError where
    no density is finite.
    """
    grid, density, error = (spectrum[name].values for name in ("grid", "density", "density_error"))
    if not np.isfinite(density).any():
        raise TopographError(
            "the spectral density is not finite; allowed: a density. Its training diverged"
        )
    blurred = 2 * BUMP * np.ptp(grid)
    floor = np.nanmax(density) * 10.0**-DECADES
    for sign, label, colour in (
        (1, "eigenvalues above 0", COLOURS[0]),
        (-1, "below 0", COLOURS[5]),
    ):
        side = (sign * grid > 0) & (density > floor)
        order = np.argsort(sign * grid[side])
        places = (sign * grid[side])[order]
        middle, half = density[side][order], error[side][order]
        axes.plot(places, middle, color=colour, lw=1, label=label)
        low = np.maximum(middle - half, floor)
        axes.fill_between(places, low, middle + half, color=colour, alpha=0.25, lw=0)
    start = float(np.diff(grid).mean())
    axes.axvspan(start, blurred, color="0.9", zorder=0, lw=0)
    axes.set(xscale="log", yscale="log", xlim=(start, np.abs(grid).max()))
    axes.set_ylim(bottom=floor)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=5))
        axis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="|eigenvalue|", ylabel="density")
