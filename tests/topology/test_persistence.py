"""Persistence through GUDHI: known classes, masks, and the choices that it hides."""

from __future__ import annotations

import itertools
import math

import gudhi
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from topograph.foundation.errors import TopographError
from topograph.topology import persistence as module
from topograph.topology.persistence import persistence

SQUARE = [[0, 1], [1, 2], [2, 3], [3, 0]]
GRIDS = ("vertices", "cells", "freudenthal")
quick = settings(max_examples=60, deadline=None)
holed = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=3, max_side=5),
    elements=st.sampled_from([0.0, 0.1, 0.3, 1 / 3, 0.7, 1e9, np.nan]),
).filter(lambda field: np.isfinite(field).any())


def rows(table) -> list[list[float]]:
    return table.to_numpy().tolist()


def pairs_of(table: pd.DataFrame, kind: str = "") -> list[tuple[float, ...]]:
    chosen = table[table["kind"].str.startswith(kind)] if kind else table
    return sorted(chosen[["dim", "birth", "death"]].itertuples(index=False, name=None))


def axis_edges(shape: tuple[int, ...]) -> np.ndarray:
    number = np.arange(math.prod(shape)).reshape(shape)
    ends = [
        (np.delete(number, -1, axis).ravel(), np.delete(number, 0, axis).ravel())
        for axis in range(len(shape))
    ]
    return np.concatenate([np.column_stack(pair) for pair in ends])


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


def test_freudenthal_joins_one_diagonal_of_a_square() -> None:
    field = np.array([[0.0, 2], [2, 1]])
    table = persistence(field, construction="freudenthal")
    assert rows(table) == [[0, 0, np.inf], [0, 1, 2]]
    assert rows(persistence(field[:, ::-1], construction="freudenthal")) == [[0, 0, np.inf]]


