"""The profile conserves vertices: widths, spans and outlines add up at every level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from topograph.foundation.errors import TopographError
from topograph.topology.merge_tree import merge_tree
from topograph.topology.profile import Profile, profile

fields = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=2, max_side=6),
    elements=st.one_of(st.integers(0, 9).map(float), st.just(np.nan)),
).filter(lambda field: np.isfinite(field).any())
thresholds = st.sampled_from([0, 2, 5])
quick = settings(max_examples=60, deadline=None)


def outline_width(shape: Profile, arc: int, level: float) -> float:
    outline = shape.polygons[arc]
    reached = outline[outline[:, 1] <= level, 0]
    return reached.max() - reached.min()


@quick
@given(fields, thresholds)
def test_widths_of_live_outlines_sum_to_the_vertices_below(field, threshold) -> None:
    tree = merge_tree(field).simplify(threshold)
    shape = profile(tree)
    starts = tree.values[tree.arc_vertex]
    ends = np.where(tree.arc_parent >= 0, starts[tree.arc_parent], np.inf)
    finite = field[np.isfinite(field)]
    for level in np.concatenate([np.unique(finite), [finite.min() - 1, 4.5]]):
        live = np.flatnonzero((starts <= level) & (level < ends))
        expected = np.count_nonzero(finite <= level)
        assert sum(outline_width(shape, arc, level) for arc in live) == pytest.approx(expected)
        assert shape.width(level) == expected


@quick
@given(fields, thresholds)
def test_arc_sizes_spans_and_point_counts(field, threshold) -> None:
    tree = merge_tree(field).simplify(threshold)
    shape = profile(tree)
    count = np.count_nonzero(np.isfinite(field))
    assert np.sum(shape.total_width - shape.child_width) == count
    assert sum(map(len, shape.polygons)) == 2 * count + 4 * tree.arc_vertex.size
    for parent in range(-1, tree.arc_vertex.size):
        children = np.flatnonzero(tree.arc_parent == parent)
        if children.size == 0:
            continue
        whole = [0, count] if parent < 0 else shape.spans[parent]
        inner = count if parent < 0 else shape.child_width[parent]
        children = children[np.argsort(shape.spans[children, 0])]
        spans = shape.spans[children]
        assert spans[0, 0] >= whole[0] and spans[-1, 1] <= whole[1]
        assert spans[:, 0].min() + spans[:, 1].max() == pytest.approx(np.sum(whole))
        assert np.allclose(spans[1:, 0], spans[:-1, 1])
        assert spans[-1, 1] - spans[0, 0] == inner
        assert np.all(np.diff(shape.total_width[children]) <= 0)
        assert np.allclose(spans[:, 1] - spans[:, 0], shape.total_width[children])


def test_two_wells_by_hand() -> None:
    shape = profile(merge_tree([0.0, 1, 5, 2, 6], "axis"))
    assert shape.is_basin.tolist() == [True, True, False]
    assert shape.total_width.tolist() == [2, 1, 5]
    assert shape.child_width.tolist() == [0, 0, 3]
    assert shape.spans.tolist() == [[1, 3], [3, 4], [0, 5]]
    assert shape.mean_loss.tolist() == [0.5, 2, 5.5]
    half = [[2, 0], [2.5, 0], [3, 1], [3, 5]]
    mirrored = [[1, 5], [1, 1], [1.5, 0], [2, 0]]
    assert shape.polygons[0].tolist() == half + mirrored
    top = [[2.5, 5], [4.5, 5], [5, 6], [5, 6], [0, 6], [0, 6], [0.5, 5], [2.5, 5]]
    assert shape.polygons[2].tolist() == top


def test_two_wells_have_two_basins_that_reach_their_saddle() -> None:
    x, y = np.meshgrid(*[np.linspace(-2, 2, 41)] * 2, indexing="ij")
    tree = merge_tree((x**2 - 1) ** 2 + 0.2 * x + y**2)
    shape = profile(tree)
    tops = [shape.polygons[arc][:, 1].max() for arc in np.flatnonzero(shape.is_basin)]
    assert tops == [tree.values[tree.saddles[0]]] * 2


def test_ten_thousand_nested_minima() -> None:
    values = np.repeat(np.arange(10_000.0), 2)
    values[1::2] += 1.5
    shape = profile(merge_tree(values, "axis"))
    assert np.count_nonzero(shape.is_basin) == 10_000
    assert shape.total_width.max() == values.size
    assert len(shape.table()) <= 2 * values.size + 4 * shape.is_basin.size
    assert len(shape.marks()) == shape.is_basin.size


@quick
@given(fields, thresholds)
def test_steps_are_as_wide_as_the_count_at_every_level(field, threshold) -> None:
    tree = merge_tree(field).simplify(threshold)
    shape = profile(tree)
    assert [len(steps) for steps in shape.steps] == [2 * len(p) - 2 for p in shape.polygons]
    starts = tree.values[tree.arc_vertex]
    ends = np.where(tree.arc_parent >= 0, starts[tree.arc_parent], np.inf)
    finite = field[np.isfinite(field)]
    for level in np.arange(finite.min() + 0.5, finite.max(), 1):
        live = np.flatnonzero((starts <= level) & (level < ends))
        widths = [width_across(shape.steps[arc], level) for arc in live]
        assert sum(widths) == pytest.approx(np.count_nonzero(finite <= level))


def width_across(outline: np.ndarray, level: float) -> float:
    """Width at a level that no point of the outline lies on; full above a component's maximum."""
    y = outline[:, 1]
    if level > y.max():
        return np.ptp(outline[:, 0])
    crossed = outline[:-1][(y[:-1] < level) != (y[1:] < level)]
    return crossed[:, 0].max() - crossed[:, 0].min()


