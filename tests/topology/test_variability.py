"""Distances between landscapes of several seeds, and their bootstrap interval."""

from __future__ import annotations

import numpy as np
import pytest

from topograph.topology.merge_tree import MergeTree, merge_tree
from topograph.topology.variability import MEASURES, variability


def two_wells(depth: float, scale: float = 1.0) -> MergeTree:
    """Minima 0 and `depth` joined at 5 and walled in at 10, times a scale."""
    return merge_tree(scale * np.array([10.0, 0, 5, depth, 10]))


def test_equal_landscapes_do_not_differ() -> None:
    table = variability([two_wells(2.0)] * 4)
    assert table["measure"].tolist() == list(MEASURES)
    assert (table["landscapes"] == 4).all()
    assert table[["mean", "low", "high"]].to_numpy() == pytest.approx(0, abs=1e-300)


def test_distances_by_hand() -> None:
    table = variability([two_wells(2.0), two_wells(3.0), two_wells(4.0)]).set_index("measure")
    # Second minima at 2, 3 and 4, all dying at 5: apart by 1, or by half their length where that is
    # less (the third one's is 1): 1, 1 and the larger of 3/2 against 2: 1.5.
    assert table.loc["bottleneck", "mean"] == pytest.approx((1 + 1 + 1.5) / 3)
    assert table.loc["bottleneck_scaled", "mean"] == pytest.approx((1 + 1 + 1.5) / 30)
    assert table.loc["bottleneck", "low"] <= table.loc["bottleneck", "mean"]
    assert table.loc["bottleneck", "mean"] <= table.loc["bottleneck", "high"]


def test_scaling_the_loss_matters_to_the_unscaled_measure_alone() -> None:
    table = variability([two_wells(2.0), two_wells(2.0, scale=100.0)]).set_index("measure")
    assert table.loc["bottleneck", "mean"] == pytest.approx(150)
    assert table["mean"].drop("bottleneck").to_numpy() == pytest.approx(0, abs=1e-12)


def test_the_interval_is_seeded_and_spans_the_pairs() -> None:
    trees = [two_wells(depth) for depth in (1.0, 1.0, 1.0, 4.0)]
    first, again = variability(trees), variability(trees)
    assert first.equals(again)
    width = first.set_index("measure").loc["bottleneck"]
    assert width["low"] == pytest.approx(0, abs=1e-300)
    assert width["mean"] < width["high"] <= 2


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_landscapes_have_no_distance(count: int) -> None:
    table = variability([two_wells(1.0)] * count)
    assert table[["mean", "low", "high"]].isna().all(axis=None)
    assert (table["landscapes"] == count).all() and len(table) == len(MEASURES)


def test_two_landscapes_have_a_distance_and_no_interval() -> None:
    table = variability([two_wells(1.0), two_wells(2.0)])
    assert table["mean"].notna().all() and table[["low", "high"]].isna().all(axis=None)
