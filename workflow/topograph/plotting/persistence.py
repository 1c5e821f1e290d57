"""Persistence diagrams."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PathCollection
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from topograph.foundation.errors import TopographError
from topograph.plotting.style import COLOURS

_MARGIN = 0.06


def draw_diagram(
    axes: Axes, pairs: pd.DataFrame, *, size: float = 14.0, log: bool = False
) -> list[PathCollection]:
    """Draw birth against death from a table of pairs; return one artist per dimension and kind.

    `pairs` has columns birth and death and, where there are several dimensions, dim; `size` is the
    area of a mark in square points. Essential pairs are triangles on the line at infinity. The
    diagonal and the axes' equal scale show persistence as distance, with `log` as a ratio.
    Raises TopographError where `log` meets a value of 0 or less.
    """
    dims = pairs["dim"].to_numpy() if "dim" in pairs else np.zeros(len(pairs), dtype=int)
    birth, death = pairs["birth"].to_numpy(), pairs["death"].to_numpy()
    essential = np.isinf(death)
    low, high = _limits(birth, death[~essential], log=log)
    axes.plot([low, high], [low, high], color="0.6", linewidth=0.8, zorder=1)
    infinity = low if np.any(death == -np.inf) else high
    if essential.any():
        axes.axhline(infinity, color="0.6", linewidth=0.8, linestyle="--", zorder=1)
    artists = []
    for dim in np.unique(dims):
        # Where classes of several dimensions lie on one line, the pieces stay in sight.
        top = 3 - dim / 10
        for kind, marker in ((False, "o"), (True, "^")):
            chosen = (dims == dim) & (essential == kind)
            if chosen.any():
                y = np.full(chosen.sum(), infinity) if kind else death[chosen]
                name = f"H{dim}, essential" if kind else f"H{dim}"
                colour = COLOURS[dim % len(COLOURS)]
                artists.append(
                    axes.scatter(
                        birth[chosen], y, s=size, c=colour, marker=marker, label=name, zorder=top
                    )
                )
    axes.set(xlabel="birth", ylabel="death", aspect="equal")
    if log:
        axes.set(xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            _few_ticks(axis, np.log10(high / low))
    if artists:
        axes.legend(loc="lower right")
    return artists


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
