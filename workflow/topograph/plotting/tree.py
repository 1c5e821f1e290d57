"""Pictures of merge trees."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from topograph.plotting.style import UNRESOLVED, is_resolved

LINE = "0.15"


def draw_tree(axes: Axes, lines: pd.DataFrame) -> LineCollection:
    """Draw a merge tree from the table of `Profile.tree_lines()`: segments x0, y0, x1, y1.

    Drawn on the axes of a profile, it lies over it; y is the loss. Segments whose column
    `resolved` is False are grey and lie below the rest.
    """
    resolved = is_resolved(lines)
    order = np.argsort(resolved, kind="stable")
    segments = lines[["x0", "y0", "x1", "y1"]].to_numpy()[order].reshape(-1, 2, 2)
    colours = [LINE if kept else UNRESOLVED for kept in resolved[order]]
    artist = LineCollection(list(segments), colors=colours, linewidths=0.8, zorder=2)
    axes.add_collection(artist)
    axes.autoscale_view()
    return artist
