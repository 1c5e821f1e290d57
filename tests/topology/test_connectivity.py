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
