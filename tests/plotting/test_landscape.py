"""Contours show the right axes, and marks lie where their vertices are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, to_rgba
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D

from topograph.foundation.errors import TopographError
from topograph.plotting.landscape import draw_contour, draw_slices, draw_surface
from topograph.plotting.style import MINIMUM, UNRESOLVED

NONE = pd.DataFrame({"kind": [], "vertex": []}).astype({"vertex": int})


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


@pytest.fixture
def space() -> Axes3D:
    return Figure().add_subplot(projection="3d")


def landscape(values: np.ndarray) -> xr.DataArray:
    first, second = np.linspace(-2, 2, values.shape[0]), np.linspace(-3, 3, values.shape[1])
    coords = {"alpha_1": first, "alpha_2": second}
    return xr.DataArray(values, coords=coords, dims=("alpha_1", "alpha_2"))


def bowl() -> xr.DataArray:
    grid = landscape(np.zeros((5, 7)))
    return (grid["alpha_1"] - 1) ** 2 + (grid["alpha_2"] + 2) ** 2 + 0.5


@pytest.mark.parametrize("order", [("alpha_1", "alpha_2"), ("alpha_2", "alpha_1")])
def test_alpha_1_lies_to_the_right_and_the_lowest_level_around_the_minimum(
    axes: Axes, order: tuple[str, str]
) -> None:
    contour = draw_contour(axes, bowl().transpose(*order), NONE)
    assert axes.get_xlim() == (-2, 2)
    assert axes.get_ylim() == (-3, 3)
    lowest = contour.get_paths()[0].get_extents()
    assert lowest.contains(1, -2)
    assert not lowest.contains(-2, 1)
    assert axes.get_xlabel() == r"$\alpha_1$"


def test_marks_lie_at_the_alphas_of_their_vertices(axes: Axes) -> None:
    loss = bowl()
    marks = pd.DataFrame(
        {"kind": ["minimum", "saddle", "minimum"], "vertex": [3 * 7 + 1, 0, 4 * 7 + 6]}
    )
    draw_contour(axes, loss, marks)
    found = {artist.get_label(): artist.get_offsets().tolist() for artist in axes.collections[1:]}
    assert found == {"minimum": [[1, -2], [2, 3]], "saddle": [[-2, -3]]}
    row, column = np.unravel_index(int(loss.values.argmin()), loss.shape)
    assert found["minimum"][0] == [loss["alpha_1"][row], loss["alpha_2"][column]]


def test_positive_losses_have_a_logarithmic_scale_between_their_ends(axes: Axes) -> None:
    contour = draw_contour(axes, bowl(), NONE)
    assert isinstance(contour.norm, LogNorm)
    assert contour.levels[0] == pytest.approx(float(bowl().min()))
    assert contour.levels[-1] == pytest.approx(float(bowl().max()))
    np.testing.assert_allclose(
        np.diff(np.log(contour.levels)), np.log(contour.levels[1] / contour.levels[0])
    )


@pytest.mark.parametrize("shift", [-0.5, -10])
def test_losses_of_0_and_below_have_a_linear_scale(axes: Axes, shift: float) -> None:
    contour = draw_contour(axes, bowl() + shift, NONE)
    assert not isinstance(contour.norm, LogNorm)
    np.testing.assert_allclose(np.diff(contour.levels, 2), 0, atol=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_left_out(axes: Axes, value: float) -> None:
    loss = bowl().copy()
    highest = float(loss.isel(alpha_1=slice(1, None)).max())
    loss[0, :] = value
    contour = draw_contour(axes, loss, NONE)
    assert np.isfinite(contour.levels).all()
    assert contour.levels[-1] == pytest.approx(highest)


def test_unresolved_marks_are_grey_below_the_rest_and_of_the_same_shape(axes: Axes) -> None:
    marks = pd.DataFrame(
        {"kind": ["minimum"] * 3, "vertex": [22, 0, 34], "resolved": [True, False, True]}
    )
    draw_contour(axes, bowl(), marks)
    by_label = {artist.get_label(): artist for artist in axes.collections[1:]}
    assert set(by_label) == {"minimum", "saddle", "minimum, unresolved"}
    full, grey = by_label["minimum"], by_label["minimum, unresolved"]
    assert full.get_offsets().tolist() == [[1, -2], [2, 3]]
    assert grey.get_offsets().tolist() == [[-2, -3]]
    assert tuple(grey.get_facecolor()[0]) == to_rgba(UNRESOLVED)
    assert tuple(full.get_facecolor()[0]) == to_rgba(MINIMUM)
    assert grey.get_zorder() < full.get_zorder()
    assert np.array_equal(grey.get_paths()[0].vertices, full.get_paths()[0].vertices)
    saddle = by_label["saddle"].get_paths()[0].vertices
    assert not np.array_equal(saddle, full.get_paths()[0].vertices)


def test_a_surface_has_logarithmic_heights_ticked_at_losses(space: Axes3D) -> None:
    loss = 10 ** (bowl() / 5)
    marks = pd.DataFrame({"kind": ["minimum"], "vertex": [22], "resolved": [True]})
    surface = draw_surface(space, loss, marks)
    heights = np.log10(loss.values)
    # A facet's colour is the mean height of its corners.
    corners = (heights[:-1, :-1] + heights[1:, :-1] + heights[:-1, 1:] + heights[1:, 1:]) / 4
    np.testing.assert_allclose(np.sort(surface.get_array()), np.sort(corners.ravel()))
    ticks = space.get_zticks()
    losses = [float(text.get_text()) for text in space.get_zticklabels()]
    assert len(ticks) >= 3
    np.testing.assert_allclose(10**ticks, losses)
    minimum = next(artist for artist in space.collections if artist.get_label() == "minimum")
    place = [float(axis[0]) for axis in minimum._offsets3d]
    assert place == pytest.approx([1, -2, float(np.log10(loss.min()))])
    assert minimum.get_zorder() > surface.get_zorder() and not space.computed_zorder
    space.figure.draw_without_rendering()


def test_a_surface_of_losses_of_0_and_below_or_holes_is_linear(space: Axes3D) -> None:
    loss = bowl() - 5
    loss[4, :] = np.inf
    surface = draw_surface(space, loss, NONE)
    assert np.nanmax(surface.get_array()) < float(loss[:4].max())
    assert np.nanmin(surface.get_array()) < 0
    space.figure.draw_without_rendering()
    assert space.get_zlim()[1] < 1.1 * float(loss[:4].max())


def cube() -> xr.DataArray:
    """A loss that tells its axes apart, on 5 x 7 x 6 points; alpha_3 has none at 0."""
    axes = {f"alpha_{i + 1}": np.linspace(-1, 1, n) for i, n in enumerate((5, 7, 6))}
    grid = xr.DataArray(np.zeros((5, 7, 6)), coords=axes, dims=tuple(axes))
    return 1 + (grid["alpha_1"] + 3 * grid["alpha_2"] + 9 * grid["alpha_3"] - 1) ** 2


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_slices_are_the_three_planes_through_the_centre(order: tuple[int, ...]) -> None:
    panels = Figure().subplots(1, 3)
    loss = cube().transpose(*(f"alpha_{i + 1}" for i in order))
    meshes = draw_slices(panels, loss)
    planes = [("alpha_1", "alpha_2"), ("alpha_1", "alpha_3"), ("alpha_2", "alpha_3")]
    zero = {"alpha_1": 0.0, "alpha_2": 0.0, "alpha_3": -0.2}
    for panel, mesh, (across, up) in zip(panels, meshes, planes, strict=True):
        (left_out,) = set(zero) - {across, up}
        plane = loss.sel({left_out: zero[left_out]}, method="nearest").transpose(up, across)
        np.testing.assert_array_equal(np.reshape(mesh.get_array(), plane.shape), plane)
        names = [rf"$\{name}$" for name in (across, up)]
        assert [panel.get_xlabel(), panel.get_ylabel()] == names
        assert panel.get_title() == rf"$\{left_out} = {zero[left_out]:g}$"
        (centre,) = (a for a in panel.collections if a.get_label() == "centre")
        assert centre.get_offsets().tolist() == [[0, 0]]
        assert panel.get_xlim()[0] < -1 and panel.get_xlim()[1] > 1


def test_slices_share_one_scale_from_the_lowest_to_the_highest_loss_shown() -> None:
    meshes = draw_slices(Figure().subplots(1, 3), cube())
    norm = meshes[0].norm
    assert isinstance(norm, LogNorm) and all(mesh.norm is norm for mesh in meshes)
    shown = np.concatenate([np.ravel(mesh.get_array()) for mesh in meshes])
    assert (norm.vmin, norm.vmax) == (shown.min(), shown.max())
    linear = draw_slices(Figure().subplots(1, 3), cube() - 2)[0].norm
    assert not isinstance(linear, LogNorm)


def test_slices_have_the_marks_of_their_own_grid_points() -> None:
    loss = cube()
    places = [(2, 3, 2), (1, 3, 2), (4, 6, 2), (0, 0, 0)]
    vertices = [np.ravel_multi_index(place, loss.shape) for place in places]
    kinds = ["minimum", "minimum", "saddle", "saddle"]
    panels = Figure().subplots(1, 3)
    draw_slices(panels, loss, pd.DataFrame({"kind": kinds, "vertex": vertices}))
    found = [
        {a.get_label(): a.get_offsets().tolist() for a in panel.collections[2:]} for panel in panels
    ]
    near = pytest.approx(-0.2)
    assert found == [
        {"minimum": [[0, 0], [-0.5, 0]], "saddle": [[1, 1]]},
        {"minimum": [[0, near], [-0.5, near]], "saddle": []},
        {"minimum": [[0, near]], "saddle": []},
    ]


def test_a_centre_that_is_0_up_to_rounding_is_called_0() -> None:
    alphas = np.linspace(-0.06, 0.06, 11).round(17) - 7e-18
    coords = {f"alpha_{i + 1}": alphas for i in range(3)}
    panels = Figure().subplots(1, 3)
    draw_slices(panels, xr.DataArray(np.ones((11,) * 3), coords=coords, dims=tuple(coords)))
    assert panels[0].get_title() == r"$\alpha_3 = 0$"


def test_slices_leave_masked_values_out() -> None:
    loss = cube()
    loss[2, 3, :] = np.nan
    meshes = draw_slices(Figure().subplots(1, 3), loss)
    assert [int(np.ma.count_masked(mesh.get_array())) for mesh in meshes] == [1, 6, 6]
    assert np.isfinite([meshes[0].norm.vmin, meshes[0].norm.vmax]).all()


def test_what_cannot_be_drawn_is_named(axes: Axes, space: Axes3D) -> None:
    seeds = bowl().expand_dims(seed=3)
    for draw, where in ((draw_contour, axes), (draw_surface, space)):
        with pytest.raises(TopographError, match="axes seed, alpha_1, alpha_2; allowed: alpha_1"):
            draw(where, seeds, NONE)
        with pytest.raises(TopographError, match="all 35 losses are NaN or infinite"):
            draw(where, bowl() * np.nan, NONE)
    with pytest.raises(TopographError, match="alpha_2; allowed: alpha_1, alpha_2, alpha_3"):
        draw_slices([axes] * 3, bowl())
    with pytest.raises(TopographError, match="2 axes to draw on; allowed: 3"):
        draw_slices([axes] * 2, cube())
