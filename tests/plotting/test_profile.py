"""Pictures of profiles, trees and diagrams hold the data of their tables."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from scipy.spatial import cKDTree

from topograph.foundation.errors import TopographError
from topograph.plotting.persistence import draw_diagram
from topograph.plotting.profile import CELLS, draw_profile, draw_tree
from topograph.plotting.style import figure_style
from topograph.topology.merge_tree import merge_tree
from topograph.topology.profile import Profile, profile


@pytest.fixture
def shape() -> Profile:
    return profile(merge_tree([1.0, 2, 6, 3, 7], "axis"))


def axes_of_a_figure():
    return Figure().add_subplot()


def test_outlines_and_marks_are_those_of_the_tables(shape: Profile) -> None:
    artists = draw_profile(axes_of_a_figure(), shape.table(), shape.marks())
    paths = artists.basins.get_paths()
    for path, polygon in zip(paths, shape.polygons, strict=True):
        moved = np.any(np.diff(polygon, axis=0, prepend=np.nan) != 0, axis=1)
        np.testing.assert_array_equal(path.vertices[:-1], polygon[moved])
    assert artists.basins.get_array().tolist() == shape.mean_loss.tolist()
    assert artists.minima.get_offsets().tolist() == [[2, 1], [3.5, 3]]
    assert artists.saddles.get_offsets().tolist() == [[2.5, 6]]


def test_outlines_of_large_grids_keep_only_what_can_be_seen() -> None:
    x, y = np.meshgrid(*[np.linspace(-1, 1, 201)] * 2)
    shape = profile(merge_tree(np.exp(4 * np.hypot(x, y))))
    for log in (False, True):
        table = shape.table()
        (path,) = draw_profile(axes_of_a_figure(), table, shape.marks(), log=log).basins.get_paths()
        assert len(path.vertices) < 4 * CELLS < len(table)
        kept = {tuple(vertex) for vertex in path.vertices}
        assert kept <= {tuple(vertex) for vertex in shape.polygons[0]}
        place = np.log if log else np.asarray
        scale = np.array([np.ptp(table["x"]), np.ptp(place(table["y"]))])
        drawn = np.stack([path.vertices[:, 0], place(path.vertices[:, 1])], axis=1) / scale
        given = np.stack([table["x"], place(table["y"])], axis=1) / scale
        assert cKDTree(drawn).query(given)[0].max() <= 1.5 / CELLS


def test_lower_basins_are_darker(shape: Profile) -> None:
    basins = draw_profile(axes_of_a_figure(), shape.table(), shape.marks()).basins
    basins.update_scalarmappable()
    brightness = basins.get_facecolor()[:, :3].sum(axis=1)
    order = np.argsort(shape.mean_loss)
    assert np.all(np.diff(brightness[order]) > 0)


def test_a_shared_norm_is_used(shape: Profile) -> None:
    norm = LogNorm(0.1, 100)
    basins = draw_profile(axes_of_a_figure(), shape.table(), shape.marks(), norm=norm).basins
    assert basins.norm is norm and (norm.vmin, norm.vmax) == (0.1, 100)


def test_axes_hold_the_whole_profile(shape: Profile) -> None:
    for log in (False, True):
        axes = axes_of_a_figure()
        draw_profile(axes, shape.table(), shape.marks(), log=log)
        axes.figure.canvas.draw()
        assert axes.get_yscale() == ("log" if log else "linear")
        assert axes.get_xlim()[0] <= 0 and axes.get_xlim()[1] >= 5
        assert axes.get_ylim()[0] <= 1 and axes.get_ylim()[1] >= 7
        assert axes.get_ylim()[1] < 20


def test_log_axis_refuses_losses_of_zero() -> None:
    shape = profile(merge_tree([0.0, 1]))
    with pytest.raises(TopographError, match="log=False"):
        draw_profile(axes_of_a_figure(), shape.table(), shape.marks(), log=True)


def test_tree_segments(shape: Profile) -> None:
    lines = shape.tree_lines()
    drawn = np.array(draw_tree(axes_of_a_figure(), lines).get_segments())
    np.testing.assert_array_equal(drawn.reshape(-1, 4), lines.to_numpy())


def test_diagram_shows_every_pair_once() -> None:
    pairs = pd.DataFrame({"dim": [0, 0, 1], "birth": [0.0, 1, 2], "death": [np.inf, 3.0, 4.0]})
    axes = axes_of_a_figure()
    artists = draw_diagram(axes, pairs)
    places = {a.get_label(): a.get_offsets().tolist() for a in artists}
    assert places["H0"] == [[1, 3]] and places["H1"] == [[2, 4]]
    [[birth, top]] = places["H0, essential"]
    assert birth == 0 and top > 4
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["H0", "H0, essential", "H1"]


@pytest.mark.parametrize("superlevel", [False, True])
def test_diagram_of_a_tree_puts_essential_pairs_beyond_the_rest(superlevel: bool) -> None:
    pairs = merge_tree([1.0, 2, 6, 3, 7, 0], "axis", superlevel=superlevel).pairs
    finite, essential = draw_diagram(axes_of_a_figure(), pairs)
    line = essential.get_offsets()[:, 1]
    deaths = finite.get_offsets()[:, 1]
    assert np.all(line < deaths.min()) if superlevel else np.all(line > deaths.max())


def test_a_logarithmic_diagram_has_its_lines_around_all_pairs() -> None:
    pairs = pd.DataFrame({"birth": [1e-4, 2.0], "death": [np.inf, 30.0]})
    axes = axes_of_a_figure()
    _, essential = draw_diagram(axes, pairs, log=True)
    assert axes.get_xscale() == axes.get_yscale() == "log"
    (start, end), _ = axes.lines[0].get_data()
    assert 0 < start < 1e-4 and 30 < end < 300
    assert essential.get_offsets()[0].tolist() == [1e-4, end]
    with pytest.raises(TopographError, match="log=False"):
        draw_diagram(axes_of_a_figure(), pairs.assign(birth=0.0), log=True)


def test_diagram_without_pairs_is_an_empty_frame() -> None:
    axes = axes_of_a_figure()
    assert draw_diagram(axes, pd.DataFrame({"birth": [], "death": []})) == []
    axes.figure.canvas.draw()


def test_style_is_restored_and_files_are_reproducible(shape: Profile) -> None:
    before = dict(matplotlib.rcParams)
    files = []
    for _ in range(2):
        with figure_style():
            figure = Figure()
            draw_profile(figure.add_subplot(), shape.table(), shape.marks())
            file = io.BytesIO()
            figure.savefig(file, format="svg", metadata={"Date": None})
            files.append(file.getvalue())
    assert files[0] == files[1] and b"<text" not in files[0]
    assert dict(matplotlib.rcParams) == before