def test_one_vertex_is_a_basin_of_width_one() -> None:
    shape = profile(merge_tree([3.0]))
    assert shape.spans.tolist() == [[0, 1]]
    assert shape.polygons[0].tolist() == [[0.5, 3], [1, 3], [1, 3], [0, 3], [0, 3], [0.5, 3]]


def test_superlevel_profile_hangs_upside_down() -> None:
    values = np.array([0.0, 1, 5, 2, 6])
    above = profile(merge_tree(values, superlevel=True))
    below = profile(merge_tree(-values))
    for up, down in zip(above.polygons, below.polygons, strict=True):
        np.testing.assert_array_equal(up, down * [1, -1])
    assert above.width([6.5, 5, 0]).tolist() == [0, 2, 5]
    assert above.marks()["kind"].tolist() == ["maximum", "maximum", "saddle"]


@pytest.mark.parametrize("offset", [-1.0, 1e-6])
def test_thinned_outlines_move_by_less_than_one_level(offset: float) -> None:
    x = np.linspace(-1, 1, 301)
    cliff = 3.0 * (np.abs(x) > 0.8)
    field = np.add.outer(x**2 + 0.05 * np.cos(20 * x) + cliff, x**2)
    shape = profile(merge_tree(field - field.min() + offset))
    table = shape.table(resolution=40)
    level = np.ptp(field) / 40
    assert len(table) < 0.05 * 2 * field.size
    for arc, outline in table.groupby("arc"):
        full = shape.polygons[arc]
        thin, half = outline[["x", "y"]].to_numpy(), len(full) // 2
        upwards = thin[: len(thin) // 2]
        heights = np.interp(full[1 : half - 1, 0], upwards[:, 0], upwards[:, 1])
        assert np.abs(heights - full[1 : half - 1, 1]).max() <= level
        assert {tuple(p) for p in thin} <= {tuple(p) for p in full}


def test_table_at_full_resolution_is_the_polygons() -> None:
    field = np.random.default_rng(1).random((6, 7))
    shape = profile(merge_tree(field))
    table = shape.table(resolution=10**9)
    assert list(table.columns) == ["arc", "branch", "kind", "point", "x", "y", "mean_loss"]
    np.testing.assert_array_equal(table[["x", "y"]].to_numpy(), np.concatenate(shape.polygons))
    first = table[table["point"] == 0]
    assert (first["kind"] == "basin").tolist() == shape.is_basin.tolist()
    assert first["mean_loss"].tolist() == shape.mean_loss.tolist()


@pytest.mark.parametrize("resolution", [0, 2.5])
def test_resolution_must_be_a_positive_integer(resolution: float) -> None:
    with pytest.raises(TopographError, match="integer from 1"):
        profile(merge_tree([0.0, 1])).table(resolution)


def test_tree_lines_join_stems_at_saddles() -> None:
    shape = profile(merge_tree([0.0, 1, 5, 2, 6], "axis"))
    lines = shape.tree_lines()[["x0", "y0", "x1", "y1"]].to_numpy().tolist()
    assert shape.tree_lines()["branch"].tolist() == [0, 3, 0, 0, 3]
    stems = [[2, 0, 2, 5], [3.5, 2, 3.5, 5], [2.5, 5, 2.5, 6]]
    assert lines == [*stems, [2, 5, 2.5, 5], [3.5, 5, 2.5, 5]]
    marks = shape.marks()
    assert marks[["x", "y"]].to_numpy().tolist() == [[2, 0], [3.5, 2], [2.5, 5]]
    assert marks["vertex"].tolist() == [0, 3, 2]
    assert marks["volume"].tolist() == [3, 2, 0]