def triangulation(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The simplices that `persistence` hands to GUDHI."""
    built: list[gudhi.SimplexTree] = []

    class Recorded(gudhi.SimplexTree):
        def __init__(self) -> None:
            super().__init__()
            built.append(self)

    monkeypatch.setattr(module.gudhi, "SimplexTree", Recorded)
    persistence(np.zeros(shape), construction="freudenthal", dims=(len(shape),))
    return [simplex for simplex, _ in built[0].get_simplices()]


@pytest.mark.parametrize("shape", [(6,), (4, 3), (2, 2), (3, 4, 2), (2, 2, 2), (2, 3, 2, 2)])
def test_the_cliques_triangulate_the_box(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    n, simplices = len(shape), triangulation(shape, monkeypatch)
    assert sum((-1) ** (len(simplex) - 1) for simplex in simplices) == 1
    corners = np.array([np.unravel_index(s, shape) for s in simplices if len(s) == n + 1])
    corners = corners.transpose(0, 2, 1)
    cubes = math.prod(length - 1 for length in shape)
    assert len(corners) == math.factorial(n) * cubes
    assert np.ptp(corners, axis=1).max() == 1
    # n! simplices of volume 1 / n! in each cube fill it, unless two of them overlap.
    volumes = np.abs(np.linalg.det(np.diff(corners, axis=1)))
    np.testing.assert_allclose(volumes, 1)
    cube, count = np.unique(corners.min(axis=1), axis=0, return_counts=True)
    assert len(cube) == cubes and set(count) == {math.factorial(n)}


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 2)])
def test_the_simplices_of_a_cube_are_the_paths_through_it(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    n = len(shape)
    found = {frozenset(s) for s in triangulation(shape, monkeypatch) if len(s) == n + 1}
    start = np.array([0] * (n - 1) + [1])
    signs = np.array([1] * (n - 1) + [-1])
    expected = set()
    for axes in itertools.permutations(range(n)):
        path = [start + signs * np.isin(np.arange(n), axes[:k]) for k in range(n + 1)]
        expected.add(frozenset(int(np.ravel_multi_index(tuple(place), shape)) for place in path))
    assert found == expected


@pytest.mark.parametrize("construction", GRIDS)
@pytest.mark.parametrize("n", [2, 3])
def test_a_hollow_cube_has_one_class_in_its_highest_dimension(construction: str, n: int) -> None:
    field = np.full((5,) * n, 3.0)
    field[(slice(1, 4),) * n] = 1
    field[(2,) * n] = 2
    table = persistence(field, construction=construction, dims=range(4))
    assert rows(table) == [[0, 1, np.inf], [n - 1, 1, 2]]


@pytest.mark.parametrize("construction", GRIDS)
def test_a_tube_around_a_torus_has_its_two_loops_and_its_void(construction: str) -> None:
    x, y, z = np.meshgrid(*[np.linspace(-1.7, 1.7, 15)] * 3, indexing="ij")
    distance = np.abs(np.hypot(np.hypot(x, y) - 1.1, z) - 0.5)
    table = persistence(distance, construction=construction, dims=(0, 1, 2))
    long = table[table["death"] - table["birth"] > 0.2]
    assert long["dim"].tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize("construction", GRIDS)
def test_components_in_four_dimensions(construction: str) -> None:
    field = np.full((3, 2, 2, 5), 4.0)
    field[1, 1, 0, 0], field[1, 1, 0, 4], field[1, 1, 0, 2] = 0, 1, 2
    field[1, 1, 0, 3] = 3
    table = persistence(field, construction=construction, dims=(0,))
    assert rows(table) == [[0, 0, np.inf], [0, 1, 4], [0, 2, 3]]


def test_a_dimension_above_that_of_the_complex_is_empty() -> None:
    for construction in GRIDS:
        assert len(persistence([0.0, 2, 1], construction=construction, dims=(1, 5))) == 0
    assert len(persistence([0.0, 1, 2, 3], edges=SQUARE, dims=(2,))) == 0
    assert len(persistence([0.0, 1, 2, 3], edges=SQUARE, dims=(2,), extended=True)) == 0


def test_extended_persistence_of_a_path_by_hand() -> None:
    expected = [
        [0, 0, 3, "extended+"],
        [0, 1, 2, "ordinary"],
        [1, 2, 1, "relative"],
    ]
    path = [[0, 1], [1, 2], [2, 3]]
    assert rows(persistence([0.0, 2, 1, 3], edges=path, extended=True)) == expected
    line = persistence([0.0, 2, 1, 3], construction="freudenthal", extended=True)
    assert rows(line) == expected


def test_extended_persistence_of_loops_and_constants() -> None:
    table = persistence([0.0, 1, 2, 3], edges=SQUARE, extended=True)
    assert rows(table) == [[0, 0, 3, "extended+"], [1, 3, 0, "extended-"]]
    flat = persistence([5.0, 5, 5, 5, 7, np.nan], edges=SQUARE, extended=True)
    zero = [[0, 5, 5, "extended+"], [0, 7, 7, "extended+"], [1, 5, 5, "extended+"]]
    assert rows(flat) == zero


def test_extended_persistence_chooses_dimensions() -> None:
    table = persistence([0.0, 2, 1, 3], construction="freudenthal", dims=(1,), extended=True)
    assert rows(table) == [[1, 2, 1, "relative"]]
    assert list(table.columns) == ["dim", "birth", "death", "kind"]


@quick
@given(holed, st.booleans())
def test_laws_of_extended_persistence(field: np.ndarray, graph: bool) -> None:
    dims = range(4)
    options = {"edges": axis_edges(field.shape)} if graph else {"construction": "freudenthal"}
    plain, mirrored = (persistence(f, dims=dims, **options) for f in (field, -field))
    plain, mirrored = (table[table["death"] != table["birth"]] for table in (plain, mirrored))
    table = persistence(field, dims=dims, extended=True, **options)
    finite = plain[np.isfinite(plain["death"])]
    assert pairs_of(table, "ordinary") == pairs_of(finite)
    # The long exact sequence: relative classes are those that die above, one dimension higher.
    above = mirrored[np.isfinite(mirrored["death"])]
    turned = above.assign(dim=above["dim"] + 1, birth=-above["birth"], death=-above["death"])
    assert pairs_of(table, "relative") == pairs_of(turned)
    # An essential class is born where it is without the extension, from above as from below.
    essential = table[table["kind"].str.startswith("extended")]
    endless, endless_above = (t[np.isinf(t["death"])] for t in (plain, mirrored))
    assert sorted(essential["birth"]) == sorted(endless["birth"])
    assert sorted(-essential["death"]) == sorted(endless_above["birth"])
    rises = essential["death"] >= essential["birth"]
    assert (essential["kind"] == np.where(rises, "extended+", "extended-")).all()


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
    assert rows(persistence([0.0, -np.inf, 1], construction="freudenthal")) == expected


@pytest.mark.parametrize("construction", GRIDS)
def test_a_masked_hole_is_an_essential_loop(construction: str) -> None:
    ring = np.zeros((3, 3))
    ring[1, 1] = np.nan
    found = persistence(ring, construction=construction)
    assert rows(found) == [[0, 0, np.inf], [1, 0, np.inf]]


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
        ({"construction": "freudenthal", "edges": SQUARE}, "'freudenthal' contradicts edges"),
        ({"extended": True}, "'vertices' is not available.*allowed: freudenthal, graph"),
        ({"construction": "cells", "extended": True}, "'cells' is not available"),
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
