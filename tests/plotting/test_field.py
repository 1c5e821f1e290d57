"""Heat maps, solutions and images show the numbers they were given, the right way round."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topograph.plotting.field import (
    HeatMap,
    class_handles,
    draw_classes,
    draw_heat_map,
    draw_heat_maps,
    draw_image,
    draw_solution,
    shared_norm,
)

FRAME = pd.DataFrame(
    [[1e-3, 0.01, 0.1], [0.02, np.nan, 10.0]], index=[1.0, 0.1], columns=[1, 6, 30]
)


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


def test_a_heat_map_has_the_rows_and_columns_of_its_frame(axes: Axes) -> None:
    image = draw_heat_map(axes, FRAME)
    shown = image.get_array()
    np.testing.assert_array_equal(shown.filled(np.nan), FRAME.to_numpy())
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "6", "30"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1.0", "0.1"]


def test_every_cell_prints_its_number_where_it_stands(axes: Axes) -> None:
    draw_heat_map(axes, FRAME)
    printed = {text.get_position(): text.get_text() for text in axes.texts}
    assert printed == {
        (0, 0): "0.001",
        (1, 0): "0.01",
        (2, 0): "0.1",
        (0, 1): "0.02",
        (1, 1): "diverged",
        (2, 1): "10",
    }


def test_the_scale_is_logarithmic_from_the_smallest_to_the_largest(axes: Axes) -> None:
    norm = draw_heat_map(axes, FRAME).norm
    assert (norm.vmin, norm.vmax) == (1e-3, 10.0)
    assert norm(0.1) == pytest.approx(0.5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_frame_in_which_everything_diverged_is_drawn(axes: Axes, value: float) -> None:
    image = draw_heat_map(axes, FRAME * 0 + value)
    assert image.get_array().mask.all()
    assert {text.get_text() for text in axes.texts} == {"diverged"}


def test_a_frame_of_one_number_is_drawn(axes: Axes) -> None:
    image = draw_heat_map(axes, pd.DataFrame([[0.5]]))
    assert image.norm.vmin < image.norm.vmax


@pytest.mark.parametrize("order", [("x", "t"), ("t", "x")])
def test_a_solution_has_time_to_the_right_and_x_upwards(axes: Axes, order: tuple[str]) -> None:
    x, t = np.arange(4.0), np.arange(3.0)
    u = xr.DataArray(10 * x[:, None] + t, coords={"x": x, "t": t}, dims=("x", "t"))
    mesh = draw_solution(axes, u.transpose(*order))
    np.testing.assert_array_equal(mesh.get_array().reshape(4, 3), u.values)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("t", "x")
    corners = mesh.get_coordinates()
    assert np.all(np.diff(corners[0, :, 0]) > 0)  # columns follow t
    assert np.all(np.diff(corners[:, 0, 1]) > 0)  # rows follow x
    assert mesh.get_clim() == (-1, 1)


def test_classes_keep_their_colour_whichever_are_present(axes: Axes) -> None:
    classes = np.array([[0, 1, 2], [2, 2, 2]])
    image = draw_classes(axes, classes)
    np.testing.assert_array_equal(image.get_array(), [[2, 2], [1, 2], [0, 2]])
    alone = draw_classes(axes, np.full((2, 2), 2))
    assert image.to_rgba(2) == alone.to_rgba(2)
    assert len({image.to_rgba(index) for index in range(5)}) == 5


def test_the_legend_of_classes_has_their_colours(axes: Axes) -> None:
    image = draw_classes(axes, np.array([[0, 1, 2]]))
    handles = class_handles(["background", "grey matter", "white matter"])
    assert [handle.get_label() for handle in handles] == [
        "background",
        "grey matter",
        "white matter",
    ]
    assert [handle.get_facecolor() for handle in handles] == [image.to_rgba(i) for i in range(3)]


def test_an_image_stands_like_its_classes(axes: Axes) -> None:
    intensities = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(draw_image(axes, intensities).get_array(), np.rot90(intensities))


def test_notes_stand_in_empty_cells_and_below_numbers(axes: Axes) -> None:
    notes = pd.DataFrame([["", "3 of 5", ""], ["", "missing", ""]], FRAME.index, FRAME.columns)
    draw_heat_map(axes, FRAME * 1e-3, notes=notes)
    printed = {text.get_position(): text.get_text() for text in axes.texts}
    assert printed[0, 0] == "1e-6"
    assert printed[1, 0] == "1e-5\n3 of 5"
    assert printed[1, 1] == "missing"


def test_heat_maps_share_colours_where_their_norm_is_shared() -> None:
    notes = FRAME.isna().replace({True: "none", False: ""})
    norm = shared_norm(FRAME, FRAME * 100)
    assert norm is not None and (norm.vmin, norm.vmax) == (1e-3, 1e3)
    figure = Figure()
    maps = {"ours": HeatMap(FRAME, notes, norm), "empty": HeatMap(FRAME * np.nan, notes, None)}
    first, second = draw_heat_maps(figure, maps)
    assert first.images[0].norm is norm
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["ours", "empty"]
    assert len(figure.axes) == 3
