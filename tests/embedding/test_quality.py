"""Numbers of a map: closed forms, and trustworthiness as scikit-learn has it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr
from sklearn.manifold import trustworthiness

from topograph.embedding.quality import quality, trajectory_preservation
from topograph.foundation.errors import TopographError


def cloud(seed: int, points: int = 40, axes: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((points, axes))


def distances(points: np.ndarray) -> np.ndarray:
    return squareform(pdist(points))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), neighbours=st.integers(1, 19))
def test_trustworthiness_both_ways_equals_scikit_learns(seed: int, neighbours: int) -> None:
    points = cloud(seed)
    drawn = points[:, :2]
    found = quality(distances(points), drawn, neighbours=neighbours)
    expected = trustworthiness(points, drawn, n_neighbors=neighbours)
    assert found["trustworthiness"] == pytest.approx(expected)
    back = trustworthiness(drawn, points, n_neighbors=neighbours)
    assert found["continuity"] == pytest.approx(back)
    before, after = pdist(points), pdist(drawn)
    assert found["shepard"] == pytest.approx(spearmanr(before, after).statistic)


def test_the_points_themselves_are_a_perfect_map() -> None:
    points = cloud(0)
    found = quality(distances(points), 2 * points + 1)
    assert found.pop("stress") == pytest.approx(0, abs=1e-7)
    assert found == pytest.approx(dict.fromkeys(found, 1.0))


def test_stress_of_three_points_by_hand() -> None:
    """An equilateral triangle on a line: sides 1 and scaled distances 2/3, 2/3, 4/3."""
    sides = np.ones((3, 3)) - np.eye(3)
    found = quality(sides, [[0.0], [1.0], [2.0]], neighbours=1)
    assert found["stress"] == pytest.approx(math.sqrt((1 / 9 + 1 / 9 + 1 / 9) / 3))
    assert math.isnan(found["shepard"])


def test_a_map_in_one_place_shows_nothing() -> None:
    found = quality(distances(cloud(2)), np.zeros((40, 2)))
    assert found["stress"] == 1 and math.isnan(found["shepard"])
    assert found["trustworthiness"] < 0.9


@pytest.mark.parametrize("neighbours", [0, 20, 40])
def test_neighbours_of_half_the_points_are_refused(neighbours: int) -> None:
    with pytest.raises(TopographError, match=r"for 40 points; allowed: 1 to 19"):
        quality(distances(cloud(0)), cloud(0), neighbours=neighbours)


def test_coordinates_of_other_points_are_refused() -> None:
    with pytest.raises(TopographError, match=r"shape \(39, 5\).*allowed: a finite \(40, c\)"):
        quality(distances(cloud(0)), cloud(0)[1:])
    broken = cloud(0)
    broken[3, 1] = np.nan
    with pytest.raises(TopographError, match="1 values that are not finite"):
        trajectory_preservation(broken, np.zeros(40))


def test_single_points_take_no_steps() -> None:
    assert math.isnan(trajectory_preservation(cloud(0), np.arange(40)))
