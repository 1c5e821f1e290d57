"""Simplification keeps the elders and every width."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from topograph.foundation.errors import TopographError
from topograph.topology.merge_tree import MergeTree, merge_tree

fields = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=3, max_side=7),
    elements=st.one_of(st.integers(0, 9).map(float), st.just(np.nan)),
).filter(lambda field: np.isfinite(field).any())
quick = settings(max_examples=80, deadline=None)


def arrays(tree: MergeTree) -> list[list[int]]:
    return [
        part.tolist()
        for part in (tree.arc_vertex, tree.arc_parent, tree.arc_branch, tree.vertex_arc)
    ]


@quick
@given(fields, st.integers(0, 10), st.booleans())
def test_what_survives(field: np.ndarray, threshold: int, superlevel: bool) -> None:
    tree = merge_tree(field, superlevel=superlevel)
    simple = tree.simplify(threshold)
    pairs = tree.pairs
    expected = pairs[(pairs["death"] - pairs["birth"]).abs() >= threshold]
    assert simple.pairs.to_numpy().tolist() == expected.to_numpy().tolist()
    assert simple.masked == tree.masked
    assert simple.vertex_arc[simple.arc_vertex].tolist() == list(range(simple.arc_vertex.size))
    children = np.bincount(
        simple.arc_parent[simple.arc_parent >= 0], minlength=simple.arc_vertex.size
    )
    assert np.all(children[~simple.is_leaf] >= 2)


@quick
@given(fields, st.integers(0, 10))
def test_every_vertex_lies_on_an_arc_that_spans_its_value(
    field: np.ndarray, threshold: int
) -> None:
    simple = merge_tree(field).simplify(threshold)
    finite = simple.vertex_arc >= 0
    arc = simple.vertex_arc[finite]
    starts = simple.values[simple.arc_vertex]
    ends = np.where(simple.arc_parent >= 0, starts[simple.arc_parent], np.inf)
    assert np.all(starts[arc] <= simple.values[finite])
    assert np.all(simple.values[finite] <= ends[arc])


@quick
@given(fields, st.integers(0, 5), st.integers(0, 5))
def test_threshold_zero_changes_nothing_and_steps_equal_one_jump(
    field: np.ndarray, first: int, more: int
) -> None:
    tree = merge_tree(field)
    assert arrays(tree.simplify(0)) == arrays(tree)
    stepwise = tree.simplify(first).simplify(first + more)
    assert arrays(stepwise)[:3] == arrays(tree.simplify(first + more))[:3]


def test_vertices_pass_to_the_elder_branch_at_their_own_level() -> None:
    # Elder 0 dies never; the shallow minimum 4 hangs off it between the saddles 5 and 9.
    tree = merge_tree([0.0, 1, 5, 4, 9, 2, 9.5], "axis")
    simple = tree.simplify(2)
    assert simple.minima.tolist() == [0, 5] and simple.saddles.tolist() == [4]
    assert simple.vertex_arc.tolist() == [0, 0, 0, 0, 2, 1, 2]


def test_a_removed_arc_may_span_several_arcs_of_the_elder_branch() -> None:
    # The arc of the minimum 5.5 holds 5.5 and 7; the elder branch has its saddle 6 between them.
    simple = merge_tree([3.0, 6, 0, 8, 5.5, 7, 9], "axis").simplify(3)
    assert simple.vertex_arc.tolist() == [1, 2, 0, 2, 0, 2, 2]


def test_infinite_threshold_leaves_one_arc_for_each_component() -> None:
    field = np.random.default_rng(0).random((9, 9))
    field[4] = np.nan
    simple = merge_tree(field).simplify(np.inf)
    assert simple.arc_parent.tolist() == [-1, -1]
    assert np.bincount(simple.vertex_arc[simple.vertex_arc >= 0]).tolist() == [36, 36]


@pytest.mark.parametrize("threshold", [-0.1, float("nan")])
def test_negative_thresholds_are_refused(threshold: float) -> None:
    with pytest.raises(TopographError, match="0 .keep all. or more"):
        merge_tree([0.0, 2, 1]).simplify(threshold)


@quick
@given(fields, st.integers(1, 6))
def test_the_largest_minima_are_the_most_persistent(field: np.ndarray, count: int) -> None:
    tree = merge_tree(field)
    kept = tree.largest(count)
    lengths = (tree.pairs["death"] - tree.pairs["birth"]).to_numpy()
    found = (kept.pairs["death"] - kept.pairs["birth"]).to_numpy()
    assert found.tolist() == lengths[: found.size].tolist()
    assert found.size <= max(count, tree.components)
    dropped = lengths[found.size :]
    assert not dropped.size or dropped[0] < found[-1]
    assert tree.minima.size <= count or dropped.size or found.size == tree.components


def test_no_minima_are_refused() -> None:
    with pytest.raises(TopographError, match="allowed: an integer from 1"):
        merge_tree([1.0, 2]).largest(0)
