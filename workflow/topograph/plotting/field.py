"""Heat maps of numbers over a grid of runs, solutions u(x, t), images with their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import FigureBase
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

CLASS_COLOURS = ListedColormap(["#f2f2f2", "#8da0cb", "#fc8d62", "#66c2a5", "#e78ac3"])

# Points, in maps of more columns than these.
SMALL_PRINT, MANY = 6.0, 7


def draw_heat_map(
    axes: Axes,
    frame: pd.DataFrame,
    *,
    cmap: str = "viridis",
    norm: Normalize | None = None,
    notes: pd.DataFrame | None = None,
    size: float | None = None,
) -> AxesImage:
    """Draw positive numbers, rows by columns of a frame, on a logarithmic scale, each printed.

    Cells that are not finite stay grey and say ``diverged``, or what ``notes``, of the same rows
    and columns, say; elsewhere a note that is not empty is a second line. ``norm`` shares colours
    between maps, see ``shared_norm``; ``size`` is that of the print, in points.
    """
    values = frame.to_numpy(dtype=float)
    norm = norm or shared_norm(frame)
    image = axes.imshow(np.ma.masked_invalid(values), norm=norm, cmap=cmap, aspect="auto")
    axes.set_facecolor("0.85")
    axes.set_xticks(range(values.shape[1]), [str(column) for column in frame.columns])
    axes.set_yticks(range(values.shape[0]), [str(row) for row in frame.index])
    axes.tick_params(length=0)
    for (row, column), value in np.ndenumerate(values):
        shade = float(norm(value)) if norm is not None and np.isfinite(value) else 1.0
        note = "diverged" if notes is None else str(notes.iloc[row, column])
        if np.isfinite(value):
            # 2e-05 is no narrower for its leading zero.
            number = f"{value:.2g}".replace("e-0", "e-")
            note = number if notes is None or not note else f"{number}\n{note}"
        colour = "white" if shade < 0.6 else "black"
        axes.text(column, row, note, ha="center", va="center", color=colour, fontsize=size)
    return image


def shared_norm(*frames: pd.DataFrame) -> LogNorm | None:
    """Return logarithmic colours over the finite numbers of heat maps; None without any."""
    values = np.concatenate([frame.to_numpy(dtype=float).ravel() for frame in frames])
    finite = values[np.isfinite(values)]
    return LogNorm(finite.min(), max(finite.max(), finite.min() * 1.01)) if finite.size else None


class HeatMap(NamedTuple):
    """A frame of positive numbers, the notes of its cells and its colours, see `draw_heat_map`."""

    frame: pd.DataFrame
    notes: pd.DataFrame
    norm: Normalize | None


def draw_heat_maps(figure: FigureBase, maps: Mapping[str, HeatMap]) -> list[Axes]:
    """Draw heat maps of equal columns below one another, titled, each with its colour bar.

    Their print is small where they are wide. The caller names the axes.
    """
    panels = list(figure.subplots(len(maps), 1, squeeze=False)[:, 0])
    for axes, (name, (frame, notes, norm)) in zip(panels, maps.items(), strict=True):
        size = SMALL_PRINT if frame.shape[1] > MANY else None
        image = draw_heat_map(axes, frame, norm=norm, notes=notes, size=size)
        axes.set_title(name, loc="left")
        if norm is not None:
            figure.colorbar(image, ax=axes, aspect=12, pad=0.01)
    return panels


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
