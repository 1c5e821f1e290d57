"""Identities of the released code's graph, which explain the published numbers."""

from __future__ import annotations

import numpy as np
import pytest

from topograph.embedding.phate import phate
from topograph.foundation.errors import TopographError
from topograph.geometry.gram import cosine_distances
from topograph.trajectory.homology import homology_statistics, knn_graph
from topograph.trajectory.released import farthest_multigraph, released_statistics, shifted


@pytest.fixture(scope="module")
def potential() -> np.ndarray:
    """Of 640 points on 16 rays, as 4 seeds, 4 steps and 40 epochs give."""
    draw = np.random.default_rng(0)
    rays = np.repeat(draw.standard_normal((16, 50)), 40, axis=0)
    lengths = np.tile(np.linspace(1, 2, 40), 16)[:, None]
    points = rays * lengths + 0.02 * draw.standard_normal((640, 50))
    return phate(cosine_distances(points), t=20).potential


def losses(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(1, 640) ** 3 + 0.4


def test_a_connected_graph_has_the_published_count_of_cycles(potential: np.ndarray) -> None:
    found = released_statistics(potential, losses(), 0.4)
    assert found["components"] == 1
    assert found["edges"] == 12_800 and found["cycles"] == 12_161
    assert found["finite_h0"] == 639


def test_the_published_total_is_the_squared_range_whatever_vertex_has_which_loss(
    potential: np.ndarray,
) -> None:
    given = losses()
    first = released_statistics(potential, given, 0.4)
    essential = first["total_persistence_published"] - first["total_persistence_finite"]
    # The minimum's loss comes in and the last one is lost.
    used = np.append(given[:-1], 0.4)
    assert essential == pytest.approx(np.ptp(used) ** 2)
    mixed = np.random.default_rng(1).permutation(used)
    again = released_statistics(potential, np.append(mixed[1:], 0.0), mixed[0])
    assert again["total_persistence_published"] - again[
        "total_persistence_finite"
    ] == pytest.approx(essential)
    assert first["total_persistence_finite"] < 0.01 * essential


def test_the_graph_of_the_text_multiplies_the_range_by_its_components(
    potential: np.ndarray,
) -> None:
    given = losses()
    edges = knn_graph(potential)
    found = homology_statistics(edges, given)
    assert found["components"] == 16
    released = released_statistics(potential, given, 0.4)
    ratio = found["total_persistence_published"] / released["total_persistence_published"]
    assert 4 < ratio <= 16


def test_its_neighbours_are_the_farthest_and_mutual_ones_stand_twice() -> None:
    rows = np.array([[0.0, 3, 1, 2], [3, 0, 2, 1], [1, 2, 0, 3], [2, 1, 3, 0]])
    found = farthest_multigraph(rows, 1)
    assert found.tolist() == [[0, 1], [1, 0], [2, 3], [3, 2]]


def test_losses_move_by_one_vertex() -> None:
    assert shifted(9.0, [1.0, 2.0, 3.0]).tolist() == [9.0, 1.0, 2.0]


def test_losses_that_are_not_finite_are_refused(potential: np.ndarray) -> None:
    with pytest.raises(TopographError, match="1 losses are not finite"):
        released_statistics(potential, losses(), np.nan)
