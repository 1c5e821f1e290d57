"""Loss surfaces as contours, in relief and as slices, with the minima and saddles of their tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm, Normalize
from matplotlib.contour import QuadContourSet
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, MaxNLocator
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from numpy.typing import NDArray

from topograph.foundation.errors import TopographError
from topograph.plotting.style import (
    BACKGROUND,
    LOSS_COLOURS,
    MINIMUM,
    SADDLE,
    UNRESOLVED,
    is_resolved,
)

LEVELS = 16
TICKS = 3
# Facets along an axis of a surface; a finer grid would be drawn to less than a dot of print.
FACETS = 200
# On a map nothing but the mark tells the kinds apart, so their shapes differ as well.
KINDS = {"minimum": (MINIMUM, "o", 18), "saddle": (SADDLE, "D", 14)}


class _Grid(NamedTuple):
    """Values, NaN where not finite, and the alphas along each axis."""

    values: NDArray[np.float64]
    alphas: list[NDArray[np.float64]]


def draw_contour(
    axes: Axes, loss: xr.DataArray, marks: pd.DataFrame | None = None
) -> QuadContourSet:
    """Draw loss(alpha_1, alpha_2), positive losses on a logarithmic scale, with its marks.

    ``marks`` has kind and vertex, the index of the grid point in C order; a mark whose column
    ``resolved`` is False is grey. Raises TopographError for other axes and without a finite loss.
    """
    values, (first, second) = _grid(loss, 2)
    logarithmic = isinstance(_norm(values), LogNorm)
    low, high = np.nanmin(values), np.nanmax(values)
    levels = np.geomspace(low, high, LEVELS) if logarithmic else LEVELS
    contour = axes.contourf(
        first,
        second,
        values.T,
        levels=levels,
        norm=LogNorm(low, high) if logarithmic else None,
        cmap=LOSS_COLOURS,
    )
    for label, style, places in _styled(marks, values.shape):
        axes.scatter(first[places[0]], second[places[1]], label=label, clip_on=False, **style)
    axes.set_facecolor(BACKGROUND)
    axes.set(xlabel=r"$\alpha_1$", ylabel=r"$\alpha_2$")
    axes.locator_params(nbins=TICKS)
    return contour


def draw_surface(axes: Axes3D, loss: xr.DataArray, marks: pd.DataFrame) -> Poly3DCollection:
    """Draw loss(alpha_1, alpha_2) in relief, positive losses by their logarithm, with its marks.

    ``marks`` is that of ``draw_contour``; marks behind a ridge show through it. The vertical axis
    is log10 of the loss, ticked at losses. Raises TopographError as ``draw_contour`` does.
    """
    values, (first, second) = _grid(loss, 2)
    logarithmic = isinstance(_norm(values), LogNorm)
    heights = np.log10(values) if logarithmic else values
    surface = axes.plot_surface(
        *np.meshgrid(first, second, indexing="ij"),
        heights,
        cmap=LOSS_COLOURS,
        rcount=FACETS,
        ccount=FACETS,
        edgecolors="white",
        linewidth=min(0.2, 8 / max(values.shape)),
        rasterized=True,
    )
    # By default the nearer of two artists covers the other as a whole: a surface its own marks.
    axes.computed_zorder = False
    if logarithmic:
        ticks = _logarithmic_ticks(float(np.nanmin(values)), float(np.nanmax(values)))
        axes.set_zticks(np.log10(ticks), [f"{tick:g}" for tick in ticks])
    for label, style, places in _styled(marks, values.shape):
        axes.scatter(
            first[places[0]],
            second[places[1]],
            heights[places],
            label=label,
            depthshade=False,
            **style,
        )
    _name_axes(axes)
    return surface


def _name_axes(axes: Axes3D) -> None:
    axes.set(xlabel=r"$\alpha_1$", ylabel=r"$\alpha_2$")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(3))
    # No layout makes room for the labels of axes in space: a name beside the ticks would be cut.
    axes.set_box_aspect(None, zoom=0.85)
    corner = [limits()[1] for limits in (axes.get_xlim, axes.get_ylim, axes.get_zlim)]
    axes.text(*corner, "loss", ha="center", va="bottom")


def draw_slices(
    axes: Sequence[Axes], loss: xr.DataArray, marks: pd.DataFrame | None = None
) -> list[QuadMesh]:
    """Draw the planes of loss(alpha_1, alpha_2, alpha_3) through its centre on three axes.

    Each plane leaves out one alpha, the last one first, at its grid point nearest 0; a cross marks
    the centre. The colours are shared, on a logarithmic scale if all losses shown are positive.
    ``marks`` is that of ``draw_contour``, in the cube; those within half a cell of a plane, that
    is at its grid points, are drawn. Raises TopographError unless there are three axes to draw on,
    for other axes of the loss and without a finite loss on the planes.
    """
    if len(axes) != 3:
        raise TopographError(f"{len(axes)} axes to draw on; allowed: 3, one for each plane")
    values, alphas = _grid(loss, 3)
    centre = [int(np.abs(alpha).argmin()) for alpha in alphas]
    planes = {left_out: np.take(values, centre[left_out], left_out) for left_out in (2, 1, 0)}
    norm = _norm(np.concatenate([plane.ravel() for plane in planes.values()]))
    meshes = []
    for panel, (left_out, plane) in zip(axes, planes.items(), strict=True):
        across, up = (axis for axis in range(3) if axis != left_out)
        meshes.append(_slice(panel, alphas[across], alphas[up], plane, norm))
        panel.set(xlabel=rf"$\alpha_{across + 1}$", ylabel=rf"$\alpha_{up + 1}$")
        panel.set_title(rf"$\alpha_{left_out + 1} = {_plain(alphas[left_out], centre[left_out])}$")
        for label, style, places in _styled(marks, values.shape):
            near = places[left_out] == centre[left_out]
            panel.scatter(
                alphas[across][places[across][near]],
                alphas[up][places[up][near]],
                label=label,
                **style,
            )
    return meshes


def _slice(
    axes: Axes,
    across: NDArray[np.float64],
    up: NDArray[np.float64],
    plane: NDArray[np.float64],
    norm: Normalize,
) -> QuadMesh:
    mesh = axes.pcolormesh(
        across,
        up,
        np.ma.masked_invalid(plane.T),
        norm=norm,
        cmap=LOSS_COLOURS,
        shading="nearest",
        rasterized=True,
    )
    axes.set_facecolor(BACKGROUND)
    axes.set_box_aspect(1)
    axes.locator_params(nbins=TICKS)
    outline = [withStroke(linewidth=2.4, foreground="white")]
    axes.scatter([0], [0], marker="+", s=70, color="black", path_effects=outline, label="centre")
    return mesh


def _plain(alphas: NDArray[np.float64], index: int) -> str:
    """Return an alpha in words; the middle of linspace(-d, d) is 0 but for rounding."""
    at = float(alphas[index])
    return "0" if abs(at) < 1e-9 * np.abs(alphas).max() else f"{at:.2g}"


def _grid(loss: xr.DataArray, count: int) -> _Grid:
    names = tuple(f"alpha_{axis + 1}" for axis in range(count))
    if set(loss.dims) != set(names):
        raise TopographError(
            f"the loss has the axes {', '.join(map(str, loss.dims)) or 'none'}; allowed: "
            f"{', '.join(names)}. Choose a seed and an epoch, or other axes, with sel()"
        )
    values = loss.transpose(*names).values
    return _Grid(np.where(np.isfinite(values), values, np.nan), [loss[n].values for n in names])


def _norm(values: NDArray[np.float64]) -> Normalize:
    """Return colours from the lowest to the highest loss: by the logarithm if all are above 0."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise TopographError(
            f"all {values.size} losses are NaN or infinite; allowed: at least one finite loss. "
            "The training behind them diverged"
        )
    low, high = float(finite.min()), float(finite.max())
    return LogNorm(low, high) if 0 < low < high else Normalize(low, high)


