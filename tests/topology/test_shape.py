"""Width curves and slopes against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from topograph.topology.merge_tree import merge_tree
from topograph.topology.shape import curve_distance, width_curve, width_slope


def radius_squared(n: int, points: int = 41) -> np.ndarray:
    return sum(np.meshgrid(*[np.linspace(-1, 1, points) ** 2] * n, indexing="ij"))


@pytest.mark.parametrize(("n", "tolerance"), [(1, 0.06), (2, 0.05), (3, 0.05)])
def test_the_slope_of_a_quadratic_is_one(n: int, tolerance: float) -> None:
    assert width_slope(merge_tree(3 + radius_squared(n))) == pytest.approx(1, abs=tolerance)


@pytest.mark.parametrize("n", [2, 3])
def test_the_slope_of_a_cone_is_two(n: int) -> None:
    cone = np.sqrt(radius_squared(n, points=61))
    assert width_slope(merge_tree(cone)) == pytest.approx(2, abs=0.1)


def test_what_lies_outside_the_inscribed_level_set_does_not_count() -> None:
    bowl = radius_squared(2)
    spoiled = np.where(bowl > 1, np.exp(bowl * 5), bowl)
    assert width_slope(merge_tree(spoiled)) == width_slope(merge_tree(bowl))


def test_a_slope_needs_room_and_a_lattice() -> None:
    assert math.isnan(width_slope(merge_tree(np.arange(100.0).reshape(10, 10))))
    assert math.isnan(width_slope(merge_tree(radius_squared(2, points=3))))
    assert math.isnan(width_slope(merge_tree(np.ones((9, 9)))))
    chain = np.column_stack([np.arange(40), np.arange(1, 41)])
    assert math.isnan(width_slope(merge_tree(np.abs(np.arange(41.0) - 20), chain)))


def test_the_curve_counts_the_share_below_equal_steps_of_the_range() -> None:
    assert width_curve(merge_tree([4.0, 2, 6, np.nan, 6]), 3).tolist() == [0.25, 0.5, 1]
    assert width_curve(merge_tree([4.0, 2, 6], superlevel=True), 3).tolist() == [1 / 3, 2 / 3, 1]
    assert (width_curve(merge_tree(np.ones(5))) == 1).all()


def test_the_curve_does_not_depend_on_scale_and_its_distance_is_the_area_between() -> None:
    line = np.linspace(0, 1, 401)
    straight, squared = width_curve(merge_tree(7 + 3 * line)), width_curve(merge_tree(line**2))
    assert curve_distance(straight, width_curve(merge_tree(line))) < 0.003
    # The shares below y are y and sqrt(y): the area between them is 2/3 - 1/2.
    assert curve_distance(straight, squared) == pytest.approx(1 / 6, abs=0.004)
