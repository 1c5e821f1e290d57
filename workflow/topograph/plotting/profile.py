"""Pictures of topological landscape profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import Colormap, LogNorm, Normalize

from topograph.foundation.errors import TopographError
from topograph.plotting.style import (
    BACKGROUND,
    LOSS_COLOURS,
    MINIMUM,
    SADDLE,
    UNRESOLVED,
    is_resolved,
)
from topograph.topology.profile import stepped

# An outline is drawn to this share of the picture's width and height.
CELLS = 500
# Square points: of one dot at least and at most, and of all of a kind together.
DOT = (3.0, 16.0)
AREA_OF_DOTS = 800.0
# Between profiles side by side, as a share of their width.
GAP = 0.08


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
    steps: bool = False,
) -> ProfileArtists:
    """Draw a profile from the tables of `Profile.table()` and `Profile.marks()`.

    Basins are coloured by their mean loss (darker is lower, scaled by `norm` to share it between
    panels), minima are red dots, saddles orange; x counts vertices, y is the loss, on a
    logarithmic axis with `log`. Outlines are lines between values, or exact with `steps`. Where the
    tables have a column `resolved`, what is not is grey and has no dot. Raises TopographError where
    `log` meets a loss of 0 or less. Source: profiles paper, arXiv 2411.12136, figure 2C.
    """
    lowest = table["y"].min()
    if log and lowest <= 0:
        raise TopographError(
            f"the lowest loss of the profile is {lowest:g}; a logarithmic axis needs losses "
            "above 0. Draw it with log=False"
        )
    axes.set_facecolor(BACKGROUND)
    axes.set(xlabel="grid points", ylabel="loss", yscale="log" if log else "linear")
    basins = _basins(axes, table, norm, cmap, log=log, steps=steps)
    shown = marks[is_resolved(marks)]
    is_saddle = shown["kind"] == "saddle"
    minima = _dots(axes, shown[~is_saddle], MINIMUM, "minimum", zorder=4)
    saddles = _dots(axes, shown[is_saddle], SADDLE, "saddle", zorder=3)
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


def draw_profiles(
    axes: Axes,
    profiles: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]],
    *,
    norm: Normalize | None = None,
    log: bool = False,
) -> list[ProfileArtists]:
    """Draw several profiles side by side on one loss axis and one scale of widths.

    ``profiles`` maps the label below each to its table and marks, in order: of several seeds,
    settings or epochs. Colours are scaled by ``norm``, or else over all of them. An empty table, of
    a run that diverged, keeps its place and says so.
    """
    filled = [table for table, _ in profiles.values() if len(table)]
    losses = pd.concat([table["mean_loss"] for table in filled]) if filled else pd.Series([1.0])
    norm = norm or (LogNorm if log else Normalize)(losses.min(), losses.max())
    width = max([float(np.ptp(table["x"])) for table in filled], default=1.0)
    places = (1 + GAP) * width * np.arange(len(profiles))
    drawn = []
    for place, (table, marks) in zip(places, profiles.values(), strict=True):
        if len(table):
            # Widths are counted from 0, and a smaller grid stands in the middle of its place.
            shift = place - float(np.ptp(table["x"])) / 2
            moved = [frame.assign(x=frame["x"] + shift) for frame in (table, marks)]
            drawn.append(draw_profile(axes, *moved, norm=norm, log=log))
        else:
            across = axes.get_xaxis_transform()
            axes.text(place, 0.5, "diverged", ha="center", va="center", transform=across)
    axes.set_xticks(places, list(profiles))
    axes.tick_params(axis="x", length=0)
    reach = (0.5 + GAP) * width
    axes.set(xlabel="", xlim=(-reach, places[-1] + reach))
    return drawn


def _basins(
    axes: Axes,
    table: pd.DataFrame,
    norm: Normalize | None,
    cmap: str | Colormap,
    *,
    log: bool,
    steps: bool,
) -> PolyCollection:
    first = np.flatnonzero(np.diff(table["arc"].to_numpy(), prepend=-1))
    seen = _seen(table["x"].to_numpy(), table["y"].to_numpy(), first, log=log)
    outlines = np.split(table[["x", "y"]].to_numpy(), first[1:])
    if steps:
        kept = [stepped(outline) for outline in outlines]
    else:
        kept = [o[mask] for o, mask in zip(outlines, np.split(seen, first[1:]), strict=True)]
    colours = matplotlib.colormaps.get_cmap(cmap).with_extremes(bad=UNRESOLVED)
    artist = PolyCollection(kept, cmap=colours, norm=norm, edgecolors="face", linewidths=0.3)
    losses = table["mean_loss"].to_numpy()[first]
    artist.set_array(np.ma.masked_where(~is_resolved(table)[first], losses))
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
    # Many dots are smaller and have a thinner rim: their rims would hide them.
    size = float(np.clip(AREA_OF_DOTS / max(1, len(marks)), *DOT))
    return axes.scatter(
        marks["x"],
        marks["y"],
        s=size,
        color=colour,
        edgecolors="white",
        linewidths=0.025 * size,
        label=label,
        zorder=zorder,
    )
