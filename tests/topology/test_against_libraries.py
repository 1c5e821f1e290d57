"""The H0 pairs of merge trees are those of GUDHI and of Higra, and obey the laws of diagrams."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import gudhi.representations
import higra
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from topograph.topology.connectivity import LATTICES, lattice_offsets
from topograph.topology.distances import diagram_distance
from topograph.topology.merge_tree import MergeTree, merge_tree
from topograph.topology.persistence import persistence
from topograph.topology.quantities import quantities

Pairs = list[tuple[float, float]]
CONSTRUCTIONS = {"axis": "vertices", "moore": "cells", "freudenthal": "freudenthal"}
quick = settings(max_examples=60, deadline=None)


def plateaued(dims: int) -> st.SearchStrategy[np.ndarray]:
    shapes = hnp.array_shapes(min_dims=dims, max_dims=dims, max_side=(20, 8, 6, 4)[dims - 1])
    return hnp.arrays(np.float64, shapes, elements=st.integers(0, 4).map(float))


fields = st.integers(1, 4).flatmap(plateaued)


def sorted_pairs(table) -> Pairs:
    return sorted(table[["birth", "death"]].itertuples(index=False, name=None))


def lattice_edges(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Every edge in both directions, shape (E, 2)."""
    places = np.indices(shape).reshape(len(shape), -1).T[:, None]
    others = places + lattice_offsets(name, len(shape))
    inside = np.all((others >= 0) & (others < shape), axis=2)
    starts = np.broadcast_to(places, others.shape)[inside]
    return np.column_stack([np.ravel_multi_index(e.T, shape) for e in (starts, others[inside])])


def higra_pairs(field: np.ndarray, edges: np.ndarray) -> tuple[Pairs, int]:
    """Pairs by the elder rule, and the number of leaves, of Higra's tree of connected values."""
    graph = higra.UndirectedGraph(field.size)
    graph.add_edges(edges[:, 0].copy(), edges[:, 1].copy())
    tree, altitudes = higra.component_tree_min_tree(graph, field.ravel())
    lowest: dict[int, list[float]] = {node: [] for node in range(field.size, tree.num_vertices())}
    pairs, leaves = [], 0
    for node, below in lowest.items():
        # Higra numbers the vertices first, and every node before its parent.
        leaves += not below
        elder, *others = sorted(below) or [altitudes[node]]
        pairs += [(birth, altitudes[node]) for birth in others]
        if node == tree.root():
            pairs.append((elder, math.inf))
        else:
            lowest[tree.parent(node)].append(elder)
    return sorted(pairs), leaves


@pytest.mark.parametrize("name", LATTICES)
@quick
@given(field=fields)
def test_merge_tree_equals_gudhi_on_the_same_neighbours(name: str, field: np.ndarray) -> None:
    if name == "freudenthal" and field.ndim == 4:
        table = persistence(field, edges=lattice_edges(name, field.shape), dims=(0,))
        table = table[table["death"] > table["birth"]]
    else:
        table = persistence(field, construction=CONSTRUCTIONS[name], dims=(0,))
    assert sorted_pairs(merge_tree(field, name).pairs) == sorted_pairs(table)


@pytest.mark.parametrize("name", LATTICES)
@quick
@given(field=fields)
def test_merge_tree_equals_higra_on_the_same_neighbours(name: str, field: np.ndarray) -> None:
    tree = merge_tree(field, name)
    pairs, leaves = higra_pairs(field, lattice_edges(name, field.shape))
    assert sorted_pairs(tree.pairs) == pairs
    assert len(tree.minima) == leaves


@pytest.mark.parametrize(
    ("name", "build"),
    [("axis", higra.get_4_adjacency_graph), ("moore", higra.get_8_adjacency_graph)],
)
@quick
@given(field=plateaued(2))
def test_lattice_steps_are_the_adjacencies_of_higra(
    name: str, build: Callable[[tuple[int, ...]], higra.UndirectedGraph], field: np.ndarray
) -> None:
    edges = np.column_stack(build(field.shape).edge_list()).astype(np.int64)
    tree = merge_tree(field, name)
    pairs, leaves = higra_pairs(field, edges)
    assert sorted_pairs(tree.pairs) == pairs
    assert len(tree.minima) == leaves


