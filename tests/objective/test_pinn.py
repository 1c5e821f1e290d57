"""The loss of a physics-informed network is the sum of its three terms."""

from __future__ import annotations

import copy

import pytest
import torch

from topograph.models.mlp import MLP
from topograph.objective.pinn import pinn_objective
from topograph.problems.convection import Convection


@pytest.fixture
def network() -> MLP:
    torch.manual_seed(0)
    return MLP(2, 1, width=6, depth=2)


def test_the_loss_is_the_sum_of_residual_initial_and_boundary(network: MLP) -> None:
    objective = pinn_objective(Convection(30.0), network)
    points = {name: torch.stack([v, 2 * v, -v]) for name, v in objective.center.items()}
    metrics = objective.metrics(points)
    assert list(metrics) == ["residual", "initial", "boundary"]
    torch.testing.assert_close(objective.losses(points), sum(metrics.values()))
    assert all(values.shape == (3,) and (values > 0).all() for values in metrics.values())


def test_the_engines_agree(network: MLP) -> None:
    objective = pinn_objective(Convection(3.0), network)
    points = {name: torch.stack([v, 1.1 * v]).double() for name, v in objective.center.items()}
    one, other = (objective.evaluate(points, engine=e) for e in ("stacked", "in-place"))
    torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


def test_the_network_stays_as_it_was(network: MLP) -> None:
    before, generator = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    objective = pinn_objective(Convection(3.0), network.train())
    objective.losses({name: v[None] for name, v in objective.center.items()})
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), generator)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_gradient_equals_central_differences(network: MLP) -> None:
    objective = pinn_objective(Convection(3.0), network)
    center = objective.at(torch.float64).center
    point = {name: value.clone().requires_grad_() for name, value in center.items()}
    objective.loss(point).backward()
    step = torch.zeros_like(center["2.weight"])
    step[1, 2] = 1e-5
    up, down = (
        objective.loss({**center, "2.weight": center["2.weight"] + sign * step}) for sign in (1, -1)
    )
    expected = (up - down).item() / 2e-5
    assert point["2.weight"].grad[1, 2].item() == pytest.approx(expected, rel=1e-6)


def test_the_digest_tells_problems_apart(network: MLP) -> None:
    digests = {
        pinn_objective(problem, network).digest
        for problem in (Convection(1.0), Convection(2.0), Convection(1.0, points_seed=1))
    }
    assert len(digests) == 3
