"""Return statistics in closed form, and their bounds on arbitrary trajectories."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from topograph.foundation.errors import TopographError
from topograph.trajectory.returns import return_statistics

V = np.array([3.0, 0.0, 4.0])
W = np.array([0.0, 5.0, 0.0])


def statistics(offsets, **options):
    offsets = np.asarray(offsets)
    return return_statistics(offsets @ np.swapaxes(offsets, -1, -2), **options)


def test_straight_line_back():
    left = np.linspace(1, 0, 11)
    found = statistics(left[:, None] * V)
    assert np.allclose(found["relative_distance"], left)
    assert np.allclose(found["radial"], left)
    assert np.allclose(found["lateral"], 0, atol=1e-7)
    assert np.allclose(found["cosine"][:-1], 1)
    assert np.isnan(found["cosine"][-1])
    assert np.isnan(found["back"][0])
    assert np.allclose(found["back"][1:], 1)


def test_straight_line_outward():
    found = statistics(np.linspace(1, 3, 5)[:, None] * V)
    assert np.allclose(found["relative_distance"], np.linspace(1, 3, 5))
    assert np.allclose(found["back"][1:], -1)


def test_circle_around_the_minimum():
    angle = np.linspace(0, 3, 13)
    found = statistics(np.cos(angle)[:, None] * V + np.sin(angle)[:, None] * W)
    assert np.allclose(found["relative_distance"], 1)
    assert np.allclose(found["cosine"], np.cos(angle))
    assert np.allclose(found["radial"], np.cos(angle))
    assert np.allclose(found["lateral"], np.abs(np.sin(angle)), atol=1e-7)
    assert np.allclose(found["back"][1:], np.sin(angle[1:] / 2))


@given(arrays(np.float64, (6, 4), elements=st.floats(-10, 10).map(lambda x: round(x, 3))))
@settings(max_examples=100, deadline=None)
def test_bounds(offsets):
    offsets[0, 0] = 2.0
    found = statistics(offsets)
    length = np.linalg.norm(offsets, axis=1)
    relative = found["relative_distance"]
    assert np.allclose(relative, length / length[0])
    assert relative[0] == 1
    assert found["cosine"][0] == pytest.approx(1)
    assert np.allclose(np.hypot(found["radial"], found["lateral"]), relative, atol=1e-6)
    assert (found["lateral"] >= 0).all()
    for name in ("cosine", "back"):
        assert not (np.abs(found[name]) > 1).any()
    # The way back is defined wherever the point has moved.
    moved = np.linalg.norm(offsets - offsets[0], axis=1) > 1e-5
    assert np.isfinite(found["back"][moved]).all()


def test_no_jump_gives_nan_without_a_warning():
    offsets = np.vstack([np.zeros(3), V, W])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = statistics(offsets)
    assert all(np.isnan(values).all() for values in found.values())


def test_leading_axes_and_origin():
    offsets = np.random.default_rng(0).standard_normal((2, 3, 5, 7))
    stacked = statistics(offsets, origin=2)
    for name, values in stacked.items():
        assert values.shape == (2, 3, 5)
        assert np.allclose(values[1, 2], statistics(offsets[1, 2], origin=2)[name], equal_nan=True)
    assert np.isnan(stacked["back"][..., 2]).sum() >= 5
    assert np.allclose(stacked["relative_distance"][..., 2], 1)


def test_a_diverged_epoch_is_nan_and_alone():
    offsets = np.vstack([V, V + W, V * np.nan, V / 2])
    found = statistics(offsets)
    for values in found.values():
        assert np.isnan(values[2])
        assert np.isfinite(values[[1, 3]]).all()


@pytest.mark.parametrize(
    ("gram", "origin", "message"),
    [
        (np.ones((2, 3)), 0, r"shape \(2, 3\)"),
        (np.ones(4), 0, r"shape \(4,\)"),
        (np.eye(3), 3, "origin is 3; allowed: 0 to 2"),
        (np.eye(3), -1, "origin is -1"),
    ],
)
def test_mistakes_are_named(gram, origin, message):
    with pytest.raises(TopographError, match=message):
        return_statistics(gram, origin)
