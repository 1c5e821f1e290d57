"""Merge trees: closed-form oracles, plateaus, masks, invariances."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from topograph.foundation.errors import TopographError
from topograph.topology.connectivity import (
    LATTICES,
    lattice_offsets,
    mutual_knn_neighbours,
)
from topograph.topology.merge_tree import MergeTree, merge_tree

plateaued = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=3, max_side=6),
    elements=st.integers(0, 4).map(float),
)
quick = settings(max_examples=60, deadline=None)


def sorted_pairs(births: np.ndarray, deaths: np.ndarray) -> list[tuple[float, float]]:
    return sorted(zip(np.asarray(births).tolist(), np.asarray(deaths).tolist(), strict=True))


def pairs_of(tree: MergeTree) -> list[tuple[float, float]]:
    return sorted_pairs(tree.pairs["birth"], tree.pairs["death"])


def lattice_edges(name: str, shape: tuple[int, ...]) -> np.ndarray:
    edges = []
    for place in itertools.product(*map(range, shape)):
        for step in lattice_offsets(name, len(shape)):
            other = np.add(place, step)
            if np.all(other >= 0) and np.all(other < shape):
                ends = np.ravel_multi_index(place, shape), np.ravel_multi_index(other, shape)
                edges.append(ends)
    return np.array(edges, dtype=np.int64).reshape(-1, 2)


def barriers(g: np.ndarray) -> dict[int, float]:
    """Barrier of each local minimum of a 1-D array: climb to the first lower point."""

    def climb(start: int, step: int) -> float:
        highest, at = g[start], start + step
        while 0 <= at < g.size:
            if (g[at], at) < (g[start], start):
                return highest
            highest, at = max(highest, g[at]), at + step
        return np.inf

    key = [(value, index) for index, value in enumerate(g)]
    is_minimum = [
        all(key[i] <= key[j] for j in (i - 1, i + 1) if 0 <= j < g.size) for i in range(g.size)
    ]
    return {i: min(climb(i, -1), climb(i, 1)) - g[i] for i in np.flatnonzero(is_minimum)}


def separable_pairs(axes: list[np.ndarray]) -> list[tuple[float, float]]:
    walls = [barriers(g) for g in axes]
    births = [sum(g[i] for g, i in zip(axes, m, strict=True)) for m in itertools.product(*walls)]
    lowest = [min(b) for b in itertools.product(*(w.values() for w in walls))]
    return sorted((b, b + wall) for b, wall in zip(births, lowest, strict=True))


def rastrigin(points: int, reach: float, n: int) -> list[np.ndarray]:
    t = np.linspace(-reach, reach, points)
    return [t**2 + 10 - 10 * np.cos(2 * np.pi * t) + 1e-3 * (i + 1) * t for i in range(n)]


def outer_sum(axes: list[np.ndarray]) -> np.ndarray:
    return sum(np.meshgrid(*axes, indexing="ij"))


@pytest.mark.parametrize("name", LATTICES)
@pytest.mark.parametrize(
    ("points", "reach", "n", "finite"),
    [(401, 5.12, 1, 10), (101, 5.12, 2, 120), (31, 2.2, 3, 124), (17, 2.2, 4, 624)],
)
def test_separable_oracle(name: str, points: int, reach: float, n: int, finite: int) -> None:
    axes = rastrigin(points, reach, n)
    found = pairs_of(merge_tree(outer_sum(axes), name))
    assert len(found) == finite + 1
    np.testing.assert_allclose(found, separable_pairs(axes), atol=1e-10)


@pytest.mark.parametrize("name", LATTICES)
def test_separable_oracle_on_random_axes(name: str) -> None:
    random = np.random.default_rng(3)
    axes = [random.random(9), random.random(7), random.random(8)]
    expected = np.round(separable_pairs(axes), 9)
    found = np.round(pairs_of(merge_tree(outer_sum(axes), name)), 9)
    assert sorted(map(tuple, found)) == sorted(map(tuple, expected))


def test_himmelblau() -> None:
    x, y = np.meshgrid(*[np.linspace(-6, 6, 481)] * 2, indexing="ij")
    tree = merge_tree((x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2)
    deaths = np.sort(tree.pairs["death"])
    np.testing.assert_allclose(deaths[:3], [13.311926, 67.719150, 104.015163], atol=6e-3)
    assert deaths[3] == np.inf and deaths.size == 4
    np.testing.assert_allclose(tree.pairs["birth"], 0, atol=0.02)
    places = np.column_stack([x.ravel(), y.ravel()])[tree.minima]
    known = [(3, 2), (3.58443, -1.84813), (-3.77931, -3.28319), (-2.80512, 3.13131)]
    for minimum in known:
        assert np.abs(places - minimum).max(axis=1).min() <= 0.0125


def mueller_brown() -> np.ndarray:
    x, y = np.meshgrid(np.linspace(-1.5, 1.2, 541), np.linspace(-0.2, 2, 441), indexing="ij")
    terms = [
        (-200, -1, 0, -10, 1, 0),
        (-100, -1, 0, -10, 0, 0.5),
        (-170, -6.5, 11, -6.5, -0.5, 1.5),
        (15, 0.7, 0.6, 0.7, -1, 1),
    ]
    return sum(
        height * np.exp(a * (x - u) ** 2 + b * (x - u) * (y - v) + c * (y - v) ** 2)
        for height, a, b, c, u, v in terms
    )


@pytest.mark.parametrize(("name", "tolerance"), [("axis", 6e-4), ("freudenthal", 6e-3)])
def test_mueller_brown(name: str, tolerance: float) -> None:
    # The valley runs askew to the lattice, which adds minima of persistence below 0.03.
    pairs = merge_tree(mueller_brown(), name).simplify(0.03).pairs
    found = pairs[["birth", "death"]].to_numpy()
    expected = [(-146.698, np.inf), (-108.160, -40.664), (-80.766, -72.246)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def spiral(turns: int) -> np.ndarray:
    """A corridor of zeros, one vertex wide, that winds inwards between walls of ones."""
    side = 4 * turns + 1
    field, at, step = np.ones((side, side)), np.array([0, 0]), np.array([0, 1])
    field[0, 0] = 0
    while True:
        for _ in range(2):
            ahead, beyond = at + step, at + 2 * step
            free = np.all((ahead >= 0) & (ahead < side)) and field[tuple(ahead)] == 1
            clear = not np.all((beyond >= 0) & (beyond < side)) or field[tuple(beyond)] == 1
            if free and clear:
                break
            step = np.array([step[1], -step[0]])
        else:
            return field
        at = at + step
        field[tuple(at)] = 0


@pytest.mark.parametrize("name", LATTICES)
@pytest.mark.parametrize(
    "field",
    [
        np.array([[0, 1, 0], [0, 1, 0], [0, 0, 0.0]]),
        spiral(3),
        np.full((4, 5, 3), 2.5),
        np.maximum(outer_sum([np.linspace(-2, 2, 15) ** 2] * 2), 1.0),
    ],
    ids=["u-shaped", "spiral", "constant", "clipped bowl"],
)
def test_a_plateau_of_any_shape_is_one_minimum(name: str, field: np.ndarray) -> None:
    tree = merge_tree(field, name)
    assert len(tree.minima) == len(tree.pairs) == 1
    assert tree.minima[0] == np.argmin(field)
    assert len(tree.saddles) == 0


def test_the_spiral_is_long_enough_to_matter() -> None:
    assert np.count_nonzero(spiral(3) == 0) > 60


def test_flat_field_with_one_low_vertex() -> None:
    field = np.ones((7, 7))
    field[3, 3] = 0
    assert merge_tree(field).minima.tolist() == [24]


def test_a_plateau_that_joins_three_basins_is_one_saddle() -> None:
    tree = merge_tree([0, 2, 1, 2, 0.5], [[0, 1], [1, 2], [2, 3], [3, 4], [1, 3]])
    assert tree.saddles.tolist() == [1]
    assert pairs_of(tree) == [(0, np.inf), (0.5, 2), (1, 2)]


def test_gaps_of_1e_8_are_resolved() -> None:
    values = 1 + 1e-8 * np.arange(49).reshape(7, 7)
    assert len(merge_tree(values).minima) == 1


@quick
@given(plateaued, st.sampled_from(LATTICES))
def test_lattice_and_its_edge_list_give_the_same_tree(field: np.ndarray, name: str) -> None:
    lattice = merge_tree(field, name)
    graph = merge_tree(field, lattice_edges(name, field.shape))
    assert lattice.arc_vertex.tolist() == graph.arc_vertex.tolist()
    assert lattice.arc_parent.tolist() == graph.arc_parent.tolist()
    assert lattice.vertex_arc.tolist() == graph.vertex_arc.tolist()


@quick
@given(plateaued, st.randoms(use_true_random=False))
def test_relabelling_the_vertices_changes_no_pair(field: np.ndarray, random) -> None:
    edges = lattice_edges("freudenthal", field.shape)
    label = np.array(random.sample(range(field.size), field.size))
    relabelled = np.empty(field.size)
    relabelled[label] = field.ravel()
    assert pairs_of(merge_tree(relabelled, label[edges])) == pairs_of(merge_tree(field))


@quick
@given(plateaued)
def test_monotone_maps_keep_tree_and_pairs(field: np.ndarray) -> None:
    tree, mapped = merge_tree(field), merge_tree(np.exp(field))
    assert tree.vertex_arc.tolist() == mapped.vertex_arc.tolist()
    assert np.allclose(np.exp(pairs_of(tree)), pairs_of(mapped))


@quick
@given(plateaued)
def test_superlevel_is_the_sublevel_tree_of_the_negative(field: np.ndarray) -> None:
    above, below = merge_tree(field, superlevel=True), merge_tree(-field)
    assert above.vertex_arc.tolist() == below.vertex_arc.tolist()
    assert above.pairs["birth"].tolist() == (-below.pairs["birth"]).tolist()
    assert above.pairs["death"].tolist() == (-below.pairs["death"]).tolist()


@quick
@given(plateaued, st.sampled_from(LATTICES))
def test_structure_of_the_tree(field: np.ndarray, name: str) -> None:
    tree = merge_tree(field, name)
    children = np.bincount(tree.arc_parent[tree.arc_parent >= 0], minlength=tree.arc_parent.size)
    assert np.all(children[~tree.is_leaf] >= 2) and np.all(children[tree.is_leaf] == 0)
    assert len(tree.minima) - 1 == np.sum(children[~tree.is_leaf] - 1)
    assert tree.vertex_arc[tree.arc_vertex].tolist() == list(range(tree.arc_vertex.size))
    assert np.isin(field.max(), field.ravel()[tree.vertex_arc == tree.arc_parent.argmin()])
    persistences = (tree.pairs["death"] - tree.pairs["birth"]).to_numpy()
    assert np.all(persistences > 0) and persistences[0] == np.inf
    assert np.all(persistences[:-1] >= persistences[1:])


@pytest.mark.parametrize("name", LATTICES)
def test_axis_order_of_a_grid_that_is_not_square(name: str) -> None:
    ramp = 10.0 * np.arange(3)[:, None] + np.arange(5)
    assert merge_tree(ramp, name).minima.tolist() == [0]
    ends = np.ones((3, 5))
    # Neighbours in memory, at opposite ends of two rows of the lattice.
    ends[0, 4] = ends[1, 0] = 0
    assert merge_tree(ends, name).minima.tolist() == [4, 5]


@quick
@given(plateaued, st.sampled_from(LATTICES), st.integers(0, 2**16))
def test_basins_are_those_of_steepest_descent(field: np.ndarray, name: str, seed: int) -> None:
    field = field + np.random.default_rng(seed).random(field.shape)
    tree, flat = merge_tree(field, name), field.ravel()
    down = np.arange(flat.size)
    for one, other in lattice_edges(name, field.shape):
        if flat[other] < flat[down[one]]:
            down[one] = other
    for _ in range(flat.size):
        down = down[down]
    np.testing.assert_array_equal(tree.arc_vertex[tree.vertex_basin], down)


def test_a_plateau_drains_through_its_nearest_way_down() -> None:
    tree = merge_tree([0.0, 4, 4, 4, 4, 4, 1, 9, np.nan])
    assert tree.arc_vertex[tree.vertex_basin[:-1]].tolist() == [0, 0, 0, 0, 6, 6, 6, 6]
    assert tree.vertex_basin[-1] == -1
    assert tree.simplify(10).vertex_basin.tolist() == [0] * 8 + [-1]


def test_mutual_neighbours_by_name_are_a_graph_with_its_k_in_the_name() -> None:
    field = np.random.default_rng(0).random((6, 6, 6))
    tree = merge_tree(field, "mutual-knn", seed=3)
    assert tree.connectivity == "mutual-knn, k = 12"
    _, _, starts, steps = mutual_knn_neighbours(field.shape, 12, 3)
    edges = np.column_stack([np.repeat(np.arange(216), np.diff(starts)), steps])
    assert pairs_of(tree) == pairs_of(merge_tree(field, edges))
    assert merge_tree(field, "mutual-knn", k=11).connectivity == "mutual-knn, k = 11"
    counts = [merge_tree(field, name).minima.size for name in ("axis", "moore")]
    assert counts[0] >= tree.minima.size >= counts[1]


def test_nan_and_infinity_are_masked_and_counted() -> None:
    field = np.array([[0, np.nan, 1], [2, np.inf, 3], [4, -np.inf, 5]])
    tree = merge_tree(field)
    assert tree.masked == 3
    assert pairs_of(tree) == [(0, np.inf), (1, np.inf)]
    assert tree.pairs["death_vertex"].tolist() == [-1, -1]
    assert tree.vertex_arc.reshape(3, 3)[:, 1].tolist() == [-1, -1, -1]


def test_forest_from_an_edge_list() -> None:
    tree = merge_tree([0.0, 3, 1, 5, 4], [[0, 1], [1, 2], [3, 4]])
    assert pairs_of(tree) == [(0, np.inf), (1, 3), (4, np.inf)]
    assert tree.pairs["death_vertex"].tolist() == [-1, -1, 1]
    assert tree.components == 2


def test_one_vertex() -> None:
    tree = merge_tree([[7.0]])
    assert tree.minima.tolist() == [0] and tree.vertex_arc.tolist() == [0]


@pytest.mark.parametrize(
    ("values", "connectivity", "message"),
    [
        (np.full((2, 2), np.nan), "axis", "all 4 values are NaN"),
        ([np.inf, -np.inf], "axis", "all 2 values"),
        ([1 + 2j, 3], "axis", "complex128"),
        (["a", "b"], "axis", "real numbers"),
        ([], "axis", r"shape \(0,\)"),
        (np.zeros((3, 0)), "axis", r"shape \(3, 0\)"),
        (1.0, "axis", r"shape \(\)"),
        ([1, 2], "mutual-kn", r"'mutual-kn' \(did you mean 'mutual-knn'\?\)"),
        ([1, 2], [[0, 2]], r"edge 0 joins vertices \[0, 2\]"),
    ],
)
def test_mistakes_are_named(values: object, connectivity: object, message: str) -> None:
    with pytest.raises(TopographError, match=message):
        merge_tree(values, connectivity)


def test_a_number_of_neighbours_needs_a_use() -> None:
    with pytest.raises(TopographError, match="neighbours of 'mutual-knn' alone"):
        merge_tree([1, 2], k=4)


def test_input_is_not_changed() -> None:
    field = np.array([2.0, np.nan, 1.0])
    merge_tree(field, superlevel=True)
    np.testing.assert_array_equal(field, [2.0, np.nan, 1.0])
