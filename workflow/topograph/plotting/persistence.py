"""Persistence diagrams and barcodes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)
from numpy.typing import NDArray

from topograph.foundation.errors import TopographError
from topograph.plotting.style import COLOURS, UNRESOLVED, is_resolved

_MARGIN = 0.06
# Bars are this wide, in points, where they are few, and share this width where they are many.
_BAR, _BARS = 1.8, 130.0


def draw_diagram(
    axes: Axes, pairs: pd.DataFrame, *, size: float = 14.0, log: bool = False
) -> list[PathCollection]:
    """Draw birth against death from a table of pairs; return one artist per dimension and kind.

    `pairs` has columns birth and death and, where there are several dimensions, dim; `size` is the
    area of a mark in square points. Essential pairs are triangles on the line at infinity; pairs
    whose column `resolved` is False are grey and lie below the rest. The diagonal and the axes'
    equal scale show persistence as distance, with `log` as a ratio. Raises TopographError where
    `log` meets a value of 0 or less.
    """
    birth, death = pairs["birth"].to_numpy(), pairs["death"].to_numpy()
    dims, essential, resolved = _dims(pairs), np.isinf(death), is_resolved(pairs)
    low, high = _limits(birth, death[~essential], log=log)
    axes.plot([low, high], [low, high], color="0.6", linewidth=0.8, zorder=1)
    infinity = low if np.any(death == -np.inf) else high
    if essential.any():
        axes.axhline(infinity, color="0.6", linewidth=0.8, linestyle="--", zorder=1)
    heights = np.where(essential, infinity, death)
    artists = []
    for dim, kind, kept in itertools.product(np.unique(dims), (False, True), (True, False)):
        chosen = (dims == dim) & (essential == kind) & (resolved == kept)
        if chosen.any():
            artist = axes.scatter(
                birth[chosen],
                heights[chosen],
                s=size,
                c=_colour(dim, kept),
                marker="^" if kind else "o",
                label=_label(dim, kept) + (", essential" if kind else ""),
                # Where classes of several dimensions lie on one line, the pieces stay in sight.
                zorder=3 - dim / 10 if kept else 1.5,
            )
            artists.append(artist)
    axes.set(xlabel="birth", ylabel="death", aspect="equal")
    if log:
        axes.set(xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            _few_ticks(axis, np.log10(high / low))
    if artists:
        axes.legend(loc="lower right")
    return artists


def draw_persistence(axes: Axes, pairs: pd.DataFrame, highest: float) -> list[PathCollection]:
    """Draw birth against persistence of the pairs of one merge tree; return an artist per kind.

    `pairs` has columns birth and death; its essential pairs, which never die, end at `highest`, the
    maximum of the values, as the Topology ToolKit pairs global minimum and maximum: triangles.
    Pairs whose column `resolved` is False are grey. Axes are logarithmic where all values are
    above 0. Source: arXiv 2411.09807, figure 2.
    """
    birth, death = pairs["birth"].to_numpy(), pairs["death"].to_numpy()
    essential, resolved = np.isinf(death), is_resolved(pairs)
    lengths = np.where(essential, highest, death) - birth
    kinds = {
        "pair": (~essential & resolved, COLOURS[0], "o", 3),
        "pair, unresolved": (~essential & ~resolved, UNRESOLVED, "o", 2),
        "global minimum and maximum": (essential, COLOURS[2], "^", 3),
    }
    artists = [
        axes.scatter(
            birth[chosen], lengths[chosen], s=14, c=colour, marker=marker, label=label, zorder=order
        )
        for label, (chosen, colour, marker, order) in kinds.items()
        if chosen.any()
    ]
    axes.set(xlabel="birth", ylabel="persistence")
    if len(birth) and birth.min() > 0 and lengths.min() > 0:
        axes.set(xscale="log", yscale="log")
        for axis, found in ((axes.xaxis, birth), (axes.yaxis, lengths)):
            middle, half = np.sqrt(found.min() * found.max()), np.sqrt(found.max() / found.min())
            half = max(1.3, half**1.15)
            axis.set_view_interval(middle / half, middle * half, ignore=True)
            _few_ticks(axis, 2 * np.log10(half))
    return artists


def draw_barcode(axes: Axes, pairs: pd.DataFrame, *, log: bool = False) -> list[LineCollection]:
    """Draw a bar from birth to death for each pair; return one artist per dimension and kind.

    Bars stand upright, so that a barcode shares its loss axis with a profile or a tree beside it;
    they are ordered by dimension, then birth. `pairs` is that of `draw_diagram`. Essential bars
    reach the end of the axis, where an arrow head lies; bars whose column `resolved` is False are
    grey. Raises TopographError where `log` meets a value of 0 or less.
    """
    pairs = pairs.assign(dim=_dims(pairs)).sort_values(["dim", "birth"], kind="stable")
    birth, death = pairs["birth"].to_numpy(), pairs["death"].to_numpy()
    dims, essential, resolved = _dims(pairs), np.isinf(death), is_resolved(pairs)
    low, high = _limits(birth, death[~essential], log=log)
    falling = np.any(death == -np.inf)
    tops = np.where(essential, low if falling else high, death)
    places = np.arange(1, len(pairs) + 1)
    edge = max(0.6, _MARGIN / 2 * len(pairs))
    axes.set(yscale="log" if log else "linear", ylim=(low, high))
    axes.set_xlim(1 - edge, max(len(pairs), 1) + edge)
    heads: dict[str, Any] = {"s": 22, "marker": "v" if falling else "^", "clip_on": False}
    artists = []
    for dim, kept in itertools.product(np.unique(dims), (True, False)):
        chosen = (dims == dim) & (resolved == kept)
        if chosen.any():
            artists.append(_bars(places, birth, tops, chosen))
            artists[-1].set(color=_colour(dim, kept), label=_label(dim, kept))
            axes.add_collection(artists[-1], autolim=False)
            ends = chosen & essential
            axes.scatter(places[ends], tops[ends], color=_colour(dim, kept), **heads)
    axes.set(xlabel="pairs by birth", ylabel="birth to death")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    if log:
        _few_ticks(axes.yaxis, np.log10(high / low))
    if len(artists) > 1:
        axes.legend(loc="lower right")
    return artists


def _bars(
    places: np.ndarray, birth: np.ndarray, tops: np.ndarray, chosen: np.ndarray
) -> LineCollection:
    """Return the chosen bars; their width depends on how many there are in all."""
    segments = np.stack([places, birth, places, tops], axis=1).reshape(-1, 2, 2)
    width = min(_BAR, _BARS / len(places))
    # Projecting ends, and no rounding to pixels, keep a bar in sight that is shorter than a pixel.
    return LineCollection(
        list(segments[chosen]), linewidths=width, capstyle="projecting", snap=False
    )


def _dims(pairs: pd.DataFrame) -> NDArray[np.int64]:
    return pairs["dim"].to_numpy() if "dim" in pairs else np.zeros(len(pairs), dtype=np.int64)


def _colour(dim: int, resolved: bool) -> str:
    return COLOURS[dim % len(COLOURS)] if resolved else UNRESOLVED


def _label(dim: int, resolved: bool) -> str:
    return f"H{dim}" if resolved else f"H{dim}, unresolved"


def _few_ticks(axis: Axis, decades: float) -> None:
    """Label a short logarithmic axis at plain numbers, a long one at powers of ten."""
    if decades < 1:
        axis.set_major_locator(MaxNLocator(3))
    elif decades < 2:
        axis.set_major_locator(LogLocator(subs=(1, 3)))
    if decades < 2:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _limits(birth: np.ndarray, death: np.ndarray, *, log: bool) -> tuple[float, float]:
    """Ends of the diagonal: the range of all finite values and a margin for the top line."""
    values = np.concatenate([birth, death])
    if values.size == 0:
        return (1.0, 10.0) if log else (0.0, 1.0)
    if log:
        if values.min() <= 0:
            raise TopographError(
                f"the lowest value of the diagram is {values.min():g}; logarithmic axes need "
                "values above 0. Draw it with log=False"
            )
        low, high = _limits(np.log(birth), np.log(death), log=False)
        return float(np.exp(low)), float(np.exp(high))
    margin = _MARGIN * (np.ptp(values) or 1.0)
    return float(values.min() - margin), float(values.max() + margin)
