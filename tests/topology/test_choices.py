"""The same landscape under other choices: each row against the analysis made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from topograph.topology.choices import AS_SAMPLED, NUMBERS, SLICE, WIDTHS, under_choices
from topograph.topology.connectivity import lattice_offsets
from topograph.topology.merge_tree import merge_tree
from topograph.topology.quantities import quantities

ERRORS = {"error_absolute": 0.05, "error_relative": 1.0}
FIELD = np.random.default_rng(3).random((13, 13, 13)) + 1


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return under_choices(FIELD, "freudenthal", ERRORS).set_index("choice")


@pytest.mark.parametrize(
    ("choice", "values", "connectivity", "errors"),
    [
        (AS_SAMPLED, FIELD, "freudenthal", ERRORS),
        ("axis connectivity", FIELD, "axis", ERRORS),
        ("moore connectivity", FIELD, "moore", ERRORS),
        ("mutual-knn connectivity", FIELD, "mutual-knn", ERRORS),
        ("half the points", FIELD[::2, ::2, ::2], "freudenthal", ERRORS),
        ("half the range", FIELD[3:10, 3:10, 3:10], "freudenthal", ERRORS),
        ("one dimension less", FIELD[:, :, 6][:, ::-1], "freudenthal", ERRORS),
        ("one dimension less, axis connectivity", FIELD[:, :, 6], "axis", ERRORS),
        ("one dimension less, half the points", FIELD[::2, ::-2, 6], "freudenthal", ERRORS),
        ("unresolved pairs too", FIELD, "freudenthal", dict.fromkeys(ERRORS, 0.0)),
    ],
)
def test_each_choice_is_the_analysis_made_by_hand(
    table: pd.DataFrame,
    choice: str,
    values: np.ndarray,
    connectivity: str,
    errors: dict[str, float],
) -> None:
    expected = quantities(merge_tree(values, connectivity), errors=errors)
    assert table.loc[choice, list(NUMBERS)].to_dict() == pytest.approx(
        {name: expected[name] for name in NUMBERS}, nan_ok=True
    )


def test_nested_connectivities_and_errors_order_the_counts(table: pd.DataFrame) -> None:
    minima = table["minima_resolved"]
    assert minima["axis connectivity"] > minima[AS_SAMPLED] > minima["moore connectivity"]
    assert minima["unresolved pairs too"] > minima[AS_SAMPLED]


def test_neighbours_in_the_slice_are_those_that_it_has_in_the_grid() -> None:
    """Of the grid's Freudenthal steps those within the slice, backwards along its last axis."""
    for dimensions in (2, 3, 4):
        steps = lattice_offsets("freudenthal", dimensions)
        within = steps[steps[:, -1] == 0][:, :-1] * [*[1] * (dimensions - 2), -1]
        own = lattice_offsets("freudenthal", dimensions - 1)
        assert set(map(tuple, within)) == set(map(tuple, own))


def test_a_grid_with_hardly_an_interior_has_no_slice() -> None:
    names = under_choices(FIELD[:3, :3, :3], "freudenthal", ERRORS)["choice"]
    assert AS_SAMPLED in set(names) and not names.str.startswith(SLICE).any()


def test_single_precision_is_tried_where_losses_stand_for_exact_ones() -> None:
    single = "resolved in single precision"
    # A ramp with a dent of a tenth of its rounding: the dent is a minimum in double precision only.
    ramp = np.add.outer(np.arange(9.0), np.arange(9.0)) + 1
    ramp[4, 4] = ramp[3, 4] * (1 - 1e-8)
    dented = under_choices(ramp, "axis", dict.fromkeys(ERRORS, 0.0)).set_index("choice")
    assert dented.loc[[AS_SAMPLED, single], "minima_resolved"].tolist() == [2, 1]
    assert single not in set(under_choices(FIELD, "axis", ERRORS)["choice"])


def test_widths_rise_to_the_whole_grid(table: pd.DataFrame) -> None:
    widths = table[WIDTHS].to_numpy()
    assert (np.diff(widths, axis=1) >= 0).all() and (widths[:, -1] == 1).all()


def test_an_even_grid_has_no_part_around_its_centre() -> None:
    found = set(under_choices(FIELD[:12, :12, :12], "axis", ERRORS)["choice"])
    assert not found & {"half the points", "half the range", "one dimension less"}
