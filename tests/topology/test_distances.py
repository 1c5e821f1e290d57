"""Distances, images and entropies of diagrams: by hand, by laws, and against an exact matching."""

from __future__ import annotations

import itertools
import math

import gudhi
import gudhi.hera
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from topograph.foundation.errors import TopographError
from topograph.topology.distances import (
    METRICS,
    diagram_distance,
    persistence_entropy,
    persistence_image,
)
from topograph.topology.merge_tree import merge_tree
from topograph.topology.persistence import persistence

quick = settings(max_examples=80, deadline=None)
EXTENT = (0.0, 4.0, 0.0, 4.0)


def diagram(*points: tuple[float, float]) -> pd.DataFrame:
    return pd.DataFrame(points, columns=["birth", "death"], dtype=float)


steps = st.integers(0, 12).map(lambda step: step / 4)
pair = st.tuples(steps, steps).map(lambda ends: (ends[0], ends[0] + ends[1]))
diagrams = st.lists(pair, max_size=7).map(lambda points: diagram((0.5, np.inf), *points))


def costs(a: pd.DataFrame, b: pd.DataFrame) -> np.ndarray:
    """Cost of every match, infinite where forbidden; each point has a diagonal of its own."""
    first, second = a.to_numpy(), b.to_numpy()
    both = len(first) + len(second)
    cost = np.zeros((both, both))
    cost[: len(first), len(second) :] = np.where(
        np.eye(len(first), dtype=bool), np.ptp(first, axis=1)[:, None] / 2, np.inf
    )
    cost[len(first) :, : len(second)] = np.where(
        np.eye(len(second), dtype=bool), np.ptp(second, axis=1)[None] / 2, np.inf
    )
    for i, j in itertools.product(range(len(first)), range(len(second))):
        (birth, death), (other_birth, other_death) = first[i], second[j]
        gap = 0.0 if death == other_death else abs(death - other_death)
        cost[i, j] = max(abs(birth - other_birth), gap)
    return cost


def every_matching(a: pd.DataFrame, b: pd.DataFrame, order: float) -> float:
    """The Wasserstein distance by trying all matchings; of order infinity, the bottleneck."""
    cost = costs(a, b)
    rows = range(len(cost))
    matchings = (cost[rows, columns] for columns in itertools.permutations(rows))
    if order == math.inf:
        return min(float(matched.max(initial=0)) for matched in matchings)
    return min(float((matched**order).sum()) for matched in matchings) ** (1 / order)


def test_two_points_by_hand() -> None:
    a, b = diagram((0, 4), (1, 2)), diagram((1, 7))
    # (0, 4) to (1, 7) costs 3, (1, 2) to the diagonal 0.5; all to the diagonal: 2, 0.5, 3.
    assert diagram_distance(a, b) == 3
    assert diagram_distance(a, b, metric="wasserstein") == pytest.approx(3.5)
    squares = diagram_distance(a, b, metric="wasserstein", order=2)
    assert squares == pytest.approx(math.hypot(3, 0.5))


def test_far_points_match_the_diagonal() -> None:
    a, b = diagram((0, 1)), diagram((10, 12))
    assert diagram_distance(a, b) == 1
    assert diagram_distance(a, b, metric="wasserstein") == pytest.approx(1.5)


def test_essential_pairs_match_each_other() -> None:
    a, b = diagram((0, np.inf), (1, np.inf)), diagram((5, np.inf), (3, np.inf))
    assert diagram_distance(a, b) == 4
    assert diagram_distance(a, b, metric="wasserstein") == pytest.approx(7)
    assert diagram_distance(a, b, metric="wasserstein", order=2) == pytest.approx(5)
    for metric in METRICS:
        assert diagram_distance(a, diagram((0, np.inf), (1, 9)), metric=metric) == np.inf


def test_an_empty_diagram_is_a_diagram() -> None:
    for metric in METRICS:
        assert diagram_distance(diagram(), diagram(), metric=metric) == 0
        assert diagram_distance(diagram(), diagram((1, 3)), metric=metric) == pytest.approx(1)


