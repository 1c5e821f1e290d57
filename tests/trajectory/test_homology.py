"""Identities that the homology of any graph obeys, and a union-find of our own as oracle."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from topograph.foundation.errors import TopographError
from topograph.trajectory.homology import graph_homology, homology_statistics, knn_graph


def random_graph(seed, vertices=60, *, edges, tied=False):
    draw = np.random.default_rng(seed)
    pairs = np.sort(draw.integers(0, vertices, (edges, 2)), axis=1)
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    losses = draw.integers(0, 6, vertices).astype(float) if tied else draw.exponential(1, vertices)
    return pairs, losses


def pieces(edges, vertices):
    ones = np.ones(len(edges))
    graph = coo_array((ones, tuple(edges.T)), shape=(vertices, vertices))
    return connected_components(graph, directed=False)


def union_find_pairs(edges, losses):
    """Return (birth, death) of dimension 0 by the elder rule."""
    parent = list(range(len(losses)))

    def root(vertex):
        while parent[vertex] != vertex:
            vertex = parent[vertex]
        return vertex

    pairs = []
    for value, u, v in sorted((max(losses[u], losses[v]), u, v) for u, v in edges):
        elder, younger = sorted((root(u), root(v)), key=lambda vertex: losses[vertex])
        if elder != younger:
            parent[younger] = elder
            pairs.append((losses[younger], value))
    pairs += [(losses[v], np.inf) for v in range(len(losses)) if parent[v] == v]
    return sorted(pairs)


CASES = [(0, 40, False), (1, 60, True), (2, 300, False), (3, 300, True)]


@pytest.mark.parametrize(("seed", "edges", "tied"), CASES)
def test_dimension_0_equals_union_find(seed, edges, tied):
    edges, losses = random_graph(seed, edges=edges, tied=tied)
    table = graph_homology(edges, losses)
    found = table.loc[table["dim"] == 0, ["birth", "death"]].to_numpy()
    assert [tuple(row) for row in found] == union_find_pairs(edges, losses)


@pytest.mark.parametrize(("seed", "edges", "tied"), CASES)
def test_counts_obey_the_identities(seed, edges, tied):
    edges, losses = random_graph(seed, edges=edges, tied=tied)
    components, label = pieces(edges, len(losses))
    found = homology_statistics(edges, losses)
    assert found["components"] == components
    assert found["edges"] == len(edges)
    assert found["finite_h0"] == len(losses) - components
    assert found["cycles"] == len(edges) - len(losses) + components
    lowest = np.array([losses[label == c].min() for c in range(components)])
    end = losses[edges].max()
    essential = np.sum(np.maximum(end - lowest, 0) ** 2)
    total = found["total_persistence_published"] - found["total_persistence_finite"]
    assert total == pytest.approx(essential)
    loops = graph_homology(edges, losses).query("dim == 1")
    assert np.isinf(loops["death"]).all()
    assert np.isin(loops["birth"], losses).all()


def test_connected_graph_reduces_to_the_loss_range_and_ignores_the_order():
    edges = np.column_stack([np.arange(59), np.arange(1, 60)])
    draw = np.random.default_rng(5)
    losses = draw.exponential(1, 60)
    found = [homology_statistics(edges, draw.permutation(losses)) for _ in range(4)]
    for row in found:
        assert row["components"] == 1
        essential = row["total_persistence_published"] - row["total_persistence_finite"]
        assert essential == pytest.approx(np.ptp(losses) ** 2)
        assert row["loss_range_squared"] == pytest.approx(np.ptp(losses) ** 2)
        assert row["max_loss"] == losses.max()
    assert len({round(row["total_persistence_finite"], 9) for row in found}) > 1


def test_a_small_graph_by_hand():
    # A square with one tail; vertex 2 is a second minimum that dies at vertex 1.
    edges = [[0, 1], [1, 2], [2, 3], [3, 0], [3, 4]]
    table = graph_homology(edges, [0.0, 3.0, 1.0, 5.0, 7.0])
    positive = table[table["birth"] < table["death"]].to_numpy().tolist()
    assert positive == [[0, 0, np.inf], [0, 1, 3], [1, 5, np.inf]]
    found = homology_statistics(edges, [0.0, 3.0, 1.0, 5.0, 7.0])
    assert found["total_persistence_finite"] == 4
    assert found["total_persistence_published"] == 4 + 49
    assert found["cycles"] == 1


def test_diverged_points_are_masked_and_counted():
    edges, losses = random_graph(7, edges=200)
    losses[[3, 17]] = np.nan, np.inf
    kept = np.isfinite(losses)
    number = np.cumsum(kept) - 1
    expected = homology_statistics(number[edges[kept[edges].all(axis=1)]], losses[kept])
    found = homology_statistics(edges, losses)
    assert found.pop("masked") == 2
    assert expected.pop("masked") == 0
    assert found == expected
    assert np.isfinite(graph_homology(edges, losses)["birth"]).all()


def test_nothing_left_is_a_result():
    found = homology_statistics([[0, 1]], [np.nan, np.nan])
    assert found["masked"] == 2
    assert found["components"] == found["edges"] == found["total_persistence_published"] == 0
    assert np.isnan(found["max_loss"])
    assert graph_homology([[0, 1]], [np.nan, np.nan]).empty


def test_isolated_vertices_add_nothing_to_the_published_total():
    found = homology_statistics(np.empty((0, 2)), [1.0, 2.0, 5.0])
    assert found["components"] == 3
    assert found["total_persistence_published"] == 0
    late = homology_statistics([[0, 1]], [1.0, 2.0, 5.0])
    assert late["total_persistence_published"] == 1


def test_repeated_and_reversed_edges_count_once():
    losses = [0.0, 1.0, 2.0]
    once = homology_statistics([[0, 1], [1, 2]], losses)
    assert homology_statistics([[1, 0], [0, 1], [2, 1]], losses) == once


def test_knn_graph_joins_nearest_points_once():
    line = np.array([[0.0], [1.0], [2.1], [3.3], [10.0]])
    assert knn_graph(line, 1).tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]
    assert len(knn_graph(line, 4)) == 10


def test_knn_graph_equals_a_search_by_hand():
    points = np.random.default_rng(2).standard_normal((40, 40))
    expected = set()
    for i, point in enumerate(points):
        order = np.argsort(np.linalg.norm(points - point, axis=1))
        expected |= {tuple(sorted((i, int(j)))) for j in order[1:6]}
    assert [tuple(edge) for edge in knn_graph(points, 5)] == sorted(expected)


def test_knn_graph_breaks_ties_by_index():
    # Duplicates of the own point may sort before it: none may become a loop.
    assert knn_graph(np.zeros((5, 2)), 2).tolist() == [
        [0, 1],
        [0, 2],
        [0, 3],
        [0, 4],
        [1, 2],
        [1, 3],
        [1, 4],
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: knn_graph(np.eye(5), 5), "neighbours is 5 for 5 points"),
        (lambda: knn_graph(np.eye(5), 0), "neighbours is 0"),
        (lambda: knn_graph(np.full((3, 3), np.nan), 1), "9 values that are not finite"),
        (lambda: graph_homology([[0, 3]], [1.0, 2.0]), "vertices 0 to 3; allowed: 0 to 1"),
        (lambda: graph_homology([[1, 1]], [1.0, 2.0]), "vertex 1 to itself"),
        (lambda: graph_homology([[0.0, 1.0]], [1.0, 2.0]), "float64"),
        (lambda: homology_statistics([[0, 1]], [[1.0, 2.0]]), r"shape \(1, 2\)"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(TopographError, match=message):
        call()
