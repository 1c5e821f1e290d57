"""Contours show the right axes, and marks lie where their vertices are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from topograph.plotting.landscape import draw_contour

NONE = pd.DataFrame({"kind": [], "vertex": []}).astype({"vertex": int})


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


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
