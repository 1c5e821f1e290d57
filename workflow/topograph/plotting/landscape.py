"""Two-dimensional loss surfaces as contours, with the critical points of their merge tree."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.contour import QuadContourSet

from topograph.plotting.style import LOSS_COLOURS, MINIMUM, SADDLE

LEVELS = 16


def draw_contour(axes: Axes, loss: xr.DataArray, marks: pd.DataFrame) -> QuadContourSet:
    """Draw loss(alpha_1, alpha_2), positive losses on a logarithmic scale, with its marks.

    ``marks`` has kind and vertex, the index of the grid point in C order.
    """
    first, second = (loss[name] for name in ("alpha_1", "alpha_2"))
    values = loss.transpose("alpha_1", "alpha_2").values
    values = np.where(np.isfinite(values), values, np.nan)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    logarithmic = low > 0 and high > low
    levels = np.geomspace(low, high, LEVELS) if logarithmic else LEVELS
    contour = axes.contourf(
        first,
        second,
        values.T,
        levels=levels,
        norm=LogNorm(low, high) if logarithmic else None,
        cmap=LOSS_COLOURS,
    )
    for kind, colour in (("minimum", MINIMUM), ("saddle", SADDLE)):
        vertices = marks.loc[marks["kind"] == kind, "vertex"].to_numpy()
        rows, columns = np.unravel_index(vertices, values.shape)
        axes.scatter(first[rows], second[columns], color=colour, s=16, zorder=3, label=kind)
    axes.set_xlabel(r"$\alpha_1$")
    axes.set_ylabel(r"$\alpha_2$")
    return contour
