"""Pictures of profiles, trees and diagrams hold the data of their tables."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import LogNorm, to_rgba
from matplotlib.figure import Figure
from scipy.spatial import cKDTree

from topograph.foundation.errors import TopographError
from topograph.plotting.profile import (
    CELLS,
    as_share,
    draw_profile,
    draw_profile_grid,
    draw_profiles,
)
from topograph.plotting.style import UNRESOLVED, figure_style
from topograph.topology.analysis import MOST_DRAWN
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


def test_steps_are_the_exact_outlines(shape: Profile) -> None:
    artists = draw_profile(axes_of_a_figure(), shape.table(), shape.marks(), steps=True)
    for path, steps in zip(artists.basins.get_paths(), shape.steps, strict=True):
        np.testing.assert_array_equal(path.vertices[:-1], steps)


def test_what_is_not_resolved_is_grey_and_has_no_dot(shape: Profile) -> None:
    table = shape.table().assign(resolved=lambda t: t["branch"] != 3)
    marks = shape.marks().assign(resolved=lambda m: m["vertex"] == 0)
    artists = draw_profile(axes_of_a_figure(), table, marks)
    artists.basins.update_scalarmappable()
    colours = artists.basins.get_facecolor()
    plain = draw_profile(axes_of_a_figure(), shape.table(), shape.marks()).basins
    plain.update_scalarmappable()
    grey = [table.loc[table["arc"] == arc, "branch"].iloc[0] == 3 for arc in range(3)]
    assert grey == [False, True, False]
    assert colours[1].tolist() == pytest.approx(to_rgba(UNRESOLVED))
    assert len(artists.minima.get_offsets()) == 1 and len(artists.saddles.get_offsets()) == 0


def test_many_dots_are_smaller(shape: Profile) -> None:
    few = draw_profile(axes_of_a_figure(), shape.table(), shape.marks()).minima
    many = profile(merge_tree(np.random.default_rng(0).random((30, 30))))
    assert many.tree.minima.size > 80
    small = draw_profile(axes_of_a_figure(), many.table(), many.marks()).minima
    assert small.get_sizes()[0] < few.get_sizes()[0] == 16


def test_profiles_side_by_side_share_axis_scale_and_colours(shape: Profile) -> None:
    other = profile(merge_tree([2.0, 4, 9]))
    axes = axes_of_a_figure()
    empty = (shape.table().iloc[:0], shape.marks().iloc[:0])
    pictured = {
        "one": (shape.table(), shape.marks()),
        "gone": empty,
        "two": (other.table(), other.marks()),
    }
    first, second = draw_profiles(axes, pictured, log=True)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["one", "gone", "two"]
    ticks = axes.get_xticks()
    assert np.diff(ticks).tolist() == pytest.approx([5.4, 5.4])
    assert first.basins.norm is second.basins.norm
    for artists, tick, width in ((first, ticks[0], 5), (second, ticks[2], 3)):
        x = np.concatenate([path.vertices[:, 0] for path in artists.basins.get_paths()])
        assert [x.min(), x.max()] == pytest.approx([tick - width / 2, tick + width / 2])
    assert [text.get_text() for text in axes.texts] == ["diverged"]


def test_the_drawing_of_a_large_rough_landscape_stays_small(tmp_path: Path) -> None:
    field = np.random.default_rng(0).random((15,) * 4)
    tree = merge_tree(field, "axis")
    assert tree.minima.size > 5000
    drawn = profile(tree.largest(MOST_DRAWN))
    figure = Figure()
    draw_profile(figure.add_subplot(), drawn.table(), drawn.marks())
    figure.savefig(tmp_path / "profile.svg")
    assert (tmp_path / "profile.svg").stat().st_size < 500_000


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


def test_small_profiles_stand_in_their_place_with_their_range(shape: Profile) -> None:
    axes = axes_of_a_figure()
    found = {("a", 1): (shape.table(), shape.marks()), ("b", 2): "missing"}
    draw_profile_grid(axes, ["a", "b"], [1, 2], lambda *at: found.get(at, "diverged"))
    words = {text.get_text(): text.get_position() for text in axes.texts}
    assert words["missing"] == (1, -1)
    assert words["1e0 … 7e0"] == (0, 0.43)
    assert [text.get_text() for text in axes.texts].count("diverged") == 2
    (basins,) = (c for c in axes.collections if c.get_paths() and c.get_array() is not None)
    corners = np.concatenate([path.vertices for path in basins.get_paths()])
    assert corners.min(axis=0) == pytest.approx([-0.42, -0.4])
    assert corners.max(axis=0) == pytest.approx([0.42, 0.24])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]


def test_widths_may_count_shares_of_the_grid(shape: Profile) -> None:
    table, marks = as_share(shape.table(), shape.marks())
    assert np.ptp(table["x"]) == 1
    assert marks["x"].iloc[0] / table["x"].max() == shape.marks()["x"].iloc[0] / 5
    empty, _ = as_share(shape.table().iloc[:0], shape.marks().iloc[:0])
    assert len(empty) == 0
