"""The tables of a study's landscapes: one set of keys, subgrids, diverged rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from topograph.topology.analysis import TABLES, landscape_topology
from topograph.topology.merge_tree import merge_tree
from topograph.topology.persistence import persistence
from topograph.topology.profile import profile
from topograph.topology.quantities import quantities

KEYS = {"run", "seed", "epoch", "connectivity"}
SIDE = 17
EXACT = {name: (("seed", "epoch"), [[0.0]]) for name in ("error_absolute", "error_relative")}


def two_wells(depth: float) -> np.ndarray:
    """Two wells on a grid of 17 x 17, minima at (4, 8) with value 0 and at (12, 8)."""
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    first = (x - 4.0) ** 2 + (y - 8.0) ** 2
    second = (x - 12.0) ** 2 + (y - 8.0) ** 2 + depth
    return np.minimum(first, second)


@pytest.fixture(scope="module")
def dataset() -> xr.Dataset:
    """Seeds 3 and 5, epochs 0 and 7; seed 5 diverged after epoch 0."""
    loss = np.stack(
        [[two_wells(1.0), two_wells(2.0)], [two_wells(3.0), np.full((SIDE, SIDE), np.nan)]]
    )
    axis = np.linspace(-1, 1, SIDE)
    return xr.Dataset(
        {
            "loss": (("seed", "epoch", "alpha_1", "alpha_2"), loss),
            "error_absolute": (("seed", "epoch"), [[0.0, 7.1], [0.0, np.nan]]),
            "error_relative": (("seed", "epoch"), [[0.0, 1.0], [0.0, np.nan]]),
        },
        coords={"seed": [3, 5], "epoch": [0, 7], "alpha_1": axis, "alpha_2": axis},
        attrs={"run": "a-run"},
    )


@pytest.fixture(scope="module")
def tables(dataset: xr.Dataset) -> dict[str, pd.DataFrame]:
    return landscape_topology(dataset, "axis")


def only(table: pd.DataFrame, seed: int, epoch: int) -> pd.DataFrame:
    chosen = table[(table["seed"] == seed) & (table["epoch"] == epoch)]
    return chosen.drop(columns=list(KEYS)).reset_index(drop=True)


def test_every_table_names_run_seed_epoch_and_connectivity(tables: dict[str, pd.DataFrame]) -> None:
    assert set(tables) == set(TABLES)
    for name, table in tables.items():
        assert set(table) >= KEYS - ({"seed"} if name == "variability" else set())
        assert table["run"].unique().tolist() == ["a-run"]
        named = table["connectivity"].unique().tolist()
        # Three lattices, and as many nearest neighbours as belong to the grid and to its slice.
        assert named == ["axis"] or (name == "choices" and len(named) == 5)


def test_tables_are_those_of_the_merge_tree_of_each_landscape(
    dataset: xr.Dataset, tables: dict[str, pd.DataFrame]
) -> None:
    for seed, epoch in ((3, 0), (3, 7), (5, 0)):
        tree = merge_tree(dataset["loss"].sel(seed=seed, epoch=epoch).values, "axis")
        shape = profile(tree)
        expected = {
            "pairs": tree.pairs,
            "profile": shape.table(),
            "marks": shape.marks(),
            "tree": shape.tree_lines(),
        }
        for name, table in expected.items():
            found = only(tables[name], seed, epoch).drop(columns="resolved")
            pd.testing.assert_frame_equal(found, table.reset_index(drop=True), check_dtype=False)


def test_two_wells_give_two_minima_and_the_saddle_between(tables: dict[str, pd.DataFrame]) -> None:
    marks = only(tables["marks"], 3, 0)
    assert marks["kind"].value_counts().to_dict() == {"minimum": 2, "saddle": 1}
    minima = set(marks.loc[marks["kind"] == "minimum", "vertex"])
    assert minima == {4 * SIDE + 8, 12 * SIDE + 8}
    assert marks.loc[marks["kind"] == "saddle", "y"].item() == 16
    finite = only(tables["pairs"], 3, 0).query("death < inf")
    assert finite[["birth", "death"]].to_numpy().tolist() == [[1, 16]]


def test_what_the_errors_explain_is_not_resolved(tables: dict[str, pd.DataFrame]) -> None:
    # The second well is 14 deep: twice an error of 7.1 is more.
    for epoch, both in ((0, True), (7, False)):
        assert only(tables["pairs"], 3, epoch)["resolved"].tolist() == [True, both]
        marks = only(tables["marks"], 3, epoch)
        assert marks["resolved"].tolist() == [True, both, both]
        assert marks["kind"].tolist() == ["minimum", "minimum", "saddle"]
        second = 12 * SIDE + 8
        for name in ("profile", "tree"):
            table = only(tables[name], 3, epoch)
            assert (table["resolved"] == (both | (table["branch"] != second))).all()
        numbers = only(tables["quantities"], 3, epoch)
        assert numbers["minima"].iloc[0] == 2
        assert numbers["minima_resolved"].iloc[0] == 1 + both
        assert numbers["critical_index_0"].iloc[0] == 2


def test_seeds_of_an_epoch_are_compared(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["variability"].set_index(["epoch", "measure"])
    assert table.loc[(0, "bottleneck"), "mean"] == pytest.approx(2)
    assert table.loc[(0, "bottleneck"), "landscapes"] == 2
    assert table.loc[(7, "bottleneck"), "landscapes"] == 1


def test_the_diagram_has_the_pairs_of_the_merge_tree(tables: dict[str, pd.DataFrame]) -> None:
    diagram = only(tables["diagram"], 3, 0)
    finite = diagram[(diagram["dim"] == 0) & np.isfinite(diagram["death"])]
    assert finite[["birth", "death"]].to_numpy().tolist() == [[1, 16]]


def test_diagrams_reach_below_the_dimension_and_in_4_d_are_h0() -> None:
    generator = np.random.default_rng(0)
    for n, dims in ((1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (4, [0])):
        field = generator.random((4,) * n)
        loss = (("seed", "epoch", *(f"alpha_{i}" for i in range(n))), field[None, None])
        dataset = xr.Dataset(
            {"loss": loss, **EXACT}, coords={"seed": [0], "epoch": [0]}, attrs={"run": "r"}
        )
        found = landscape_topology(dataset, "axis")["diagram"]
        assert set(found["dim"]) <= set(dims)
        expected = persistence(field, construction="vertices", dims=dims)
        pd.testing.assert_frame_equal(found[list(expected)], expected, check_dtype=False)


def test_quantities_are_repeated_on_nested_subgrids(
    dataset: xr.Dataset, tables: dict[str, pd.DataFrame]
) -> None:
    found = only(tables["quantities"], 3, 0)
    assert found["points"].tolist() == [17, 9, 5]
    values = dataset["loss"].sel(seed=3, epoch=0).values
    for row, step in enumerate((1, 2, 4)):
        expected = quantities(merge_tree(values[::step, ::step], "axis"))
        for name, value in expected.items():
            np.testing.assert_equal(found.loc[row, name], value)
    assert found["vertices"].tolist() == [289, 81, 25]


@pytest.mark.parametrize(
    ("side", "subgrids"), [(21, [21, 11]), (41, [41, 21, 11]), (5, [5]), (12, [12]), (11, [11])]
)
def test_subgrids_keep_both_ends_and_the_centre(side: int, subgrids: list[int]) -> None:
    # The ends and the centre are the only finite vertices: a subgrid without them has fewer.
    line = np.full(side, np.nan)
    line[[0, side // 2, -1]] = [1.0, 2.0, 3.0]
    dataset = xr.Dataset(
        {"loss": (("seed", "epoch", "alpha_1"), line[None, None]), **EXACT},
        coords={"seed": [0], "epoch": [0]},
        attrs={"run": "r"},
    )
    found = landscape_topology(dataset, "axis")["quantities"]
    assert found["points"].tolist() == subgrids
    assert found["vertices"].tolist() == [3] * len(subgrids)


def test_a_subgrid_without_a_finite_value_is_left_out() -> None:
    line = np.full(9, np.nan)
    line[[1, 3]] = 1.0
    dataset = xr.Dataset(
        {"loss": (("seed", "epoch", "alpha_1"), line[None, None]), **EXACT},
        coords={"seed": [0], "epoch": [0]},
        attrs={"run": "r"},
    )
    assert landscape_topology(dataset, "axis")["quantities"]["points"].tolist() == [9]


def test_a_diverged_landscape_has_one_row_that_says_so(tables: dict[str, pd.DataFrame]) -> None:
    found = only(tables["quantities"], 5, 7)
    assert found[["points", "diverged"]].to_numpy().tolist() == [[17, 1]]
    assert found.drop(columns=["points", "diverged"]).isna().all(axis=None)
    for name in set(TABLES) - {"quantities", "variability"}:
        assert len(only(tables[name], 5, 7)) == 0
        assert len(only(tables[name], 5, 0)) > 0
    assert (tables["quantities"]["diverged"] == 1).sum() == 1


def test_the_connectivity_is_the_one_asked_for(dataset: xr.Dataset) -> None:
    noise = np.random.default_rng(0).random((1, 1, SIDE, SIDE))
    noisy = dataset.isel(seed=[0], epoch=[0]).assign(loss=(dataset["loss"].dims, noise))
    counts = [
        landscape_topology(noisy, name)["quantities"]["minima"].iloc[0]
        for name in ("axis", "freudenthal", "moore")
    ]
    assert counts[0] > counts[1] > counts[2]
