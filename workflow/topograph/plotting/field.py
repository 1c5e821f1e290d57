"""Heat maps of numbers over a grid of runs, solutions u(x, t), images with their classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

CLASS_COLOURS = ListedColormap(["#f2f2f2", "#8da0cb", "#fc8d62", "#66c2a5", "#e78ac3"])


def draw_heat_map(axes: Axes, frame: pd.DataFrame, *, cmap: str = "viridis") -> AxesImage:
    """Draw positive numbers, rows by columns of a frame, on a logarithmic scale, each printed.

    Cells that are not finite stay grey and say ``diverged``.
    """
    values = frame.to_numpy(dtype=float)
    finite = values[np.isfinite(values)]
    norm = LogNorm(finite.min(), max(finite.max(), finite.min() * 1.01)) if finite.size else None
    image = axes.imshow(np.ma.masked_invalid(values), norm=norm, cmap=cmap, aspect="auto")
    axes.set_facecolor("0.85")
    axes.set_xticks(range(values.shape[1]), [str(column) for column in frame.columns])
    axes.set_yticks(range(values.shape[0]), [str(row) for row in frame.index])
    axes.tick_params(length=0)
    for (row, column), value in np.ndenumerate(values):
        shade = float(norm(value)) if norm is not None and np.isfinite(value) else 1.0
        text = f"{value:.2g}" if np.isfinite(value) else "diverged"
        axes.text(
            column, row, text, ha="center", va="center", color="white" if shade < 0.6 else "black"
        )
    return image


def draw_solution(axes: Axes, u: xr.DataArray) -> QuadMesh:
    """Draw u(x, t) with time to the right and x upwards, colours from -1 to 1."""
    mesh = axes.pcolormesh(
        u["t"], u["x"], u.transpose("x", "t"), cmap="RdBu_r", vmin=-1, vmax=1, rasterized=True
    )
    axes.set_xlabel("t")
    axes.set_ylabel("x")
    return mesh


def draw_classes(axes: Axes, classes: np.ndarray) -> AxesImage:
    """Draw an image of class numbers (H, W), up to five, upright for axial brain slices."""
    top = CLASS_COLOURS.N - 0.5
    image = axes.imshow(np.rot90(classes), cmap=CLASS_COLOURS, vmin=-0.5, vmax=top)
    axes.set_axis_off()
    return image


def class_handles(names: Sequence[str]) -> list[Patch]:
    """Return the entries of a legend for ``draw_classes``, in the order of the class numbers."""
    return [Patch(color=CLASS_COLOURS(i), label=name) for i, name in enumerate(names)]


def draw_image(axes: Axes, image: np.ndarray) -> AxesImage:
    """Draw intensities (H, W) in grey, upright for axial brain slices."""
    drawn = axes.imshow(np.rot90(image), cmap="gray")
    axes.set_axis_off()
    return drawn
