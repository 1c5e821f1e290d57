"""Gradient descent is stable up to 2/lambda_max on quadratics, in any units of the loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from topograph.foundation.errors import TopographError
from topograph.landscape.stable import StableRate, largest_stable_rate
from topograph.objective.objective import Objective

STEEP = (40.0, 7.0, 1.0, 0.1, 0.0)


class Formula(nn.Module):
    """A loss of parameters theta (N,) and nothing else."""

    def __init__(self, function: Callable[[Tensor], Tensor], theta: np.ndarray) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.from_numpy(np.array(theta, dtype=float)))
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(self.theta) + 0 * inputs.sum().to(self.theta)


def objective_of(function: Callable[[Tensor], Tensor], theta: object = np.ones(5)) -> Objective:
    model = Formula(function, np.asarray(theta)).eval()
    data = (torch.zeros(1, 1), torch.zeros(1))
    return Objective.from_model(model, lambda outputs, _: outputs, data)


def bowl(
    curvature: object = STEEP, *, scale: float = 1.0, level: float = 0.0, slope: float = 0.0
) -> Objective:
    """scale (level + slope sum d + sum curvature d^2 / 2) with d = x - 1."""
    values = torch.tensor(curvature, dtype=torch.float64)

    def loss(x: Tensor) -> Tensor:
        d = x - 1
        return scale * (level + slope * d.sum() + (values.to(x) * d.square()).sum() / 2)

    return objective_of(loss, np.ones(len(values)))


@pytest.mark.parametrize("top", [1e-3, 40.0, 1e6])
def test_the_limit_on_a_quadratic_is_two_over_its_largest_curvature(top: float) -> None:
    found = largest_stable_rate(bowl((top, 0.2 * top, 0.01 * top, 0.0)))
    # No smaller rate diverges; larger ones are found out within the steps.
    assert found.high >= 2 / top
    assert found.low < 1.02 * 2 / top
    assert found.low < found.rate < found.high <= 1.05 * found.low


@pytest.mark.parametrize("steps", [30, 100, 200])
def test_a_loss_that_hides_the_rise_shows_divergence_late_by_what_is_stated(steps: int) -> None:
    # The rise along the steepest direction is about 1e-6 of the level.
    found = largest_stable_rate(bowl((1.0, 0.5, 0.2), level=1.0), steps=steps)
    share = np.log(10 / 1e-6) / (4 * steps)
    assert found.high >= 2
    assert found.low < 2 * (1 + 1.2 * share)


@pytest.mark.parametrize("scale", [2.0**-10, 1e5])
def test_a_loss_times_a_number_has_its_rate_divided_by_it(scale: float) -> None:
    plain, scaled = (largest_stable_rate(bowl(scale=s), steps=40) for s in (1.0, scale))
    assert scaled.gradients == plain.gradients
    np.testing.assert_allclose(np.array(scaled[:3]) * scale, plain[:3], rtol=1e-9)


def test_descent_stays_at_a_rate_just_below_the_limit_and_leaves_at_one_just_above() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 1).double().eval()
    inputs, targets = torch.randn(20, 3).double(), torch.randn(20, 1).double()
    found = largest_stable_rate(Objective.from_model(model, F.mse_loss, (inputs, targets)))
    columns = np.hstack([inputs, np.ones((20, 1))])
    losses = []
    for rate in (0.97 * found.low, 1.03 * found.high):
        theta = np.zeros((4, 1))
        for _ in range(300):
            theta -= rate * 2 * columns.T @ (columns @ theta - targets.numpy()) / 20
        losses.append(np.square(columns @ theta - targets.numpy()).mean())
    assert losses[0] < np.square(targets.numpy()).mean() < 1e3 < losses[1]
    top = np.linalg.eigvalsh(2 * columns.T @ columns / 20)[-1]
    assert found.rate == pytest.approx(2 / top, rel=0.05)


def test_the_limit_is_the_same_at_the_foot_and_on_the_slope_of_a_bowl() -> None:
    # From far up, the first rate is too small; from the foot, too large.
    curvature = (40.0, 7.0, 1.0)
    foot = largest_stable_rate(bowl(curvature), steps=60)
    slope = largest_stable_rate(bowl(curvature, slope=50.0, level=100.0), steps=60)
    assert foot.rate == pytest.approx(2 / 40, rel=0.05)
    assert slope.rate == pytest.approx(2 / 40, rel=0.05)


def test_gradients_are_counted_and_divergence_ends_early() -> None:
    count = 0

    def loss(x: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return 20 * (x - 1).square().sum()

    objective = objective_of(loss)
    objective.at(torch.float64)
    count = 0
    found = largest_stable_rate(objective, steps=50)
    assert found.gradients == count < 50 * 12


def test_a_bowl_that_is_wide_further_out_keeps_descent_at_larger_rates() -> None:
    # sqrt(1 + d^2) curves by 1 at its foot and less and less outside: an orbit, not divergence.
    objective = objective_of(lambda x: (1 + (x - 1).square()).sqrt().sum())
    assert largest_stable_rate(objective, steps=150).low > 2 * 1.2


def test_a_slope_without_curvature_has_no_limit_below_the_ceiling() -> None:
    found = largest_stable_rate(objective_of(lambda x: x.sum()), steps=3)
    assert found.high == found.rate == np.inf
    # The first step is as long as the displacement, a thousandth of ||theta|| = ||g||.
    assert found.low == pytest.approx(1e-3 * 4**8)
    assert found.gradients == 1 + 9 * 3


def test_a_flat_start_has_no_limit_and_one_that_is_not_a_number_no_rate() -> None:
    assert largest_stable_rate(bowl(np.zeros(4), level=1.0)) == StableRate(*[np.inf] * 3, 1)
    for broken in (lambda x: (x.sum() - 100).log(), lambda x: (1e3 * x.sum()).exp()):
        np.testing.assert_array_equal(largest_stable_rate(objective_of(broken)), [np.nan] * 3 + [1])


def test_a_seed_gives_the_same_bits_and_the_generators_come_back_unchanged() -> None:
    state = torch.get_rng_state()
    objective = bowl(level=1.0)
    first, again, other = (largest_stable_rate(objective, steps=30, seed=s) for s in (1, 1, 2))
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), state)
    single = largest_stable_rate(objective, steps=30, seed=1, dtype="float32")
    assert single.rate == pytest.approx(first.rate, rel=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0; allowed: 1 or more"),
        ({"factor": 1.0}, r"factor is 1\.0; allowed: above 1"),
        ({"factor": np.nan}, "factor is nan; allowed: above 1"),
        ({"dtype": "float16"}, "unknown dtype 'float16' .* allowed: float32, float64"),
    ],
)
def test_a_wrong_option_is_answered_with_what_is_allowed(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(TopographError, match=message):
        largest_stable_rate(bowl(), **options)


def test_weights_that_cannot_be_displaced_are_refused() -> None:
    with pytest.raises(TopographError, match="all weights at the centre are 0"):
        largest_stable_rate(objective_of(lambda x: x.square().sum(), np.zeros(2)))
    with pytest.raises(TopographError, match="parameters that are not finite"):
        largest_stable_rate(objective_of(lambda x: x.square().sum(), [1.0, np.nan]))
