"""Critical points against closed forms, GUDHI's persistence, duality and Euler characteristics."""

from __future__ import annotations

from collections import Counter

import gudhi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from topograph.foundation.errors import TopographError
from topograph.topology.connectivity import lattice_offsets
from topograph.topology.critical import counts_by_index, critical_points
from topograph.topology.merge_tree import merge_tree

shapes = hnp.array_shapes(min_dims=1, max_dims=3, max_side=5)
plateaued = hnp.arrays(np.float64, shapes, elements=st.integers(0, 4).map(float))
holed = hnp.arrays(
    np.float64, shapes, elements=st.sampled_from([0.0, 1, 2, 3, np.nan, np.inf, -np.inf])
).filter(lambda field: np.isfinite(field).any())
quick = settings(max_examples=80, deadline=None)


def shuffled(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(int(np.prod(shape))).reshape(shape)


def alternating_sum(field: np.ndarray) -> int:
    points = critical_points(field)
    return int(((-1) ** points["index"] * points["multiplicity"]).sum())


def multiplicities(field: np.ndarray) -> dict[tuple[int, int], int]:
    points = critical_points(field)
    return dict(
        zip(
            zip(points["vertex"], points["index"], strict=True), points["multiplicity"], strict=True
        )
    )


def triangulation(field: np.ndarray) -> gudhi.SimplexTree:
    """The Freudenthal complex of the finite vertices, a simplex at its vertices' highest rank."""
    finite = np.flatnonzero(np.isfinite(field.ravel()))
    rank = np.empty(field.size)
    rank[finite[np.argsort(field.ravel()[finite], kind="stable")]] = np.arange(finite.size)
    tree = gudhi.SimplexTree()
    for vertex in finite:
        tree.insert([vertex], rank[vertex])
        place = np.unravel_index(vertex, field.shape)
        for step in lattice_offsets("freudenthal", field.ndim):
            other = np.add(place, step)
            if np.all(other >= 0) and np.all(other < field.shape):
                neighbour = int(np.ravel_multi_index(tuple(other), field.shape))
                if np.isfinite(field.ravel()[neighbour]):
                    tree.insert([vertex, neighbour], max(rank[vertex], rank[neighbour]))
    tree.expansion(field.ndim)
    return tree


def born_and_died(field: np.ndarray) -> dict[tuple[int, int], int]:
    """Classes born at a vertex in dimension i, or killed there in i - 1, by vertex and i."""
    tree = triangulation(field)
    tree.compute_persistence(min_persistence=0.5, persistence_dim_max=True)
    by_rank = np.argsort(np.where(np.isfinite(field), field, np.inf).ravel(), kind="stable")
    counts: Counter[tuple[int, int]] = Counter()
    for dimension in range(field.ndim + 1):
        for birth, death in tree.persistence_intervals_in_dimension(dimension):
            counts[int(by_rank[int(birth)]), dimension] += 1
            if np.isfinite(death):
                counts[int(by_rank[int(death)]), dimension + 1] += 1
    return dict(counts)


@quick
@given(plateaued)
def test_a_box_has_euler_characteristic_1(field: np.ndarray) -> None:
    assert alternating_sum(field) == 1


@quick
@given(holed)
def test_a_masked_box_has_that_of_its_finite_vertices(field: np.ndarray) -> None:
    tree = triangulation(field)
    sizes = [len(simplex) for simplex, _ in tree.get_simplices()]
    assert alternating_sum(field) == sum((-1) ** (size - 1) for size in sizes)


@quick
@given(holed)
def test_multiplicities_are_the_classes_that_gudhi_sees_born_and_die(field: np.ndarray) -> None:
    assert multiplicities(field) == born_and_died(field)


@pytest.mark.parametrize("shape", [(60,), (9, 11), (4, 5, 4)])
def test_strict_fields_agree_with_gudhi_and_the_merge_tree(shape: tuple[int, ...]) -> None:
    for seed in range(5):
        field = shuffled(shape, seed)
        assert multiplicities(field) == born_and_died(field.astype(float))
        minima = critical_points(field).query("kind == 'minimum'")["vertex"]
        assert minima.tolist() == merge_tree(field, "freudenthal").minima.tolist()


@quick
@given(plateaued)
def test_inside_the_negated_and_mirrored_field_has_the_dual_points(field: np.ndarray) -> None:
    inside = critical_points(field).query("not on_border")
    dual = critical_points(-np.flip(field)).query("not on_border")
    axes = sum(length > 1 for length in field.shape)
    expected = zip(
        field.size - 1 - dual["vertex"], axes - dual["index"], dual["multiplicity"], strict=True
    )
    found = zip(inside["vertex"], inside["index"], inside["multiplicity"], strict=True)
    assert set(found) == set(expected)


@quick
@given(plateaued.filter(lambda field: field.ndim < 3), st.integers(0, 1))
def test_an_axis_of_length_1_changes_nothing(field: np.ndarray, at: int) -> None:
    # Not behind the last axis: it is the one whose direction the triangulation mirrors.
    longer = np.expand_dims(field, min(at, field.ndim - 1))
    assert critical_points(longer).equals(critical_points(field))
    added = {f"critical_index_{longer.ndim}": 0}
    assert counts_by_index(longer) == counts_by_index(field) | added


def test_himmelblau_has_four_minima_four_saddles_and_a_maximum() -> None:
    x, y = np.meshgrid(*[np.linspace(-6, 6, 121)] * 2, indexing="ij")
    points = critical_points((x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2)
    inside = points[~points["on_border"]]
    assert inside["kind"].tolist() == ["minimum"] * 4 + ["saddle"] * 4 + ["maximum"]
    assert inside["multiplicity"].eq(1).all()
    places = [(3, 2), (3.584, -1.848), (-2.805, 3.131), (-3.779, -3.283)]
    places += [(3.385, 0.074), (-0.128, -1.954), (0.087, 2.884), (-3.073, -0.081)]
    places += [(-0.271, -0.923)]
    found = np.stack([x.ravel(), y.ravel()], axis=1)[inside["vertex"]]
    gaps = np.abs(found[:, None] - np.array(places)[None]).max(axis=2)
    assert sorted(gaps.argmin(axis=1)) == list(range(9)) and gaps.min(axis=1).max() < 0.15


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_sum_of_cosines_has_binomial_counts(n: int) -> None:
    """Two minima and a maximum inside on each axis give (2 + t)^n, t counting maxima."""
    axis = np.linspace(0, 4 * np.pi, 41)
    field = sum(
        (1 + k / 10) * np.cos(x) for k, x in enumerate(np.meshgrid(*[axis] * n, indexing="ij"))
    )
    expected = np.polynomial.Polynomial([2, 1]) ** n
    counts = {f"critical_index_{i}": count for i, count in enumerate(expected.coef)}
    assert counts_by_index(field) == counts
    names = {1: ("minimum", "maximum"), 2: ("minimum", "saddle", "maximum")}
    kinds = names.get(n, ("minimum", "1-saddle", "2-saddle", "maximum"))
    inside = critical_points(field).query("not on_border")
    assert set(zip(inside["index"], inside["kind"], strict=True)) == set(enumerate(kinds))


def test_a_monkey_saddle_counts_twice() -> None:
    i, j = np.meshgrid(*[np.arange(-4, 5)] * 2, indexing="ij")
    # Places at which the six neighbours of a vertex are a regular hexagon.
    x, y = i + j / 2, j * np.sqrt(3) / 2
    inside = critical_points(x**3 - 3 * x * y**2).query("not on_border")
    assert inside[["vertex", "index", "multiplicity"]].to_numpy().tolist() == [[40, 1, 2]]
    assert counts_by_index(x**3 - 3 * x * y**2)["critical_index_1"] == 2


def test_a_ring_and_a_point_below_make_a_vertex_critical_in_two_indices() -> None:
    """The six steps that share a corner with one end of the diagonal, and the other end."""
    field = np.ones((3, 3, 3))
    field[1, 1, 1] = 0.5
    half = [(1, 0, 0), (0, 1, 0), (0, 0, -1), (1, 1, 0), (1, 0, -1), (0, 1, -1)]
    for step in [*half, (-1, -1, 1)]:
        field[tuple(np.add(1, step))] = 0
    at = critical_points(field).query("vertex == 13")
    assert at["kind"].tolist() == ["1-saddle", "2-saddle"]
    assert at["multiplicity"].tolist() == [1, 1]
    assert not at["on_border"].any()


def test_columns_and_order() -> None:
    points = critical_points([3.0, 1, 2, 0, np.nan])
    assert points.to_dict("list") == {
        "vertex": [3, 1, 2],
        "value": [0, 1, 2],
        "index": [0, 0, 1],
        "kind": ["minimum", "minimum", "maximum"],
        "multiplicity": [1, 1, 1],
        "on_border": [False, False, False],
    }
    assert critical_points(np.zeros((1, 1))).to_numpy().tolist() == [[0, 0, 0, "minimum", 1, False]]


def test_four_axes_are_refused() -> None:
    with pytest.raises(TopographError, match=r"4 axes, shape \(2, 2, 2, 2\).*1 to 3 axes"):
        critical_points(np.zeros((2, 2, 2, 2)))
    with pytest.raises(TopographError, match="all 3 values are NaN"):
        counts_by_index(np.full(3, np.nan))
