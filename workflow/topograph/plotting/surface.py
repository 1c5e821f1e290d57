"""Slices of the loss as surfaces to be turned: planes through the solution, with training's path.

Drawn by plotly, for pages that are looked at with a mouse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from matplotlib.colors import to_hex
from scipy.stats import rankdata

from topograph.foundation.errors import TopographError
from topograph.plotting.style import COLOURS, LOSS_COLOURS, MINIMUM

SHADES = 32
HEIGHT = 720
QUIET = "#5a5954"


@dataclass(frozen=True)
class Plane:
    """A plane through the trained weights: ``loss`` (X, Y) at ``x`` and ``y``, in lengths there.

    ``path`` has columns epoch, x, y and loss; it is empty for a random plane.
    """

    name: str
    axes: tuple[str, str]
    loss: xr.DataArray
    center_loss: float
    path: np.ndarray = field(default_factory=lambda: np.empty((0, 4)))

    @property
    def not_finite(self) -> int:
        """How many losses are NaN or infinite."""
        return int((~np.isfinite(self.loss)).sum())


def planes(slices: xr.Dataset) -> list[Plane]:
    """Return every plane of every seed, random ones first, then that of the optimiser's path.

    ``slices`` is the result of an analysis of kind slices. Coordinates are in units of the
    directions, a seed's unit vectors on the plane of the path. Raises TopographError for anything
    else.
    """
    if "plane_loss" not in slices:
        raise TopographError(
            f"a result with {', '.join(map(str, slices.data_vars)) or 'no variables'} has no "
            "plane_loss; give that of an analysis of kind slices"
        )
    return [plane for seed in slices["seed"].values.tolist() for plane in _of_seed(slices, seed)]


def _of_seed(slices: xr.Dataset, seed: int) -> Iterator[Plane]:
    own = slices.sel(seed=seed)
    for number in range(own.sizes["plane"]):
        yield Plane(
            f"seed {seed}, random plane {number + 1}",
            ("random direction 1", "random direction 2"),
            _scaled(own["plane_loss"].isel(plane=number), own["plane_distance"]),
            float(own["plane_center_loss"]),
        )
    if "path_loss" in own and own["path_distance"].notnull().all():
        loss = _scaled(own["path_loss"], own["path_distance"])
        yield Plane(
            f"seed {seed}, plane of the optimiser's path",
            ("principal direction 1", "principal direction 2"),
            loss,
            float(own["path_center_loss"]),
            _path(own, loss),
        )


def _scaled(loss: xr.DataArray, distance: xr.DataArray) -> xr.DataArray:
    """Return a loss over x and y in units of the directions; its axes reach from -1 to 1."""
    first, second = (str(name) for name in loss.dims)
    places = {name: loss[name] * float(distance[i]) for i, name in enumerate((first, second))}
    return loss.assign_coords(places).rename({first: "x", second: "y"})


def _path(own: xr.Dataset, loss: xr.DataArray) -> np.ndarray:
    """Return epoch, x, y and the plane's loss there, which lies between grid points (K, 4)."""
    path = (own["path"] * own["path_distance"]).dropna("epoch")
    x, y = (path.isel(path_axis=axis) for axis in (0, 1))
    heights = loss.interp(x=x.drop_vars("seed"), y=y.drop_vars("seed"))
    return np.column_stack([path["epoch"], x, y, heights])


def draw_surfaces(drawn: list[Plane]) -> go.Figure:
    """Return a figure of one plane at a time, with a menu of planes and one of the height's scale.

    Losses that are not finite are holes, which the title of the plane counts; on a logarithmic
    height those of 0 and below are too. Colour is the rank of a loss, dark is low; contours are
    projected on the floor. Source: Li et al.
    2018, figures 1 and 9.
    """
    traces = [(number, trace) for number, one in enumerate(drawn) for trace in _traces(one)]
    figure = go.Figure([trace for _, trace in traces])
    for number, trace in zip((number for number, _ in traces), figure.data, strict=True):
        trace.visible = number == 0
    choices = [
        {
            "label": one.name,
            "method": "update",
            "args": [{"visible": [number == k for number, _ in traces]}, _titles(one)],
        }
        for k, one in enumerate(drawn)
    ]
    heights = [
        {"label": f"{kind} height", "method": "relayout", "args": [{"scene.zaxis.type": kind}]}
        for kind in ("linear", "log")
    ]
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 0, "r": 0, "t": 110, "b": 0},
        font={"family": "system-ui, DejaVu Sans, sans-serif", "size": 12, "color": "#1d1d1b"},
        paper_bgcolor="#fff",
        scene={
            "zaxis": {"title": {"text": "loss"}},
            "aspectratio": {"x": 1, "y": 1, "z": 0.8},
            # From high enough to look into a bowl.
            "camera": {"eye": {"x": 1.1, "y": 1.1, "z": 1.5}},
        },
        showlegend=True,
        legend={"x": 0, "y": 0, "yanchor": "bottom"},
        updatemenus=[_menu(choices, x=0.0), _menu(heights, x=0.5)],
    )
    figure.update_layout(_titles(drawn[0]))
    return figure


def _menu(buttons: list[dict[str, Any]], *, x: float) -> dict[str, Any]:
    place = {"x": x, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "pad": {"b": 45}}
    return {"buttons": buttons, "showactive": True, "direction": "down", **place}


def _titles(plane: Plane) -> dict[str, Any]:
    """Return what of the layout belongs to a plane."""
    missing = plane.not_finite
    told = f": {missing} of {plane.loss.size} losses are not finite, left out" if missing else ""
    return {
        "title": {"text": plane.name + told, "x": 0.0, "y": 0.87, "font": {"size": 13}},
        "scene.xaxis.title.text": plane.axes[0],
        "scene.yaxis.title.text": plane.axes[1],
    }


def _traces(plane: Plane) -> Iterator[go.Surface | go.Scatter3d]:
    loss = plane.loss.where(np.isfinite(plane.loss)).transpose("y", "x")
    yield go.Surface(
        x=loss["x"].values,
        y=loss["y"].values,
        z=loss.values,
        # By losses themselves, colours would differ on a linear height only near the rim.
        surfacecolor=rankdata(loss, nan_policy="omit").reshape(loss.shape),
        colorscale=[[k, to_hex(LOSS_COLOURS(k))] for k in np.linspace(0, 1, SHADES).tolist()],
        # The trained model at the bottom is seen through the near wall.
        opacity=0.85,
        contours={"z": {"show": True, "color": QUIET, "project": {"z": True}}},
        showscale=False,
        hovertemplate="x %{x:.3g}<br>y %{y:.3g}<br>loss %{z:.4g}<extra></extra>",
    )
    if len(plane.path):
        epochs, x, y, heights = plane.path.T
        yield go.Scatter3d(
            x=x,
            y=y,
            z=heights,
            customdata=epochs,
            mode="lines+markers",
            name="path of training",
            line={"color": COLOURS[1], "width": 5},
            marker={"color": COLOURS[1], "size": 3},
            hovertemplate="epoch %{customdata:.0f}<br>loss on the plane %{z:.4g}<extra></extra>",
        )
    yield go.Scatter3d(
        x=[0.0],
        y=[0.0],
        z=[plane.center_loss],
        mode="markers",
        name="trained model",
        marker={"color": MINIMUM, "size": 6, "symbol": "diamond"},
        hovertemplate="trained model<br>loss %{z:.4g}<extra></extra>",
    )
