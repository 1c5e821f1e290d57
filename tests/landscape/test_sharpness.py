"""Sharpness equals closed forms of quadratics, is no larger than the true maximum, is invariant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor, nn
from torch.nn import functional as F

from topograph.foundation.errors import TopographError
from topograph.landscape.sharpness import Sharpness, sharpness
from topograph.objective.objective import Objective

KINDS = ["worst", "adaptive", "average"]
THETA = (0.5, -2.0, 1.0, -0.25, 3.0)


class Formula(nn.Module):
    """A loss of parameters theta (N,) and nothing else."""

    def __init__(self, function: Callable[[Tensor], Tensor], theta: np.ndarray) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.from_numpy(np.array(theta, dtype=float)))
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(self.theta) + 0 * inputs.sum().to(self.theta)


def objective_of(function: Callable[[Tensor], Tensor], theta: object = THETA) -> Objective:
    data = (torch.zeros(1, 1), torch.zeros(1))
    model = Formula(function, np.asarray(theta)).eval()
    return Objective.from_model(model, lambda outputs, _: outputs, data)


def quadratic(
    hessian: np.ndarray, gradient: np.ndarray | float = 0.0, theta: object = THETA
) -> Objective:
    """1 + g'd + d'Hd / 2 with d = x - theta."""
    h, center = torch.from_numpy(hessian), torch.from_numpy(np.asarray(theta, dtype=float))
    g = torch.from_numpy(np.broadcast_to(gradient, center.shape).astype(float))

    def loss(x: Tensor) -> Tensor:
        d = x - center.to(x)
        return 1 + g.to(x) @ d + d @ h.to(x) @ d / 2

    return objective_of(loss, theta)


def symmetric(seed: int, size: int = 5) -> np.ndarray:
    half = np.random.default_rng(seed).normal(size=(size, size))
    return (half + half.T) / 2


def highest(hessian: np.ndarray, gradient: np.ndarray, rho: float) -> float:
    """The maximum of g'd + d'Hd / 2 over ||d|| <= rho, by its secular equation."""
    values, vectors = np.linalg.eigh(hessian)
    along = vectors.T @ gradient

    def step(multiplier: float) -> np.ndarray:
        return along / (multiplier - values)

    low = max(values[-1], 0.0)
    inside = step(0.0) if values[-1] < 0 else None
    if inside is None or np.linalg.norm(inside) > rho:
        upper = low + np.linalg.norm(gradient) / rho + 1.0
        inside = step(brentq(lambda m: np.linalg.norm(step(m)) - rho, low + 1e-9, upper))
    return float(along @ inside + inside @ (values * inside) / 2)


def relu_network(first: float = 1.0) -> Objective:
    """A network whose first layer is scaled up and the second down: the same function."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    with torch.no_grad():
        network[0].weight *= first
        network[0].bias *= first
        network[2].weight /= first
    data = (torch.randn(30, 4, dtype=torch.float64), torch.arange(30) % 3)
    return Objective.from_model(network.eval(), F.cross_entropy, data)


