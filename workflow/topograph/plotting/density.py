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
# Densities lower than this many decades below the highest are not drawn.
DECADES = 6
# So many standard deviations of the bump at 0 reach down to there.
REACH = np.sqrt(2 * DECADES * np.log(10))


def draw_density(axes: Axes, spectrum: xr.Dataset) -> None:
    """Draw the density of |eigenvalue| on logarithmic axes, both signs with a band of one error.

    ``spectrum`` has ``grid``, ``density`` and ``density_error`` over ``point``, of one network.
    An estimate makes a bump of every eigenvalue. Shaded is what the bump at 0 reaches, in which
    small eigenvalues of either sign are not told apart. Raises TopographError where
    no density is finite.
    """
    grid, density, error = (spectrum[name].values for name in ("grid", "density", "density_error"))
    if not np.isfinite(density).any():
        raise TopographError(
            "the spectral density is not finite; allowed: a density. Its training diverged"
        )
    blurred = REACH * BUMP * np.ptp(grid)
    floor = np.nanmax(density) * 10.0**-DECADES
    for sign, label, colour in (
        (1, "eigenvalues above 0", COLOURS[0]),
        (-1, "below 0", COLOURS[5]),
    ):
        side = np.flatnonzero(sign * grid > 0)[::sign]
        # Gaps break the line.
        middle = np.where(density[side] > floor, density[side], np.nan)
        low, high = np.maximum(middle - error[side], floor), middle + error[side]
        axes.plot(sign * grid[side], middle, color=colour, lw=1, label=label)
        axes.fill_between(sign * grid[side], low, high, color=colour, alpha=0.25, lw=0)
    start = float(np.diff(grid).mean())
    axes.axvspan(start, blurred, color="0.9", zorder=0, lw=0)
    axes.set(xscale="log", yscale="log", xlim=(start, np.abs(grid).max()))
    axes.set_ylim(bottom=floor)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=5))
        axis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="|eigenvalue|", ylabel="density")
