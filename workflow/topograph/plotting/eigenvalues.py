"""Top eigenvalues of a Hessian as bars, with the sets of them that span landscapes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from topograph.plotting.style import COLOURS

UNUSED = "0.75"
# Of the bars' height: between brackets, and below the lowest.
STEP = 0.13


def draw_eigenvalues(
    axes: Axes, values: NDArray[np.float64], used: Mapping[str, int]
) -> BarContainer:
    """Draw eigenvalues, shape (k,), as bars in the order given, with brackets over those used.

    ``used`` has the label of each landscape and how many of the first eigenvectors span it; the
    bars that none uses are grey.
    """
    most = max(used.values(), default=0)
    colours = [COLOURS[0] if place < most else UNUSED for place in range(len(values))]
    bars = axes.bar(np.arange(1, len(values) + 1), values, color=colours, width=0.7)
    axes.axhline(0, color="0.3", lw=0.6)
    top = max(float(np.nanmax(values, initial=0.0)), 0.0) or 1.0
    for level, (label, count) in enumerate(sorted(used.items(), key=lambda item: item[1]), 1):
        height = top * (1 + level * STEP)
        axes.plot([0.65, count + 0.35], [height, height], color=COLOURS[5], lw=1.5)
        axes.annotate(
            label,
            (count + 0.35, height),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=COLOURS[5],
            fontsize=8,
        )
    axes.set(xlabel="rank by magnitude", ylabel="eigenvalue")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return bars
