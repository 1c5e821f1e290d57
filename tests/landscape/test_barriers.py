"""Barriers of losses along a curve, and the weights of its control points."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BPoly

from topograph.foundation.errors import TopographError
from topograph.landscape.curves import CURVES, Curve, barrier


@settings(max_examples=30, deadline=None)
@given(t=st.lists(st.floats(0, 1), min_size=1, max_size=5), count=st.integers(1, 6))
def test_weights_of_control_points_are_bernstein_polynomials_or_hats(
    t: list[float], count: int
) -> None:
    vectors = {"x": torch.eye(count)}
    bezier, polygon = (Curve(kind, vectors).coefficients(t) for kind in CURVES[1:])
    np.testing.assert_allclose(bezier, BPoly(np.eye(count)[:, None], [0, 1])(t), atol=1e-12)
    for weights in (bezier, polygon):
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
        assert (weights >= 0).all()
    np.testing.assert_allclose(
        polygon @ np.linspace(0, 1, count), t if count > 1 else 0, atol=1e-12
    )
    for kind in CURVES:
        ends = Curve(kind, vectors).coefficients([0.0, 1.0])
        np.testing.assert_array_equal(ends, np.eye(count)[[0, -1]])


@settings(max_examples=100, deadline=None)
@given(
    loss=st.lists(st.floats(-100, 100), min_size=2, max_size=8),
    slope=st.floats(-10, 10),
    scale=st.floats(0.01, 10),
)
def test_a_barrier_is_the_largest_rise_above_the_line_between_the_ends(
    loss: list[float], slope: float, scale: float
) -> None:
    t = np.linspace(0, 1, len(loss))
    expected = max(v - ((1 - s) * loss[0] + s * loss[-1]) for s, v in zip(t, loss, strict=True))
    found = barrier(t, loss)
    assert found == pytest.approx(max(0, expected), abs=1e-9)
    assert barrier(t, np.array(loss) + slope * t + 1) == pytest.approx(found, abs=1e-9)
    assert barrier(t, loss[::-1]) == pytest.approx(found, abs=1e-9)
    assert barrier(3 * t - 1, scale * np.array(loss)) == pytest.approx(scale * found, abs=1e-9)


def test_a_flat_or_falling_loss_has_a_barrier_of_exactly_zero() -> None:
    t = np.linspace(0, 1, 30)
    assert barrier(t, np.full(30, 0.1)) == 0
    assert barrier([0, 1], [0.1, 0.7]) == 0
    assert barrier(t, (1 - t) ** 2) == 0


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ([0, math.nan, 1], math.nan),
        ([math.nan, math.inf, 1], math.nan),
        ([0, math.inf, 1], math.inf),
        ([math.inf, 0, 1], math.inf),
        ([-math.inf, 0, 1], math.inf),
        ([0, -math.inf, 0], 0),
    ],
)
def test_a_loss_that_is_not_finite_stays_so_in_the_barrier(
    loss: list[float], expected: float
) -> None:
    np.testing.assert_equal(barrier([0, 0.5, 1], loss), expected)


@pytest.mark.parametrize(
    ("t", "loss"), [([0, 1], [0]), ([0], [0]), ([0, 0, 1], [0, 1, 0]), ([[0, 1]], [[0, 1]])]
)
def test_losses_without_an_increasing_t_have_no_barrier(t: list, loss: list) -> None:
    with pytest.raises(TopographError, match="one loss for each of at least 2 increasing t"):
        barrier(t, loss)
