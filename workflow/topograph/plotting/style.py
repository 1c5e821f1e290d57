"""The look that all figures share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

# Okabe and Ito (2008): eight colours that the common forms of colour blindness keep apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
BACKGROUND = "#EEEEEE"
MINIMUM = "#D62728"
SADDLE = "#FF9F1C"
# What rounding may have made stays in sight, but in no colour of its own.
UNRESOLVED = "#BDBDBD"
# Dark is low. The palest fifth of the map is left out: it would vanish on the background.
LOSS_COLOURS = LinearSegmentedColormap.from_list(
    "loss", matplotlib.colormaps["Blues_r"](np.linspace(0, 0.8, 256))
)

_SETTINGS: dict[Any, Any] = {
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "figure.constrained_layout.use": True,
    "figure.dpi": 120,
    "font.size": 9,
    "image.cmap": "viridis",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "savefig.dpi": 200,
    "svg.fonttype": "path",
    # Element ids in SVG files are random otherwise, and equal figures would differ.
    "svg.hashsalt": "topograph",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw figures in the shared style inside the block; settings are restored after it.

    Sizes are in points, for figures printed at their own size.
    """
    with matplotlib.rc_context(_SETTINGS):
        yield


def stacked(heights: Mapping[str, float], width: float) -> tuple[Figure, dict[str, SubFigure]]:
    """Return a figure and its blocks by name, one below the other; sizes are in inches."""
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(width, sum(heights.values())))
    blocks = figure.subfigures(len(heights), 1, height_ratios=list(heights.values()), squeeze=False)
    return figure, dict(zip(heights, blocks[:, 0], strict=True))


def is_resolved(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Return the column ``resolved`` of a table, shape (rows,); all True where it has none."""
    if "resolved" in table:
        return table["resolved"].to_numpy(dtype=bool)
    return np.ones(len(table), dtype=bool)