@pytest.mark.parametrize("name", LATTICES)
@pytest.mark.parametrize("shape", [(5000,), (70, 70), (17, 17, 17), (8, 8, 8, 8)])
@pytest.mark.parametrize("levels", [40, 10**9], ids=["plateaus", "all different"])
def test_larger_fields_agree_too(name: str, shape: tuple[int, ...], levels: int) -> None:
    field = np.random.default_rng(8).integers(0, levels, shape).astype(float)
    tree = merge_tree(field, name)
    edges = lattice_edges(name, shape)
    table = persistence(field, edges=edges, dims=(0,))
    assert len(tree.minima) > 20
    assert sorted_pairs(tree.pairs) == sorted_pairs(table[table["death"] > table["birth"]])
    assert sorted_pairs(tree.pairs) == higra_pairs(field, edges)[0]


@quick
@given(st.integers(1, 3).flatmap(plateaued))
def test_maxima_are_the_relative_classes_of_gudhi(field: np.ndarray) -> None:
    options = {"construction": "freudenthal", "extended": True, "dims": (0, 1)}
    table = persistence(field, **options)
    relative = table[(table["kind"] == "relative") & (table["dim"] == 1)]
    pairs = merge_tree(field, superlevel=True).pairs
    assert sorted_pairs(pairs[np.isfinite(pairs["death"])]) == sorted_pairs(relative)
    whole = table[(table["kind"] == "extended+") & (table["dim"] == 0)]
    assert sorted_pairs(whole) == [(field.min(), field.max())]


def pairs_of(field: np.ndarray, name: str) -> Pairs:
    return sorted_pairs(merge_tree(field, name).pairs)


@pytest.mark.parametrize("name", LATTICES)
@quick
@given(field=fields)
def test_permuted_axes_have_the_same_pairs(name: str, field: np.ndarray) -> None:
    free = field.ndim - (name == "freudenthal")
    expected = pairs_of(field, name)
    for order in itertools.permutations(range(free)):
        permuted = field.transpose(*order, *range(free, field.ndim))
        assert pairs_of(permuted, name) == expected


@pytest.mark.parametrize("name", LATTICES)
@quick
@given(field=fields)
def test_reflections_have_the_same_pairs(name: str, field: np.ndarray) -> None:
    expected = pairs_of(field, name)
    assert pairs_of(np.flip(field), name) == expected
    if name != "freudenthal":
        assert all(pairs_of(np.flip(field, axis), name) == expected for axis in range(field.ndim))


def test_the_last_axis_of_freudenthal_is_special() -> None:
    field = np.full((2, 2, 2), 9.0)
    field[0, 1, 0] = field[1, 0, 0] = 0
    field[1, 0, 1] = field[0, 0, 0] = 5
    counts = {
        len(merge_tree(field.transpose(order)).minima) for order in itertools.permutations(range(3))
    }
    assert len(counts) > 1


@pytest.mark.parametrize("name", LATTICES)
@quick
@given(field=fields, data=st.data(), size=st.sampled_from([1e-6, 0.3, 2.0, 10.0]))
def test_noise_moves_the_diagram_by_no_more_than_its_height(
    name: str, field: np.ndarray, data: st.DataObject, size: float
) -> None:
    noise = data.draw(hnp.arrays(np.float64, field.shape, elements=st.floats(-size, size)))
    trees: list[MergeTree] = [merge_tree(f, name) for f in (field, field + noise)]
    distance = diagram_distance(*(tree.pairs for tree in trees))
    assert distance <= np.abs(noise).max() + 1e-12


@quick
@given(fields)
def test_entropy_equals_that_of_gudhi(field: np.ndarray) -> None:
    pairs = merge_tree(field).pairs
    points = pairs.loc[np.isfinite(pairs["death"]), ["birth", "death"]].to_numpy()
    found = quantities(merge_tree(field))["persistence_entropy"]
    if len(points):
        expected = gudhi.representations.Entropy().fit_transform([points])[0, 0]
        assert found == pytest.approx(expected, abs=1e-12)
    else:
        assert math.isnan(found)
