"""Slices: ranges in closed form, and paths off a plane as by brute force."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from topograph.foundation.errors import TopographError
from topograph.geometry.directions import Directions, path_directions, random_directions
from topograph.landscape.sampling import sample
from topograph.landscape.slices import (
    LARGEST,
    SMALLEST,
    automatic_distance,
    off_plane_share,
)
from topograph.objective.objective import Objective

TOLERANCE = 0.01


class Formula(nn.Module):
    """Parameters a (2,) and b (3,), and an "output" computed from all five."""

    def __init__(self, function: object, at: float = 0.0) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.full((2,), at))
        self.b = nn.Parameter(torch.full((3,), at))
        self.function = function

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.function(torch.cat([self.a, self.b])) + 0 * inputs.sum()


def objective_of(function: object, at: float = 0.0) -> Objective:
    data = (torch.zeros(1, 1), torch.zeros(1))
    return Objective.from_model(Formula(function, at).eval(), lambda outputs, _: outputs, data)


def rows(*given: list[float]) -> Directions:
    """Directions from rows of five numbers."""
    flat = torch.tensor(given, dtype=torch.float64)
    gram = flat @ flat.T
    norms = gram.diagonal().sqrt()
    vectors = {"a": flat[:, :2], "b": flat[:, 2:]}
    return Directions(vectors, norms, gram / torch.outer(norms, norms))


def named(flat: np.ndarray) -> dict[str, torch.Tensor]:
    return {"a": torch.from_numpy(flat[:2].copy()), "b": torch.from_numpy(flat[2:].copy())}


FIRST, SECOND = np.eye(5)[:2].tolist()
ROUND = objective_of(lambda x: 2 + x @ x, at=1.0)
SKEW = rows([2.0, 0, 1, 0, 0], [3.0, 0.5, 0, 0, 0])
PLACES = np.array([[0.5, -1.0], [2.0, 0.25], [-0.125, 0.75], [0.0, 1.0]])


@pytest.fixture(scope="module")
def classifier() -> Objective:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    return Objective.from_model(
        network.eval(), F.cross_entropy, (torch.randn(30, 4), torch.arange(30) % 3)
    )


@settings(max_examples=8, deadline=None)
@given(
    curvatures=st.lists(st.floats(1e-4, 1e6), min_size=5, max_size=5),
    seed=st.integers(0, 1000),
    multiple=st.floats(1.1, 100),
    constant=st.floats(1e-3, 1e3),
)
def test_the_distance_in_a_bowl_is_that_of_its_curvature(
    curvatures: list[float], seed: int, multiple: float, constant: float
) -> None:
    hessian = torch.tensor(curvatures, dtype=torch.float64)
    objective = objective_of(lambda x: constant + (hessian.to(x.dtype) * x) @ x / 2)
    d = np.random.default_rng(seed).normal(size=(3, 5))
    found = automatic_distance(
        objective, rows(*d.tolist()), multiple=multiple, tolerance=TOLERANCE, dtype="float64"
    )
    expected = np.sqrt(2 * (multiple - 1) * constant / np.einsum("ni,i,ni->n", d, curvatures, d))
    within = expected < LARGEST
    assert found.reached == within.all()
    assert (found.distance[~within] == LARGEST).all()
    ratio = found.distance[within] / expected[within]
    assert (ratio > 1 - 1e-9).all() and (ratio <= (1 + TOLERANCE) * (1 + 1e-9)).all()


@settings(max_examples=8, deadline=None)
@given(steeper=st.floats(1, 1e4), sign=st.sampled_from([-1.0, 1.0]))
def test_the_steeper_side_of_a_lopsided_valley_decides_whichever_it_is(
    steeper: float, sign: float
) -> None:
    def loss(x: torch.Tensor) -> torch.Tensor:
        return 2 + x[0] ** 2 * torch.where(x[0] < 0, steeper, 1.0)

    objective, along = objective_of(loss), rows([sign, 0, 0, 0, 0])
    found = automatic_distance(objective, along, dtype="float64")
    assert found.reached
    expected = np.sqrt(8 / steeper)
    assert expected * (1 - 1e-9) < found.distance[0] < expected * (1 + TOLERANCE)
    rim = sample(objective, along, points=2, distance=found.distance.tolist(), dtype="float64")
    assert rim["loss"].max() >= 10
    assert rim["loss"].max() < 10.2


def test_a_loss_that_falls_for_ever_on_the_positive_side_is_bounded_by_the_other() -> None:
    objective = objective_of(lambda x: torch.exp(-x[0]))
    found = automatic_distance(objective, rows(FIRST), multiple=10, dtype="float64")
    assert found.reached
    assert np.log(10) <= found.distance[0] <= np.log(10) * (1 + TOLERANCE)


def test_the_first_of_two_walls_is_found_though_a_plain_lies_behind_it() -> None:
    # A hill from 0.1 to 0.9, and 0 beyond it.
    objective = objective_of(lambda x: 1 + 9 * ((x[0] > 0.1) & (x[0] < 0.9)).to(x))
    found = automatic_distance(objective, rows(FIRST))
    assert found.reached
    assert 0.1 <= found.distance[0] <= 0.101


def test_a_loss_that_saturates_is_not_reached_and_says_so() -> None:
    objective = objective_of(lambda x: 1 + torch.tanh(x[0]) ** 2 + x[1] ** 2)
    found = automatic_distance(objective, rows(FIRST, SECOND), multiple=3, dtype="float64")
    assert not found.reached
    assert found.distance[0] == LARGEST
    assert 2**0.5 <= found.distance[1] <= 2**0.5 * (1 + TOLERANCE)
    lower = automatic_distance(objective, rows(FIRST, SECOND), multiple=1.5, dtype="float64")
    assert lower.reached


@pytest.mark.parametrize("constant", [0.0, -3.0])
def test_from_a_loss_of_zero_or_less_the_rise_is_absolute(constant: float) -> None:
    objective = objective_of(lambda x: constant + x @ x)
    found = automatic_distance(objective, rows(FIRST), multiple=5, dtype="float64")
    assert found.reached
    assert 2 <= found.distance[0] <= 2 * (1 + TOLERANCE)


def test_infinity_is_beyond_every_multiple_and_nan_ends_the_range_without_reaching_it() -> None:
    wall = objective_of(lambda x: 2 - torch.log(3 - x[0]))
    found = automatic_distance(wall, rows([-1.0, 0, 0, 0, 0]), multiple=1e3, dtype="float64")
    assert not found.reached
    assert 3 / (1 + TOLERANCE) <= found.distance[0] < 3
    pole = objective_of(lambda x: torch.where(x[0] < 2, 1.0, torch.inf))
    found = automatic_distance(pole, rows(FIRST), multiple=1e3, dtype="float64")
    assert found.reached
    assert 2 <= found.distance[0] <= 2 * (1 + TOLERANCE)


@pytest.mark.parametrize(("beyond", "reached"), [(torch.inf, True), (torch.nan, False)])
def test_a_search_inwards_ends_at_the_smallest_distance(beyond: float, reached: bool) -> None:
    objective = objective_of(lambda x: torch.where(x[0] == 0, 1.0, beyond))
    found = automatic_distance(objective, rows(FIRST))
    assert (found.distance[0], found.reached) == (SMALLEST, reached)


@settings(max_examples=5, deadline=None)
@given(scale=st.floats(1e-2, 1e3), tolerance=st.floats(1e-6, 0.5))
def test_a_longer_direction_has_a_shorter_distance_by_as_much(
    scale: float, tolerance: float
) -> None:
    options = {"tolerance": tolerance, "dtype": "float64"}
    one = automatic_distance(ROUND, rows(FIRST), **options)
    other = automatic_distance(ROUND, rows((scale * np.array(FIRST)).tolist()), **options)
    ratio = one.distance[0] / (scale * other.distance[0])
    assert 1 / (1 + tolerance) <= ratio * (1 + 1e-9) and ratio <= (1 + tolerance) * (1 + 1e-9)


def test_the_evaluations_are_counted_and_directions_do_not_disturb_each_other() -> None:
    calls = 0

    def loss(x: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return 1 + x[0] ** 2 + 1e4 * x[1] ** 2

    objective = objective_of(loss)
    options = {"engine": "in-place", "dtype": "float64"}
    both = automatic_distance(objective, rows(FIRST, SECOND), **options)
    before = calls
    alone = [automatic_distance(objective, rows(row), **options) for row in (FIRST, SECOND)]
    np.testing.assert_array_equal(both.distance, [found.distance[0] for found in alone])
    assert both.evaluations == sum(found.evaluations for found in alone) - 1
    # From 2**-10 to 2 in doublings, then 2 / 1.01 in halvings of a logarithm, at both ends.
    assert alone[0].evaluations == 1 + 2 * (12 + 7)
    assert calls - before >= both.evaluations


@pytest.mark.parametrize("engine", ["stacked", "in-place"])
def test_both_engines_find_the_distance_and_leave_the_model_alone(
    classifier: Objective, engine: str
) -> None:
    before = {name: value.clone() for name, value in classifier.center.items()}
    state = torch.get_rng_state()
    directions = random_directions(classifier, 2)
    found = automatic_distance(classifier, directions, multiple=2, engine=engine, dtype="float64")
    assert found.reached
    assert all(torch.equal(value, before[name]) for name, value in classifier.center.items())
    assert torch.equal(torch.get_rng_state(), state)
    other = automatic_distance(classifier, directions, multiple=2, dtype="float64")
    np.testing.assert_allclose(found.distance, other.distance, rtol=TOLERANCE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"multiple": 1.0}, "multiple is 1.0; allowed: a finite number above 1"),
        ({"multiple": float("inf")}, "multiple is inf"),
        ({"multiple": float("nan")}, "multiple is nan"),
        ({"tolerance": 0.0}, "tolerance is 0.0; allowed: 1e-06 or more"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
    ],
)
def test_a_search_that_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(TopographError, match=message):
        automatic_distance(ROUND, rows(FIRST), **options)


def test_a_loss_at_the_centre_that_is_not_finite_is_refused() -> None:
    objective = objective_of(lambda x: torch.log(x[0]))
    with pytest.raises(TopographError, match="the loss at the centre is -inf; a range"):
        automatic_distance(objective, rows(FIRST))


def test_a_path_on_a_skew_plane_lies_where_it_is_with_the_losses_of_the_surface() -> None:
    objective = objective_of(lambda x: (x[0] - 1) ** 4 + 3 * x[1] * x[2] + x[3:].sum(), at=0.5)
    steps = PLACES @ np.concatenate([SKEW.vectors["a"], SKEW.vectors["b"]], axis=1)
    checkpoints = [named(0.5 + step) for step in steps]
    found = off_plane_share(objective, SKEW, checkpoints)
    np.testing.assert_allclose(found.coordinates, PLACES, atol=1e-13)
    assert found.off_plane.max() < 1e-25
    assert found.length_share < 1e-25
    surface = sample(objective, SKEW, points=found.coordinates, dtype="float64")["loss"]
    stacked = {name: torch.stack([each[name] for each in checkpoints]) for name in ("a", "b")}
    np.testing.assert_allclose(surface, objective.losses(stacked), rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 4), count=st.integers(2, 6))
def test_coordinates_and_shares_are_those_of_least_squares(seed: int, n: int, count: int) -> None:
    draw = np.random.default_rng(seed)
    d = draw.normal(size=(n, 5)) * draw.uniform(0.01, 100, size=(n, 1))
    path = 1 + draw.normal(size=(count, 5))
    found = off_plane_share(ROUND, rows(*d.tolist()), map(named, path))

    def rest(steps: np.ndarray) -> np.ndarray:
        coordinates = np.linalg.lstsq(d.T, steps.T, rcond=None)[0].T
        return ((steps - coordinates @ d) ** 2).sum(axis=1)

    moved, steps = path - 1, np.diff(path, axis=0)
    expected = np.linalg.lstsq(d.T, moved.T, rcond=None)[0].T
    np.testing.assert_allclose(found.coordinates, expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.off_plane, rest(moved) / (moved**2).sum(axis=1), atol=1e-9)
    np.testing.assert_allclose(found.length_share, rest(steps).sum() / (steps**2).sum(), atol=1e-9)


def test_a_path_orthogonal_to_the_plane_lies_off_it_and_the_centre_has_no_share() -> None:
    path = [named(1 + t * np.eye(5)[4]) for t in (0.0, 1.0, -3.0)]
    found = off_plane_share(ROUND, SKEW, path)
    np.testing.assert_array_equal(found.coordinates, np.zeros((3, 2)))
    np.testing.assert_array_equal(found.off_plane, [np.nan, 1, 1])
    assert found.length_share == 1


def test_steps_may_lie_on_the_plane_where_checkpoints_do_not() -> None:
    path = [named(1 + 7 * np.eye(5)[4] + t * np.eye(5)[0]) for t in (1.0, 2.0)]
    found = off_plane_share(ROUND, rows(FIRST, SECOND), path)
    np.testing.assert_allclose(found.off_plane, [49 / 50, 49 / 53])
    assert found.length_share == 0


def test_a_path_without_a_step_has_no_share_of_its_length() -> None:
    for path in ([named(np.zeros(5))], [named(np.zeros(5))] * 3):
        found = off_plane_share(ROUND, SKEW, path)
        assert np.isfinite(found.off_plane).all()
        assert np.isnan(found.length_share)


def test_a_checkpoint_that_is_not_finite_is_kept_as_nan() -> None:
    path = [named(np.full(5, value)) for value in (0.0, np.nan, np.inf, 2.0)]
    found = off_plane_share(ROUND, SKEW, path)
    np.testing.assert_array_equal(np.isnan(found.off_plane), [False, True, True, False])
    assert np.isnan(found.length_share)


def test_principal_directions_leave_off_the_plane_what_they_do_not_explain(
    classifier: Objective,
) -> None:
    torch.manual_seed(1)
    path = [
        {name: value + t * torch.randn_like(value) for name, value in classifier.center.items()}
        for t in (2.0, 1.0, 0.5, 0.25)
    ]
    directions = path_directions(classifier, path, 2)
    found = off_plane_share(classifier, directions, path)
    assert directions.explained is not None
    squared = np.array(
        [
            sum(float((p[k] - v).double().square().sum()) for k, v in classifier.center.items())
            for p in path
        ]
    )
    missing = (found.off_plane * squared).sum() / squared.sum()
    assert missing == pytest.approx(1 - float(directions.explained.sum()), abs=1e-6)


def test_checkpoints_are_read_one_by_one_and_may_be_one_buffer_that_training_changes() -> None:
    alive: list[weakref.ref[torch.Tensor]] = []

    def written() -> Iterator[dict[str, torch.Tensor]]:
        for place in PLACES:
            assert sum(reference() is not None for reference in alive) <= 1
            checkpoint = named(place[0] * np.arange(5) + place[1])
            alive.append(weakref.ref(checkpoint["a"]))
            yield checkpoint
            del checkpoint

    def changed() -> Iterator[dict[str, torch.Tensor]]:
        buffer = named(np.zeros(5))
        for checkpoint in written():
            for name, value in checkpoint.items():
                buffer[name].copy_(value)
            yield buffer

    expected = off_plane_share(ROUND, SKEW, written())
    assert expected.length_share > 0.1
    alive.clear()
    found = off_plane_share(ROUND, SKEW, changed())
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_parameters_that_want_a_gradient_are_checkpoints_too(classifier: Objective) -> None:
    torch.manual_seed(2)
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    directions = random_directions(classifier, 2)
    found = off_plane_share(classifier, directions, [dict(network.named_parameters())])
    state = off_plane_share(classifier, directions, [network.state_dict()])
    np.testing.assert_array_equal(found.off_plane, state.off_plane)


def test_paths_and_planes_without_sense_are_refused(classifier: Objective) -> None:
    path = [named(np.zeros(5))]
    with pytest.raises(TopographError, match="no checkpoints were given"):
        off_plane_share(ROUND, SKEW, iter([]))
    with pytest.raises(TopographError, match=r"'a' has shape \(3,\) in checkpoint 1 and \(2,\)"):
        off_plane_share(ROUND, SKEW, [*path, {"a": torch.zeros(3), "b": torch.zeros(3)}])
    with pytest.raises(TopographError, match="'b' has shape None in checkpoint 0"):
        off_plane_share(ROUND, SKEW, [{"a": torch.zeros(2)}])
    with pytest.raises(TopographError, match="'a' has shape None in the directions"):
        off_plane_share(ROUND, random_directions(classifier, 1), path)
    third = [1.0, -1, 0, 0, 0]
    broken = [np.nan, 0, 0, 0, 0]
    for dependent in ([FIRST, FIRST], [FIRST, [0.0] * 5], [FIRST, SECOND, third], [FIRST, broken]):
        with pytest.raises(TopographError, match="span less than"):
            off_plane_share(ROUND, rows(*dependent), path)
