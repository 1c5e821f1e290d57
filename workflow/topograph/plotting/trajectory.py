"""Pictures of jump-and-retrain trajectories: a map of the points, and how far they return."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import Normalize, to_rgb
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from topograph.foundation.errors import TopographError
from topograph.plotting.lines import draw_mean_and_range

# Okabe and Ito's colours without black and yellow: black has no hue, yellow fades unseen.
HUES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
# The last epoch stays this far from white, or it would vanish on the page.
PALEST = 0.85
DIAMOND_AREAS = (15.0, 70.0)


def draw_embedding(axes: Axes, frame: pd.DataFrame) -> list[Artist]:
    """Draw one line per trajectory, its hue by ray and fading towards white with the epoch.

    ``frame`` has columns x, y, ray, step and epoch, one row per point; a ray below 0 is the point
    of the trained weights, a star. Diamonds mark epoch 0, their area grows with the step; those of
    a ray carry its legend label. Returns the lines, then the diamonds, then the star.
    Raises TopographError where a column is missing.
    Source: Horoi et al. 2022 (arXiv 2102.00485), figure 2d-f.
    """
    _require(frame, ("x", "y", "ray", "step", "epoch"))
    frame, minimum = frame[frame["ray"] >= 0], frame[frame["ray"] < 0]
    last = max(frame["epoch"].max(), 1)
    hues = {ray: HUES[i % len(HUES)] for i, ray in enumerate(sorted(frame["ray"].unique()))}
    artists: list[Artist] = [
        _fading_line(axes, points.sort_values("epoch"), hues[ray], last=last)
        for (ray, _), points in frame.groupby(["ray", "step"])
    ]
    largest = frame["step"].max()
    for ray, starts in frame[frame["epoch"] == 0].groupby("ray"):
        artists.append(_diamonds(axes, starts, hues[ray], largest=largest, label=f"ray {ray}"))
    if len(minimum):
        artists.append(
            axes.scatter(
                minimum["x"],
                minimum["y"],
                s=60,
                marker="*",
                color="black",
                zorder=4,
                label="trained weights",
            )
        )
    _without_scale(axes)
    axes.autoscale_view()
    return artists


def _without_scale(axes: Axes) -> None:
    """Take off ticks and spines: places on a map mean nothing, distances at most something."""
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)


def _fading_line(axes: Axes, points: pd.DataFrame, hue: str, *, last: float) -> LineCollection:
    path = points[["x", "y"]].to_numpy(dtype=float)
    fade = PALEST * points["epoch"].to_numpy(dtype=float)[1:, None] / last
    line = LineCollection(
        list(np.stack([path[:-1], path[1:]], axis=1)),
        colors=(1 - fade) * np.array(to_rgb(hue)) + fade,
        linewidths=1.2,
        capstyle="round",
    )
    axes.add_collection(line)
    return line


def _diamonds(
    axes: Axes, starts: pd.DataFrame, hue: str, *, largest: float, label: str
) -> PathCollection:
    smallest_area, largest_area = DIAMOND_AREAS
    # Starts of one ray often coincide: large ones first, so that none is hidden.
    starts = starts.sort_values("step", ascending=False)
    share = starts["step"].to_numpy(dtype=float) / (largest or 1.0)
    return axes.scatter(
        starts["x"],
        starts["y"],
        s=smallest_area + (largest_area - smallest_area) * share,
        marker="D",
        color=hue,
        edgecolors="white",
        linewidths=0.6,
        zorder=3,
        label=label,
    )


def draw_returns(axes: Axes, frame: pd.DataFrame) -> list[Artist]:
    """Draw the relative distance against the epoch, its mean over rays and its range, by step.

    ``frame`` has columns step, epoch and relative_distance, one row per point. Values that
    are not finite are left out of mean and range, and the label of their step counts them; a step
    without a finite value, such as the control without a jump, is not drawn. Returns the line at
    1, then a line and a band per step.
    Raises TopographError where a column is missing.
    """
    _require(frame, ("step", "epoch", "relative_distance"))
    finite = frame[np.isfinite(frame["relative_distance"])]
    steps = sorted(finite["step"].unique())
    colours = colormaps["viridis"](np.linspace(0.0, 0.85, len(steps)))
    artists: list[Artist] = [axes.axhline(1.0, color="0.4", linewidth=0.8, linestyle="--")]
    for step, colour in zip(steps, colours, strict=True):
        rows = finite[finite["step"] == step]
        missing = int((frame["step"] == step).sum()) - len(rows)
        label = f"step {step:g}" + (f" ({missing} points not finite)" if missing else "")
        artists.extend(_mean_and_range(axes, rows, colour, label=label))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("distance to the minimum / jump length")
    return artists


def _mean_and_range(
    axes: Axes, rows: pd.DataFrame, colour: NDArray[np.float64], *, label: str
) -> list[Artist]:
    numbered = rows.assign(place=rows.groupby("epoch").cumcount())
    table = numbered.pivot(index="place", columns="epoch", values="relative_distance")
    return draw_mean_and_range(axes, table.columns, table, colour=colour, label=label)


def _require(frame: pd.DataFrame, columns: Collection[str]) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise TopographError(
            f"the table lacks the column(s) {', '.join(missing)}; it has "
            f"{', '.join(map(str, frame.columns)) or 'none'}; allowed: {', '.join(columns)}; "
            "pass one row per point of a trajectory"
        )


def draw_map(
    axes: Axes,
    frame: pd.DataFrame,
    values: pd.Series,
    *,
    norm: Normalize | None = None,
    colours: str = "viridis",
    label: str = "",
) -> PathCollection:
    """Draw the points of a map, coloured by a value each, without axes, which would mean nothing.

    ``frame`` has columns x and y, ``values`` one number a row. Returns the points, from which a
    colour bar can be made. Raises TopographError where a column is missing.
    """
    _require(frame, ("x", "y"))
    drawn = axes.scatter(
        frame["x"], frame["y"], c=values, s=5, norm=norm, cmap=colours, linewidths=0, label=label
    )
    drawn.set_rasterized(True)
    _without_scale(axes)
    return drawn
