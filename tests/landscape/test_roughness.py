"""The shape of a plane of losses against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from topograph.foundation.errors import TopographError
from topograph.landscape.roughness import plane_shape

X = np.linspace(-1, 1, 41)


# Points of a wave: crests and troughs lie on them, and no point where a cosine is 0.
WAVE = 42


def waves(count: int) -> np.ndarray:
    wave = np.cos(2 * np.pi * np.arange(count * WAVE + 1) / WAVE)
    return wave[:, None] + wave


@pytest.mark.parametrize("center", [0.0, 0.3])
def test_a_paraboloid_is_one_smooth_convex_valley(center: float) -> None:
    bowl = 3 * (X[:, None] - center) ** 2 + (X + center) ** 2 + X[:, None] * X
    shape = plane_shape(bowl)
    assert shape == (0.0, 1, 1.0)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_waves_have_a_minimum_in_each_trough_and_rise_for_nothing_between(count: int) -> None:
    shape = plane_shape(waves(count))
    assert shape.roughness == pytest.approx(2 * (count - 1))
    assert shape.minima == count**2
    # The second difference of a cosine has the opposite sign of the cosine.
    convex = np.cos(2 * np.pi * np.arange(1, count * WAVE) / WAVE) < 0
    assert shape.convex_share == pytest.approx(convex.mean() ** 2)


def test_a_constant_has_no_roughness_no_minimum_and_is_convex() -> None:
    assert plane_shape(np.full((5, 7), 2.5)) == (0.0, 0, 1.0)


def test_slopes_and_saddles_are_smooth_without_a_minimum() -> None:
    assert plane_shape(np.exp(X[:, None] + 2 * X)) == (0.0, 0, 1.0)
    # Half of the lines run over a crest: up and down again, for nothing.
    assert plane_shape(X[:, None] ** 2 - X**2) == (pytest.approx(1.0), 0, 0.0)


@pytest.mark.parametrize("bend", [0.0, 2.0])
def test_a_saddle_that_rises_along_both_axes_is_not_convex(bend: float) -> None:
    # Along a diagonal bend (x² + y²) + 4xy falls to either side.
    plane = bend * (X[:, None] ** 2 + X**2) / 2 + 4 * X[:, None] * X
    assert plane_shape(plane).convex_share == 0.0


def test_a_convex_loss_with_creases_is_convex_everywhere() -> None:
    whole = np.arange(-6.0, 7.0)
    assert plane_shape(np.maximum(0, whole[:, None] + whole - 1.5)).convex_share == 1.0
    assert plane_shape(abs(whole[:, None] - 2 * whole)).convex_share == 1.0


def test_scale_shift_and_turns_of_the_plane_change_nothing() -> None:
    plane = np.random.default_rng(0).normal(size=(13, 9))
    found = plane_shape(plane)
    assert found.roughness > 1
    for other in (1e6 * plane - 4, plane.T, plane[::-1, ::-1]):
        assert plane_shape(other) == pytest.approx(found)


def test_what_is_not_finite_is_left_out_and_the_rest_is_as_it_was() -> None:
    plane = waves(3)
    whole = plane_shape(plane)
    plane[0, 0], plane[-1, -1] = np.inf, np.nan
    found = plane_shape(plane)
    assert found.roughness == pytest.approx(whole.roughness) and found.minima == whole.minima
    # Each corner is the neighbour of one interior point, both on a crest: not convex.
    inner = (np.array(plane.shape) - 2).prod()
    assert found.convex_share == pytest.approx(whole.convex_share * inner / (inner - 2))
    line = np.full((5, 5), np.nan)
    line[2, 1:4] = 1.0
    assert all(map(math.isnan, plane_shape(line)[::2]))


@pytest.mark.parametrize("shape", [(9,), (2, 5), (3, 3, 3)])
def test_what_is_no_plane_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TopographError, match="allowed: .M, N., each at least 3"):
        plane_shape(np.zeros(shape))
