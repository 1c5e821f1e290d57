"""Pictures of topological landscape profiles and merge trees."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import Colormap, Normalize

from topograph.foundation.errors import TopographError
from topograph.plotting.style import BACKGROUND, LOSS_COLOURS, MINIMUM, SADDLE

# An outline is drawn to this share of the picture's width and height.
CELLS = 500


class ProfileArtists(NamedTuple):
    """What `draw_profile` drew: the filled outlines, the minima and the saddles."""

    basins: PolyCollection
    minima: PathCollection
    saddles: PathCollection


def draw_profile(
    axes: Axes,
    table: pd.DataFrame,
    marks: pd.DataFrame,
    *,
    norm: Normalize | None = None,
    cmap: str | Colormap = LOSS_COLOURS,
    log: bool = False,
) -> ProfileArtists:
    """Draw a profile from the tables of `Profile.table()` and `Profile.marks()`.

    Basins are coloured by their mean loss (darker is lower, scaled by `norm` to share it between
    panels), minima are red dots, saddles orange; x counts vertices, y is the loss, on a
    logarithmic axis with `log`. Raises TopographError where `log` meets a loss of 0 or less.
    Source: profiles paper, arXiv 2411.12136, figure 2C.
    """
    lowest = table["y"].min()
    if log and lowest <= 0:
        raise TopographError(
            f"the lowest loss of the profile is {lowest:g}; a logarithmic axis needs losses "
            "above 0. Draw it with log=False"
        )
    axes.set_facecolor(BACKGROUND)
    axes.set(xlabel="grid points", ylabel="loss", yscale="log" if log else "linear")
    basins = _basins(axes, table, norm, cmap, log=log)
    is_saddle = marks["kind"] == "saddle"
    minima = _dots(axes, marks[~is_saddle], MINIMUM, "minimum", zorder=4)
    saddles = _dots(axes, marks[is_saddle], SADDLE, "saddle", zorder=3)
    axes.autoscale_view()
    return ProfileArtists(basins, minima, saddles)


def draw_profile_or_say_diverged(
    axes: Axes, table: pd.DataFrame, marks: pd.DataFrame, *, norm: Normalize | None = None
) -> None:
    """Draw a profile on a logarithmic loss axis; for an empty table say why there is none."""
    if len(table):
        draw_profile(axes, table, marks, norm=norm, log=True)
    else:
        axes.text(0.5, 0.5, "diverged", ha="center", va="center", transform=axes.transAxes)


def draw_tree(axes: Axes, lines: pd.DataFrame) -> LineCollection:
    """Draw a merge tree from the table of `Profile.tree_lines()`: segments x0, y0, x1, y1.

    Drawn on the axes of a profile, it lies over it; y is the loss.
    """
    segments = lines[["x0", "y0", "x1", "y1"]].to_numpy().reshape(-1, 2, 2)
    artist = LineCollection(list(segments), colors="0.15", linewidths=0.8, zorder=2)
    axes.add_collection(artist)
    axes.autoscale_view()
    return artist


def _basins(
    axes: Axes, table: pd.DataFrame, norm: Normalize | None, cmap: str | Colormap, *, log: bool
) -> PolyCollection:
    first = np.flatnonzero(np.diff(table["arc"].to_numpy(), prepend=-1))
    seen = _seen(table["x"].to_numpy(), table["y"].to_numpy(), first, log=log)
    kept = [
        part[mask]
        for part, mask in zip(
            np.split(table[["x", "y"]].to_numpy(), first[1:]),
            np.split(seen, first[1:]),
            strict=True,
        )
    ]
    artist = PolyCollection(kept, cmap=cmap, norm=norm, edgecolors="face", linewidths=0.3)
    artist.set_array(table["mean_loss"].to_numpy()[first])
    axes.add_collection(artist)
    return artist


def _seen(x: np.ndarray, y: np.ndarray, first: np.ndarray, *, log: bool) -> np.ndarray:
    """Return which vertices of the outlines differ, in the picture, from the one before.

    A grid of 10^6 points has outlines of as many steps, which no page could show.
    """
    places = np.stack([x, np.log(y) if log else y])
    span = np.maximum(np.ptp(places, axis=1, keepdims=True), np.finfo(float).tiny)
    cells = np.round(CELLS * (places - places.min(axis=1, keepdims=True)) / span)
    seen = np.any(np.diff(cells, axis=1, prepend=np.nan) != 0, axis=0)
    seen[first] = True
    return seen


def _dots(
    axes: Axes, marks: pd.DataFrame, colour: str, label: str, *, zorder: int
) -> PathCollection:
    return axes.scatter(
        marks["x"],
        marks["y"],
        s=16,
        color=colour,
        edgecolors="white",
        linewidths=0.4,
        label=label,
        zorder=zorder,
    )
