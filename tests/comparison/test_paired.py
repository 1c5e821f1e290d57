"""Paired comparison of networks: by hand, under the null, under permutation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topograph.comparison.paired import paired_difference
from topograph.foundation.errors import TopographError


def test_a_case_computed_by_hand() -> None:
    first = np.array([[1.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]])  # mean 1, 0.5, 0, 1
    second = np.array([[0.0, 0.0, 0.0, 0.0]])
    found = paired_difference(first, second)
    assert found.difference == pytest.approx(2.5 / 4)
    # Deviations 0.375, -0.125, -0.625, 0.375: squares sum to 0.6875, over 3, over 4.
    assert found.standard_error == pytest.approx(np.sqrt(0.6875 / 3 / 4))
    # The example without a difference may flip: 4 of the 16 sign patterns reach 2.5 in size.
    assert found.p == pytest.approx(4 / 16, abs=0.02)


def test_identical_scores_differ_by_nothing_with_p_1() -> None:
    scores = np.random.default_rng(0).random((3, 50))
    assert paired_difference(scores, scores) == (0.0, 0.0, 1.0)


def test_p_is_uniform_when_both_networks_score_alike() -> None:
    draw = np.random.default_rng(1)
    p = [paired_difference(*draw.normal(size=(2, 2, 12)), seed=trial).p for trial in range(300)]
    for level in (0.1, 0.3, 0.5, 0.8):
        share = np.mean(np.array(p) <= level)
        assert share == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 300))


def test_a_clear_difference_has_the_smallest_p_there_is() -> None:
    first = np.ones((1, 40))
    assert paired_difference(first, 0 * first).p == pytest.approx(1 / 10_000)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_the_networks_and_of_the_examples_does_not_matter(seed: int) -> None:
    draw = np.random.default_rng(seed)
    first, second = draw.random((3, 10)), draw.random((2, 10))
    forward, backward = paired_difference(first, second), paired_difference(second, first)
    assert forward.difference == pytest.approx(-backward.difference)
    assert forward.standard_error == pytest.approx(backward.standard_error)
    assert forward.p == backward.p
    order = draw.permutation(10)
    shuffled = paired_difference(first[:, order], second[:, order])
    assert shuffled.difference == pytest.approx(forward.difference)
    assert shuffled.p == pytest.approx(forward.p, abs=0.03)


def test_pairing_removes_what_both_networks_share() -> None:
    draw = np.random.default_rng(0)
    hardness = draw.normal(scale=100, size=60)
    first, second = (hardness + draw.normal(scale=0.1, size=(1, 60)) + d for d in (0.2, 0))
    found = paired_difference(first, second)
    assert found.standard_error < 0.05
    assert found.p < 0.001


def test_examples_that_cannot_be_paired_are_refused() -> None:
    with pytest.raises(TopographError, match="10 and 9 examples cannot be paired"):
        paired_difference(np.ones((2, 10)), np.ones((2, 9)))
