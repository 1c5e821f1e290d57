"""Named lattices and edge lists give the neighbours that their definitions name."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from topograph.foundation.errors import TopographError
from topograph.topology.connectivity import (
    edge_neighbours,
    lattice_neighbours,
    lattice_offsets,
    mutual_knn_neighbours,
)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_degrees_and_nesting(n: int) -> None:
    axis, freudenthal, moore = (
        {tuple(step) for step in lattice_offsets(name, n)}
        for name in ("axis", "freudenthal", "moore")
    )
    assert (len(axis), len(freudenthal), len(moore)) == (2 * n, 2 * (2**n - 1), 3**n - 1)
    assert axis <= freudenthal <= moore


def test_freudenthal_in_two_dimensions_is_the_published_list() -> None:
    expected = {(1, 0), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, 1)}
    assert {tuple(step) for step in lattice_offsets("freudenthal", 2)} == expected


@pytest.mark.parametrize("name", ["axis", "freudenthal", "moore"])
@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 1, 3), (2, 3, 2, 2)])
def test_lattice_slots_are_the_neighbours_inside_the_bounds(
    name: str, shape: tuple[int, ...]
) -> None:
    positions, size, starts, steps = lattice_neighbours(name, shape)
    occupant = {int(slot): vertex for vertex, slot in enumerate(positions)}
    for vertex, place in enumerate(itertools.product(*map(range, shape))):
        inside = [
            tuple(np.add(place, step))
            for step in lattice_offsets(name, len(shape))
            if all(0 <= c < length for c, length in zip(np.add(place, step), shape, strict=True))
        ]
        slots = positions[vertex] + steps
        assert slots.min() >= 0 and slots.max() < size
        found = [occupant[int(slot)] for slot in slots if int(slot) in occupant]
        expected = [int(np.ravel_multi_index(p, shape)) for p in inside]
        assert Counter(found) == Counter(expected)
    assert starts.size == 0


def test_edges_become_symmetric_lists() -> None:
    _, _, starts, steps = edge_neighbours([[0, 2], [2, 3]], 4)
    lists = [sorted(steps[starts[v] : starts[v + 1]].tolist()) for v in range(4)]
    assert lists == [[2], [], [0, 3], [2]]


def neighbour_sets(shape: tuple[int, ...], k: int, seed: int = 0) -> list[set[int]]:
    _, _, starts, steps = mutual_knn_neighbours(shape, k, seed)
    return [set(steps[a:b].tolist()) for a, b in itertools.pairwise(starts)]


def squared_distances(shape: tuple[int, ...]) -> np.ndarray:
    places = np.array(list(itertools.product(*map(range, shape))))
    return ((places[:, None] - places[None]) ** 2).sum(axis=-1)


@pytest.mark.parametrize(
    ("shape", "k"),
    [
        ((12,), 4),
        ((12,), 3),
        ((6, 7), 8),
        ((6, 7), 7),
        ((2, 9), 8),
        ((4, 5, 4), 12),
        ((4, 4, 5), 11),
        ((3, 3, 3, 3), 16),
        ((2, 2), 8),
        ((1, 1), 8),
        ((5, 1, 4), 12),
    ],
)
def test_mutual_neighbours_are_among_the_k_nearest_of_both(shape: tuple[int, ...], k: int) -> None:
    found, squared = neighbour_sets(shape, k), squared_distances(shape)
    ranked = np.sort(squared, axis=1)[:, 1:]
    k = min(k, ranked.shape[1])
    farthest = ranked[:, k - 1] if k else np.zeros(len(squared))
    for one, near in enumerate(found):
        assert len(near) <= k and one not in near
        for other in range(len(found)):
            assert (other in near) == (one in found[other])
            reach = min(farthest[one], farthest[other])
            if other in near:
                assert squared[one, other] <= reach
            elif other != one:
                # Whatever lies nearer than the last shell of both is chosen by both.
                assert squared[one, other] >= reach


def test_ties_are_drawn_by_the_seed() -> None:
    shape = (7, 7, 7)
    first, again, other = (neighbour_sets(shape, 12, seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    inner = [np.ravel_multi_index(p, shape) for p in itertools.product((2, 3, 4), repeat=3)]
    # 6 at distance 1, and of the 12 at the next those of 6 that chose each other, about 3.
    degrees = [len(first[v]) for v in inner]
    assert min(degrees) >= 6 and max(degrees) <= 12
    assert 8 < np.mean(degrees) < 10


def test_nine_points_are_each_others_nearest_in_two_dimensions() -> None:
    center = 3 * 7 + 3
    expected = {center + 7 * i + j for i in (-1, 0, 1) for j in (-1, 0, 1)} - {center}
    assert neighbour_sets((7, 7), 8)[center] == expected


@pytest.mark.parametrize(("shape", "k"), [((7, 7, 7), 11), ((7, 7, 7), 12)])
def test_ties_by_index_would_leave_the_axis_neighbours_alone(
    shape: tuple[int, ...], k: int
) -> None:
    """What reports/README.md says of mutual nearest neighbours in three dimensions."""
    order = np.argsort(squared_distances(shape), axis=1, kind="stable")[:, 1 : k + 1]
    chosen = [set(row.tolist()) for row in order]
    center = int(np.ravel_multi_index([length // 2 for length in shape], shape))
    mutual = {other for other in chosen[center] if center in chosen[other]}
    strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    assert mutual == {center + sign * stride for stride in strides for sign in (-1, 1)}


@pytest.mark.parametrize("k", [0, -1, 2.5])
def test_a_k_that_is_no_count_is_refused(k: float) -> None:
    with pytest.raises(TopographError, match="allowed: an integer from 1"):
        mutual_knn_neighbours((3, 3), k, 0)


def test_unknown_name_lists_what_is_allowed() -> None:
    with pytest.raises(TopographError, match=r"'freudentahl' \(did you mean 'freudenthal'\?\)"):
        lattice_offsets("freudentahl", 2)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[0, 1], [1, 7]], r"edge 1 joins vertices \[1, 7\]; allowed: 0 to 3"),
        ([[-1, 0]], "edge 0"),
        ([0, 1], "shape"),
        ([[0.0, 1.0]], "float64"),
    ],
)
def test_unusable_edges(edges: list, message: str) -> None:
    with pytest.raises(TopographError, match=message):
        edge_neighbours(edges, 4)
