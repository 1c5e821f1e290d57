"""What rounding could have made is not resolved, and what it could not have made is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from topograph.foundation.errors import TopographError
from topograph.topology.merge_tree import merge_tree
from topograph.topology.quantities import quantities
from topograph.topology.resolution import resolved, undersampled


def flags(births: list, deaths: list, absolute: float, relative: float) -> list[bool]:
    pairs = pd.DataFrame({"birth": births, "death": deaths}, dtype=float)
    errors = {"error_absolute": absolute, "error_relative": relative}
    return resolved(pairs, errors).tolist()


def test_a_pair_must_be_longer_than_twice_the_absolute_error() -> None:
    assert flags([0, 0, -1], [0.2, 0.21, np.inf], 0.1, 0.5) == [False, True, True]


def test_a_positive_pair_may_be_resolved_by_its_ratio_alone() -> None:
    # -2 log(1 - 0.1) = 0.2107 = log(1.2346).
    assert flags([1e-6, 1e-6], [1.23e-6, 1.24e-6], 1.0, 0.1) == [False, True]
    assert flags([-1e-6, 0.0], [1.24e-6, 1.24e-6], 1.0, 0.1) == [False, False]
    assert flags([1e-6], [1.0], 1.0, 1.0) == [False]


def test_superlevel_pairs_are_measured_downwards() -> None:
    assert flags([5.0, 5.0], [4.9, 4.0], 0.1, 0.05) == [False, True]


def test_float64_is_not_taken_for_exact() -> None:
    assert flags([1.0, 1.0], [1 + 1e-14, 1 + 1e-12], 0.0, 0.0) == [False, True]
    assert flags([-1.0, -1.0], [-1 + 1e-14, -1 + 1e-12], 0.0, 0.0) == [False, True]


@settings(max_examples=80, deadline=None)
@given(
    hnp.arrays(np.float64, (5, 5), elements=st.floats(1, 2)),
    hnp.arrays(np.float64, (5, 5), elements=st.floats(-1, 1)),
    st.sampled_from([1e-3, 1e-2, 0.1]),
)
def test_as_many_minima_are_resolved_as_every_exact_field_must_have(
    exact: np.ndarray, noise: np.ndarray, eps: float
) -> None:
    measured = exact + eps * noise
    errors = {"error_absolute": eps, "error_relative": eps}
    kept = quantities(merge_tree(measured), errors=errors)["minima_resolved"]
    assert kept <= quantities(merge_tree(exact))["minima"]


def test_counts_come_as_resolved_and_total() -> None:
    tree = merge_tree([0.0, 3, 2.95, 5, 1])
    found = quantities(tree, errors={"error_absolute": 0.1, "error_relative": 0.1})
    assert (found["minima"], found["minima_resolved"]) == (3, 2)
    assert (found["saddles"], found["saddles_resolved"]) == (2, 1)
    assert "minima_resolved" not in quantities(tree)


@pytest.mark.parametrize("bad", [-1.0, np.nan])
def test_errors_that_are_no_errors_are_refused(bad: float) -> None:
    with pytest.raises(TopographError, match="allowed: 0 or more"):
        flags([0], [1], bad, 0.1)


def test_counts_that_change_on_the_finest_subgrid_tell_of_undersampling() -> None:
    assert undersampled({41: 7, 21: 5, 11: 5})
    assert not undersampled({41: 5, 21: 5, 11: 3})
    assert not undersampled({41: 5})
