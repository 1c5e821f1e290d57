"""Persistence through GUDHI: known classes, masks, and the choices that it hides."""

from __future__ import annotations

import numpy as np
import pytest

from topograph.foundation.errors import TopographError
from topograph.topology.persistence import persistence

SQUARE = [[0, 1], [1, 2], [2, 3], [3, 0]]


def rows(table) -> list[list[float]]:
    return table.to_numpy().tolist()


def test_himmelblau_has_four_basins_and_one_loop() -> None:
    x, y = np.meshgrid(*[np.linspace(-6, 6, 241)] * 2, indexing="ij")
    field = (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2
    table = persistence(field)
    deaths = table.loc[table["dim"] == 0, "death"].sort_values().to_numpy()
    # Sampling adds one pair of persistence below 0.1 beside the minimum (-2.81, 3.13).
    np.testing.assert_allclose(deaths[1:-1], [13.312, 67.719, 104.015], atol=0.02)
    assert deaths[0] < 0.1 and deaths[-1] == np.inf
    loops = table.loc[table["dim"] == 1, ["birth", "death"]].to_numpy()
    np.testing.assert_allclose(loops, [[178.337, 181.617]], atol=0.05)


def test_constructions_differ_on_a_diagonal() -> None:
    field = np.array([[0.0, 2], [2, 1]])
    assert rows(persistence(field, dims=(0,))) == [[0, 0, np.inf], [0, 1, 2]]
    assert rows(persistence(field, construction="cells", dims=(0,))) == [[0, 0, np.inf]]


def test_the_loop_of_a_graph_is_found() -> None:
    table = persistence([0.0, 1, 2, 3], edges=SQUARE)
    assert [1, 3, np.inf] in rows(table)


def test_graphs_keep_pairs_of_length_zero_and_grids_do_not() -> None:
    assert rows(persistence([0.0, 1], edges=[[0, 1]], dims=(0,))) == [[0, 0, np.inf], [0, 1, 1]]
    assert rows(persistence([0.0, 1], dims=(0,))) == [[0, 0, np.inf]]


def test_masked_vertices_split_grids_and_graphs() -> None:
    expected = [[0, 0, np.inf], [0, 1, np.inf]]
    assert rows(persistence([0.0, np.nan, 1])) == expected
    assert rows(persistence([0.0, np.nan, 1], edges=[[0, 1], [1, 2]])) == expected


def test_a_masked_hole_is_an_essential_loop() -> None:
    ring = np.zeros((3, 3))
    ring[1, 1] = np.nan
    assert rows(persistence(ring)) == [[0, 0, np.inf], [1, 0, np.inf]]


def test_graph_without_edges() -> None:
    table = persistence([2.0, 1], edges=np.empty((0, 2), dtype=int))
    assert rows(table) == [[0, 1, np.inf], [0, 2, np.inf]]


def test_empty_dimension_keeps_the_columns() -> None:
    table = persistence([0.0, 1], dims=(1,))
    assert list(table.columns) == ["dim", "birth", "death"] and len(table) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"construction": "cell"}, "did you mean 'cells'"),
        ({"construction": "graph"}, "needs edges"),
        ({"construction": "cells", "edges": SQUARE}, "contradicts edges"),
        ({"edges": [[0, 9]]}, "edge 0"),
        ({"dims": (-1,)}, "integers from 0"),
        ({"dims": ()}, "one or more"),
    ],
)
def test_mistakes_are_named(options: dict, message: str) -> None:
    with pytest.raises(TopographError, match=message):
        persistence([0.0, 1, 2, 3], **options)


def test_nothing_finite_is_refused() -> None:
    with pytest.raises(TopographError, match="all 2 values"):
        persistence([np.nan, np.inf])