def _styled(
    marks: pd.DataFrame | None, shape: tuple[int, ...]
) -> list[tuple[str, dict, tuple[NDArray[np.int64], ...]]]:
    """Return label, style and grid places of each kind of mark, the unresolved ones apart."""
    if marks is None:
        return []
    resolved = is_resolved(marks)
    groups = []
    for kind, (colour, marker, size) in KINDS.items():
        style = {"marker": marker, "s": size, "edgecolors": "white", "linewidths": 0.5}
        full = style | {"color": colour, "zorder": 4}
        grey = style | {"color": UNRESOLVED, "zorder": 3}
        for kept, label, look in ((True, kind, full), (False, f"{kind}, unresolved", grey)):
            chosen = (marks["kind"] == kind) & (resolved == kept)
            if kept or chosen.any():
                places = np.unravel_index(marks.loc[chosen, "vertex"].to_numpy(), shape)
                groups.append((label, look, places))
    return groups


def _logarithmic_ticks(low: float, high: float) -> NDArray[np.float64]:
    """Return a few plain losses between two: powers of ten, and more where there are few."""
    decades = np.log10(high / low)
    subs = (1.0, 3.0) if decades < 3 else (1.0,)
    locator = MaxNLocator(4) if decades < 1 else LogLocator(subs=subs, numticks=6)
    ticks = np.array(locator.tick_values(low, high))
    return ticks[(ticks >= low) & (ticks <= high)]