@pytest.mark.parametrize("rho", [0.05, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_worst_rise_at_a_stationary_point_is_the_largest_curvature(
    seed: int, rho: float
) -> None:
    hessian = symmetric(seed)
    expected = rho**2 * np.linalg.eigvalsh(hessian)[-1] / 2
    found = sharpness(quadratic(hessian), rho=rho)
    assert found.value == pytest.approx(expected, rel=1e-3)
    assert found.value <= expected * (1 + 1e-9)


def test_more_steps_come_closer_to_the_top_of_a_narrow_spectrum() -> None:
    hessian = np.diag(np.linspace(0.99, 1.0, 5))
    errors = [0.5 - sharpness(quadratic(hessian), rho=1.0, steps=s).value for s in (5, 20, 200)]
    assert errors[0] >= errors[1] >= errors[2] >= -1e-12
    assert errors[1] < 0.005


@pytest.mark.parametrize("rho", [0.03, 0.5, 4.0])
@pytest.mark.parametrize("seed", range(2))
def test_the_worst_rise_of_a_quadratic_is_the_solution_of_its_secular_equation(
    seed: int, rho: float
) -> None:
    hessian, gradient = symmetric(seed), np.random.default_rng(seed + 1).normal(size=5)
    expected = highest(hessian, gradient, rho)
    found = sharpness(quadratic(hessian, gradient), rho=rho, steps=100).value
    assert 0.99 * expected <= found <= expected * (1 + 1e-9)


@pytest.mark.parametrize("rho", [0.03, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_the_adaptive_rise_is_the_worst_in_units_of_the_parameters(seed: int, rho: float) -> None:
    hessian, gradient = symmetric(seed), np.random.default_rng(seed + 1).normal(size=5)
    scale = np.abs(THETA)
    expected = highest(scale[:, None] * hessian * scale, scale * gradient, rho)
    found = sharpness(quadratic(hessian, gradient), rho=rho, kind="adaptive").value
    assert 0.99 * expected <= found <= expected * (1 + 1e-9)


def test_one_step_along_a_slope_is_that_of_sharpness_aware_minimisation() -> None:
    gradient = np.array([3.0, 0, -4.0, 0, 0])
    objective = quadratic(np.zeros((5, 5)), gradient)
    assert sharpness(objective, rho=0.2, steps=1).value == pytest.approx(1.0)
    found = sharpness(objective, rho=0.2, steps=1, kind="adaptive").value
    assert found == pytest.approx(0.2 * np.hypot(3 * 0.5, 4 * 1.0))


def test_a_parameter_of_zero_does_not_move_in_units_of_itself() -> None:
    hessian = np.diag([100.0, 2.0])
    objective = quadratic(hessian, theta=(0.0, 3.0))
    assert sharpness(objective, rho=0.1, kind="adaptive").value == pytest.approx(0.09, rel=1e-6)
    assert sharpness(objective, rho=0.1).value == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("kind", ["worst", "adaptive"])
def test_the_rise_at_a_maximum_is_zero(kind: str) -> None:
    assert sharpness(quadratic(-np.eye(5)), rho=1.0, kind=kind).value == 0


def test_the_average_lies_within_its_standard_errors_of_the_trace() -> None:
    rho, deviations = 0.7, []
    for seed in range(6):
        hessian = symmetric(seed, 40)
        found = sharpness(quadratic(hessian, theta=np.ones(40)), rho=rho, kind="average", seed=seed)
        exact = rho**2 * np.trace(hessian) / 80
        deviations.append((found.value - exact) / found.standard_error)
        assert found.evaluations == 100 + 4
    assert np.abs(deviations).max() < 4
    assert 0.5 < np.sqrt(np.mean(np.square(deviations))) < 1.6


def test_the_average_over_a_bowl_of_one_curvature_knows_its_own_spread() -> None:
    # ||d||^2 is rho^2 / N times a chi-squared of N degrees, whose variance is 2 N.
    found = sharpness(
        quadratic(3.0 * np.eye(50), theta=np.ones(50)), rho=2.0, kind="average", draws=400
    )
    assert found.standard_error == pytest.approx(6 * np.sqrt(2 / 50 / 400), rel=0.15)
    assert found.value == pytest.approx(6, abs=4 * found.standard_error)


def test_scaling_a_layer_up_and_the_next_down_leaves_only_the_adaptive_one_unchanged() -> None:
    plain, scaled = relu_network(), relu_network(10.0)
    before, after = (sharpness(o, rho=0.05, kind="adaptive").value for o in (plain, scaled))
    assert after == pytest.approx(before, rel=1e-9)
    before, after = (sharpness(o, rho=0.05).value for o in (plain, scaled))
    assert after > 2 * before > 0


def test_the_worst_rise_is_no_smaller_than_that_of_any_point_of_the_sphere() -> None:
    objective = relu_network()
    draw = np.random.default_rng(0)
    center = objective.at(torch.float64).center
    stacked = {k: torch.from_numpy(draw.normal(size=(500, *v.shape))) for k, v in center.items()}
    lengths = torch.cat([v.flatten(1) for v in stacked.values()], dim=1).norm(dim=1)
    points = {
        k: center[k] + 0.3 * v / lengths.reshape(-1, *[1] * (v.ndim - 1))
        for k, v in stacked.items()
    }
    rises = objective.losses(points) - objective.loss(center).detach()
    assert sharpness(objective, rho=0.3).value > 1.5 * float(rises.max()) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_float32_agrees_with_float64(kind: str) -> None:
    one, other = (
        sharpness(relu_network(), rho=0.3, kind=kind, dtype=f"float{n}") for n in (32, 64)
    )
    assert one.value == pytest.approx(other.value, rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_bits_and_nothing_of_the_users_changes(kind: str) -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)).eval()
    data = (torch.randn(20, 4), torch.arange(20) % 3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    objective = Objective.from_model(network, F.cross_entropy, data)
    first, again, other = (sharpness(objective, rho=0.2, kind=kind, seed=s) for s in (1, 1, 2))
    assert first[0] == again[0] and first.evaluations == again.evaluations
    np.testing.assert_array_equal(first, again)
    if kind == "average":
        assert other.value != first.value
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert not network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_losses_evaluated_are_counted() -> None:
    count = 0

    def loss(x: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return x.square().sum()

    objective = objective_of(loss)
    objective.at(torch.float64)
    count = 0
    found = sharpness(objective, rho=0.1, steps=7)
    assert found.evaluations == count == 1 + 2 * 8
    assert np.isnan(found.standard_error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_that_overflows_within_reach_is_infinitely_sharp(kind: str) -> None:
    found = sharpness(objective_of(lambda x: (300 * x.sum()).exp()), rho=50.0, kind=kind)
    assert found.value == np.inf


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_that_is_not_a_number_within_reach_gives_none(kind: str) -> None:
    found = sharpness(objective_of(lambda x: (1e-3 + x[0] - 0.5).log()), rho=1.0, kind=kind)
    assert np.isnan(found.value)


@pytest.mark.parametrize("rho", [0.0, -1.0, np.inf, np.nan])
@pytest.mark.parametrize("kind", KINDS)
def test_a_distance_that_is_none_is_refused(kind: str, rho: float) -> None:
    with pytest.raises(TopographError, match=f"rho is {rho}; allowed: a finite number above 0"):
        sharpness(quadratic(np.eye(5)), rho=rho, kind=kind)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "wurst"}, r"unknown kind 'wurst' \(did you mean 'worst'\?\); allowed: adaptive"),
        ({"dtype": "float16"}, r"unknown dtype 'float16' .* allowed: float32, float64"),
        ({"steps": 0}, "steps is 0; allowed: 1 or more"),
        ({"kind": "average", "draws": 1}, "draws is 1; a standard error needs at least 2"),
        ({"device": "tpu"}, "tpu"),
    ],
)
def test_a_wrong_option_is_answered_with_what_is_allowed(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(TopographError, match=message):
        sharpness(quadratic(np.eye(5)), rho=0.1, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_not_finite_are_refused(kind: str) -> None:
    objective = objective_of(lambda x: x.square().sum(), theta=(1.0, np.nan))
    with pytest.raises(TopographError, match="the centre holds parameters that are not finite"):
        sharpness(objective, rho=0.1, kind=kind)


def test_a_loss_without_gradient_has_an_average_only() -> None:
    objective = objective_of(lambda x: (x > 0).double().mean().to(x))
    with pytest.raises(TopographError, match="does not depend on theta, .* gradient"):
        sharpness(objective, rho=0.1)
    assert isinstance(sharpness(objective, rho=0.1, kind="average"), Sharpness)