@quick
@given(diagrams, st.integers(-20, 20), st.sampled_from(METRICS))
def test_distance_to_itself_is_0_and_to_its_shift_the_shift(
    a: pd.DataFrame, eighths: int, metric: str
) -> None:
    shift = eighths / 8
    assert diagram_distance(a, a, metric=metric) == 0
    # The essential pair has no diagonal to go to; a short shift leaves no pair a better way.
    assert diagram_distance(a, a + shift) == pytest.approx(abs(shift))


@quick
@given(diagrams, diagrams, diagrams, st.sampled_from(METRICS), st.sampled_from([1.0, 2.0]))
def test_both_are_metrics(
    a: pd.DataFrame, b: pd.DataFrame, c: pd.DataFrame, metric: str, order: float
) -> None:
    def distance(x: pd.DataFrame, y: pd.DataFrame) -> float:
        return diagram_distance(x, y, metric=metric, order=order)

    assert distance(a, b) == pytest.approx(distance(b, a))
    assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-12


few = st.lists(pair, max_size=3).map(lambda points: diagram((0.5, np.inf), *points))


@quick
@given(few, few, st.sampled_from([1.0, 1.5, 2.0]))
def test_both_are_the_best_of_all_matchings(a: pd.DataFrame, b: pd.DataFrame, order: float) -> None:
    # Without the essential pairs, which are equal: 6 points at most, so 720 matchings.
    expected = every_matching(a[1:], b[1:], order)
    assert diagram_distance(a, b, metric="wasserstein", order=order) == pytest.approx(expected)
    assert diagram_distance(a, b) == every_matching(a[1:], b[1:], math.inf)


def test_a_bottleneck_that_gudhi_overestimates() -> None:
    # Every long point is best left alone, the longest at a cost of 311; GUDHI 3.13 finds 434.
    a = diagram((640, 938), (277, 439), (215, 837))
    b = diagram((3, 4), (0, 5), (0, 2), (3, 5), (0, 4))
    assert diagram_distance(a, b) == 311


