"""Pictures of topological landscape profiles."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.patches import Rectangle

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
# Points, in panels of which a page holds a hundred.
SMALL_PRINT = 5.0
SMALL_DOTS = 0.25


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
    if log:
        _check_positive(table["y"].min())
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


def draw_profile_grid(
    axes: Axes,
    rows: Sequence[object],
    columns: Sequence[object],
    profile_of: Callable[[object, object], tuple[pd.DataFrame, pd.DataFrame] | str],
) -> None:
    """Draw a small profile for each row and column, each on a logarithmic loss scale of its own.

    ``profile_of`` returns the table and marks of a place, or the words to write there; it is asked
    for one place after another, so a large grid need not lie in memory at once. The lowest and
    highest loss stand above each profile; heights, widths and colours are scaled to each alone.
    Raises TopographError for a loss of 0 or less.
    """
    for (i, row), (j, column) in itertools.product(enumerate(rows), enumerate(columns)):
        place = Rectangle((j - 0.46, -i - 0.46), 0.92, 0.92, color=BACKGROUND, lw=0, zorder=0)
        axes.add_patch(place)
        found = profile_of(row, column)
        if isinstance(found, str):
            axes.text(j, -i, found, fontsize=SMALL_PRINT, ha="center", va="center")
            continue
        low, high = float(found[0]["y"].min()), float(found[0]["y"].max())
        left, width = float(found[0]["x"].min()), float(np.ptp(found[0]["x"])) or 1.0
        _check_positive(low)
        decades = np.log(high / low) or 1.0
        placed = [
            frame.assign(
                x=j + 0.84 * ((frame["x"] - left) / width - 0.5),
                y=-i - 0.4 + 0.64 * np.log(frame["y"] / low) / decades,
            )
            for frame in found
        ]
        drawn = draw_profile(axes, *placed, norm=LogNorm(low, high))
        for dots in (drawn.minima, drawn.saddles):
            dots.set_sizes(dots.get_sizes() * SMALL_DOTS)
        for artist in drawn:
            # Outlines of a hundred profiles would make a file that no viewer opens.
            artist.set_rasterized(True)
        words = f"{_short(low)} … {_short(high)}"
        axes.text(j, -i + 0.43, words, fontsize=SMALL_PRINT, ha="center", va="top")
    axes.set_facecolor("none")
    axes.set_xticks(range(len(columns)), [str(column) for column in columns])
    axes.set_yticks([-i for i in range(len(rows))], [str(row) for row in rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(0.5 - len(rows), 0.5), xlabel="", ylabel="")


def as_share(table: pd.DataFrame, marks: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a profile whose width counts shares of the grid, to stand beside one of another."""
    width = float(np.ptp(table["x"])) if len(table) else 1.0
    return table.assign(x=table["x"] / width), marks.assign(x=marks["x"] / width)


def _check_positive(lowest: float) -> None:
    if lowest <= 0:
        raise TopographError(
            f"the lowest loss of the profile is {lowest:g}; a logarithmic axis needs losses "
            "above 0. Draw it with log=False"
        )


def _short(loss: float) -> str:
    mantissa, exponent = f"{loss:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"


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
