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
            "persistence_entropy": math.log(5) - 0.4 * math.log(2) - 0.6 * math.log(3),
            "smad": 8 / 3,
            "smad_normalized": 8 / 15,
            "smad_weighted": (3 * 0.4 + 2 * 0.4 + 3 * 0.2) / 3,
            "volume_global_basin": 0.4,
            "volume_largest_basin": 0.4,
            "loss_minimum": 0,
            "loss_maximum": 5,
            "loss_range": 5,
            "loss_border": 1,
            "mean_log_persistence": (math.log10(3) + math.log10(2.5)) / 2,
            "width_slope": math.nan,
            "volume_below_10": 0.2,
            "volume_below_25": 0.4,
            "volume_below_50": 0.6,
        },
        nan_ok=True,
    )


def test_superlevel_mirrors_the_sublevel_numbers() -> None:
    above = quantities(merge_tree(-np.array(THREE_WELLS), superlevel=True))
    below = quantities(merge_tree(THREE_WELLS))
    ends = {"loss_minimum": -5, "loss_maximum": 0, "loss_border": -1}
    # There is no logarithm of a loss below 0.
    ends["mean_log_persistence"] = math.nan
    assert above == pytest.approx(below | ends, nan_ok=True)


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


def test_smad_weights_are_the_volumes_of_steepest_descent() -> None:
    # Wells at 0 and 6 of 1 and 3: from the top at 4 the steeper way is to the left.
    tree = merge_tree([1.0, 2, 4, 7, 9, 8, 3, 4, 5])
    assert tree.vertex_basin.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1]
    found = quantities(tree)
    assert found["smad_weighted"] == pytest.approx((8 * 5 / 9 + 6 * 4 / 9) / 2)
    assert found["volume_global_basin"] == found["volume_largest_basin"] == pytest.approx(5 / 9)
