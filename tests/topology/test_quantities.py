"""Numbers of a landscape against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from topograph.topology.merge_tree import merge_tree
from topograph.topology.quantities import quantities

THREE_WELLS = [0.0, 3, 1, 5, 2]


def radius_squared(n: int, points: int = 41) -> np.ndarray:
    return sum(np.meshgrid(*[np.linspace(-1, 1, points) ** 2] * n, indexing="ij"))


def test_three_wells_by_hand() -> None:
    assert quantities(merge_tree(THREE_WELLS)) == pytest.approx(
        {
            "vertices": 5,
            "masked": 0,
            "minima": 3,
            "saddles": 2,
            "components": 1,
            "mean_persistence": 2.5,
            "total_persistence": 5,
            "mean_persistence_with_global": 10 / 3,
            "total_persistence_with_global": 10,
            "max_persistence": 3,
            "smad": 8 / 3,
            "smad_normalized": 8 / 15,
            "loss_minimum": 0,
            "loss_maximum": 5,
            "loss_range": 5,
            "width_slope": math.nan,
            "volume_below_10": 0.2,
        },
        nan_ok=True,
    )


def test_superlevel_mirrors_the_sublevel_numbers() -> None:
    above = quantities(merge_tree(-np.array(THREE_WELLS), superlevel=True))
    below = quantities(merge_tree(THREE_WELLS))
    ends = {"loss_minimum": -5, "loss_maximum": 0}
    assert above == pytest.approx(below | ends, nan_ok=True)


@pytest.mark.parametrize(("n", "tolerance"), [(2, 0.05), (3, 0.02)])
def test_width_slope_of_a_quadratic_is_one(n: int, tolerance: float) -> None:
    found = quantities(merge_tree(3 + radius_squared(n)))["width_slope"]
    assert found == pytest.approx(1, abs=tolerance)


def test_width_slope_of_a_cone_is_two() -> None:
    found = quantities(merge_tree(np.sqrt(radius_squared(2, points=161))))["width_slope"]
    assert found == pytest.approx(2, abs=0.1)


def test_one_funnel_has_no_finite_pair() -> None:
    found = quantities(merge_tree(radius_squared(2)))
    assert (found["minima"], found["saddles"], found["smad"]) == (1, 0, 0)
    assert (found["total_persistence"], found["max_persistence"]) == (0, 0)
    assert math.isnan(found["mean_persistence"])
    assert found["mean_persistence_with_global"] == found["loss_range"] == 2


def test_constant_field_with_a_mask() -> None:
    found = quantities(merge_tree([[1.0, 1], [1, np.nan]]))
    assert (found["vertices"], found["masked"], found["loss_range"]) == (3, 1, 0)
    assert found["volume_below_10"] == 1 and found["smad_normalized"] == 0
    assert math.isnan(found["width_slope"])


def test_components_and_graphs() -> None:
    found = quantities(merge_tree(np.arange(40.0), [[0, 1], [2, 3]]))
    assert found["components"] == 38
    assert math.isnan(found["width_slope"])