@pytest.mark.parametrize("order", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("unit", [1.0, 1e-200, 1e200])
def test_distances_of_many_points_equal_those_of_gudhi(order: float, unit: float) -> None:
    random = np.random.default_rng(5)
    a, b = (np.sort(random.random((count, 2)), axis=1) for count in (150, 210))
    tables = [diagram(*(unit * points)) for points in (a, b)]
    expected = gudhi.hera.wasserstein_distance(a, b, order=order, internal_p=np.inf, delta=1e-8)
    found = diagram_distance(*tables, metric="wasserstein", order=order)
    assert found / unit == pytest.approx(expected, rel=2e-8)
    assert diagram_distance(*tables) / unit == pytest.approx(gudhi.bottleneck_distance(a, b))


@quick
@given(diagrams, st.randoms(use_true_random=False), st.sampled_from(METRICS))
def test_the_order_of_the_pairs_does_not_matter(a: pd.DataFrame, random, metric: str) -> None:
    shuffled = a.iloc[random.sample(range(len(a)), len(a))]
    assert diagram_distance(a, shuffled, metric=metric) == 0


@quick
@given(
    hnp.arrays(np.float64, 9, elements=st.integers(0, 6).map(float)),
    hnp.arrays(np.float64, 9, elements=st.integers(0, 6).map(float)),
)
def test_superlevel_pairs_are_mirrored(f: np.ndarray, g: np.ndarray) -> None:
    above = [merge_tree(values, superlevel=True).pairs for values in (f, g)]
    below = [merge_tree(-values).pairs for values in (f, g)]
    for metric in METRICS:
        expected = diagram_distance(*below, metric=metric)
        assert diagram_distance(*above, metric=metric) == pytest.approx(expected)
    assert persistence_entropy(above[0]) == pytest.approx(
        persistence_entropy(below[0]), nan_ok=True
    )


def test_dim_chooses_the_pairs() -> None:
    flat, ring = np.zeros((3, 3)), np.zeros((3, 3))
    ring[1, 1] = 2
    a, b = (persistence(field) for field in (flat, ring))
    assert diagram_distance(a, b) == diagram_distance(a, b, dim=2) == 0
    assert diagram_distance(a, b, dim=1) == 1
    assert diagram_distance(merge_tree(ring).pairs, b) == 0


@pytest.mark.parametrize("metric", METRICS)
def test_pairs_of_length_0_cost_nothing(metric: str) -> None:
    assert diagram_distance(diagram((3, 3), (0, 1)), diagram((0, 1)), metric=metric) == 0


@pytest.mark.parametrize(
    ("a", "options", "message"),
    [
        (diagram(), {"metric": "wasserstien"}, "did you mean 'wasserstein'"),
        (diagram(), {"order": 0.5}, "order is 0.5; allowed: a finite number from 1"),
        (diagram(), {"order": math.inf}, "order is inf"),
        (pd.DataFrame({"birth": []}), {}, r"columns \['birth'\]; allowed: birth and death"),
        (pd.DataFrame(), {}, r"columns \[\]"),
        (diagram((0, np.nan)), {}, "no NaN"),
        (diagram((np.nan, 1)), {}, "finite births"),
        (diagram((-np.inf, 1)), {}, "finite births"),
        (diagram(), {"dim": 1}, "no column dim"),
        (diagram((2, 1)), {}, "1 of 2 pairs have their death below"),
    ],
)
def test_mistakes_are_named(a: pd.DataFrame, options: dict, message: str) -> None:
    with pytest.raises(TopographError, match=message):
        diagram_distance(a, diagram((0, 1)), **options)


def test_image_of_one_pair_is_its_gaussian() -> None:
    image = persistence_image(diagram((1, 3), (0, np.inf)), bandwidth=0.5, extent=EXTENT)
    birth, length = np.meshgrid(np.linspace(0, 4, 20), np.linspace(0, 4, 20))
    squared = (birth - 1) ** 2 + (length - 2) ** 2
    expected = 2 * np.exp(-squared / (2 * 0.5**2)) / (2 * np.pi * 0.5**2)
    np.testing.assert_allclose(image, expected)


def test_images_add_up_and_integrate_to_the_total_persistence() -> None:
    def image(pairs: pd.DataFrame) -> np.ndarray:
        return persistence_image(pairs, bandwidth=0.3, extent=EXTENT, resolution=81)

    a, b = diagram((1.5, 3), (2, 4.5)), diagram((2, 4))
    np.testing.assert_allclose(image(pd.concat([a, b])), image(a) + image(b))
    assert image(a).sum() * (4 / 80) ** 2 == pytest.approx(4, rel=1e-3)
    assert not image(diagram((0, np.inf))).any()


def test_the_image_of_superlevel_pairs_is_that_of_the_negated_values() -> None:
    values = np.array([0.0, 3, 1, 2, -1, 4])
    above, below = merge_tree(values, superlevel=True).pairs, merge_tree(-values).pairs
    assert np.isfinite(above["death"]).sum() == 2
    images = [
        persistence_image(pairs, bandwidth=0.5, extent=(-4, 0, 0, 4)) for pairs in (above, below)
    ]
    np.testing.assert_allclose(*images)
    assert images[0].max() > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bandwidth": 0.0}, "bandwidth is 0.0"),
        ({"resolution": 0}, "resolution is 0"),
        ({"extent": (0, 1)}, "four finite numbers"),
        ({"extent": (0, 1, 0, math.nan)}, "four finite numbers"),
        ({"extent": (0, 1, 2, 2)}, "each lowest below its highest"),
    ],
)
def test_image_mistakes_are_named(options: dict, message: str) -> None:
    with pytest.raises(TopographError, match=message):
        persistence_image(diagram((0, 1)), **({"bandwidth": 1.0, "extent": EXTENT} | options))


def test_entropy_by_hand() -> None:
    equal = diagram((0, 2), (1, 3), (5, 7), (0, np.inf))
    assert persistence_entropy(equal) == pytest.approx(math.log(3))
    assert persistence_entropy(diagram((0, 3), (1, 2))) == pytest.approx(
        0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    )
    assert persistence_entropy(diagram((0, 3), (4, 4))) == 0
    assert math.isnan(persistence_entropy(diagram((0, np.inf))))
    assert math.isnan(persistence_entropy(diagram()))
