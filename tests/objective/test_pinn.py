"""The loss of a physics-informed network is the sum of its three terms."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from topograph.foundation.errors import TopographError
from topograph.geometry.directions import random_directions
from topograph.landscape.hessian import hessian_eigenpairs
from topograph.landscape.sampling import sample
from topograph.models.mlp import MLP
from topograph.objective.pinn import pinn_objective
from topograph.problems.convection import Convection
from topograph.problems.through_deepxde import deepxde_data, load_deepxde


@pytest.fixture
def network() -> MLP:
    torch.manual_seed(0)
    return MLP(2, 1, width=6, depth=2).eval()


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
    objective = pinn_objective(Convection(3.0), network)
    objective.losses({name: v[None] for name, v in objective.center.items()})
    assert not network.training
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


class Wave:
    """u_tt - 4 u_xx - x = 0: second derivatives and an input in the residual."""

    variables = ("x", "t")

    def __init__(self) -> None:
        self._points = Convection(1.0)

    def points(self) -> object:
        return self._points.points()

    def residual(self, u: object) -> object:
        return u.along(t=1.0, order=2) - 4 * u.along(x=1.0, order=2) - u.coordinate("x") * u.value


@pytest.mark.parametrize("activation", ["tanh", "sin", "gelu", "silu"])
@pytest.mark.parametrize("problem", [Convection(3.0), Wave()], ids=["first", "second order"])
def test_jets_and_torch_func_agree(problem: object, activation: str) -> None:
    torch.manual_seed(0)
    network = MLP(2, 1, width=6, depth=3, activation=activation).eval()
    jets, generic = (
        pinn_objective(problem, network, derivatives=d) for d in ("jets", "torch.func")
    )
    assert type(jets.at().batched) is not type(generic.at().batched)
    points = {n: torch.stack([v, 1.1 * v, -v]).double() for n, v in jets.center.items()}
    one, other = jets.evaluate(points), generic.evaluate(points)
    torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-14)
    torch.testing.assert_close(one, generic.evaluate(points, engine="in-place"), rtol=1e-11, atol=0)


def test_a_network_that_is_no_chain_takes_the_generic_path() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = MLP(2, 2, width=4, depth=1)
            self.last = nn.Linear(2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(x + self.inner(x))

    objective = pinn_objective(Convection(1.0), Residual().eval())
    points = {n: torch.stack([v, 2 * v]).double() for n, v in objective.center.items()}
    one, other = (objective.evaluate(points, engine=e) for e in ("stacked", "in-place"))
    torch.testing.assert_close(one, other, rtol=1e-11, atol=0)


def test_only_chosen_parameters_move(network: MLP) -> None:
    part = pinn_objective(Convection(3.0), network, parameters="2.*")
    whole = pinn_objective(Convection(3.0), network)
    assert list(part.center) == ["2.weight", "2.bias"]
    moved = {n: torch.stack([v, 1.5 * v]).double() for n, v in part.center.items()}
    every = {n: v.double().expand(2, *v.shape) for n, v in whole.center.items()} | moved
    torch.testing.assert_close(part.losses(moved), whole.losses(every), rtol=1e-12, atol=0)


def test_a_network_in_training_mode_is_refused(network: MLP) -> None:
    with pytest.raises(TopographError, match="in training mode"):
        pinn_objective(Convection(3.0), network.train())


def test_unknown_inputs_and_kinds_of_derivatives_are_refused(network: MLP) -> None:
    class Misspelt(Wave):
        def residual(self, u: object) -> object:
            return u.along(y=1.0)

    with pytest.raises(TopographError, match="unknown input 'y'.*allowed: t, x"):
        pinn_objective(Misspelt(), network).at()
    with pytest.raises(TopographError, match=r"unknown derivatives 'jet' \(did you mean 'jets'"):
        pinn_objective(Convection(1.0), network, derivatives="jet")


def test_any_deepxde_problem_is_an_objective(network: MLP) -> None:
    """The convection problem as DeepXDE's own data object has the same loss everywhere."""
    problem = Convection(3.0)
    ours = pinn_objective(problem, network)
    theirs = pinn_objective(deepxde_data(problem), network)
    assert theirs.engines == ("in-place",)
    points = {n: torch.stack([v, 1.1 * v, -v]).double() for n, v in ours.center.items()}
    expected, found = ours.evaluate(points), theirs.evaluate(points)
    assert list(found) == ["loss", "residual_1", "condition_1", "condition_2"]
    for name, wanted in zip(found, ("loss", "residual", "initial", "boundary"), strict=True):
        torch.testing.assert_close(found[name], expected[wanted], rtol=1e-5, atol=0)
    eigen = [hessian_eigenpairs(o, 2, dtype="float64").values for o in (ours, theirs)]
    np.testing.assert_allclose(*eigen, rtol=1e-3)


def test_a_deepxde_problem_of_second_order_with_neumann_ends_is_sampled(network: MLP) -> None:
    """u_xx + pi^2 sin(pi x) = 0 at u = 0 leaves the mean of its right side squared, pi^4 / 2."""
    deepxde = load_deepxde()
    line = deepxde.geometry.Interval(0, 1)

    def equation(x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        source = torch.pi**2 * torch.sin(torch.pi * x)
        return deepxde.grad.hessian(u, x) + source

    ends = deepxde.icbc.NeumannBC(line, lambda x: np.ones((len(x), 1)), lambda _, on: on)
    anchors = (np.arange(200)[:, None] + 0.5) / 200
    data = deepxde.data.PDE(line, equation, ends, num_boundary=2, anchors=anchors)
    flat = MLP(1, 1, width=3, depth=1).eval()
    with torch.no_grad():
        flat[2].weight.zero_()
    objective = pinn_objective(data, flat)
    terms = objective.metrics({n: v[None].double() for n, v in objective.center.items()})
    assert terms["condition_1"].item() == pytest.approx(1.0)
    inner = np.pi**4 * (np.sin(np.pi * data.train_x_all) ** 2).mean()
    assert terms["residual_1"].item() == pytest.approx(inner, rel=1e-5)
    landscape = sample(objective, random_directions(objective, 1), points=3)
    assert landscape["loss"].isel(alpha_1=1).item() == pytest.approx(1 + inner, rel=1e-5)


def test_jets_cannot_be_forced_on_a_network_that_is_no_chain_nor_a_third_order() -> None:
    class Third(Wave):
        def residual(self, u: object) -> object:
            return u.along(x=1.0, order=3)

    convolution = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 1)).eval()
    with pytest.raises(TopographError, match="derivatives='jets' needs a chain"):
        pinn_objective(Convection(1.0), convolution, derivatives="jets").at()
    with pytest.raises(TopographError, match="order is 3; allowed: 1 or 2"):
        pinn_objective(Third(), MLP(2, 1, width=3, depth=1).eval()).at()


@pytest.mark.parametrize("derivatives", ["jets", "torch.func"])
def test_points_in_place_do_not_disturb_each_other_on_several_threads(derivatives: str) -> None:
    torch.manual_seed(0)
    network = MLP(2, 1, width=30, depth=3).eval()
    objective = pinn_objective(Convection(3.0), network, derivatives=derivatives)
    generator = torch.Generator().manual_seed(1)
    points = {
        n: v + 0.5 * torch.randn((40, *v.shape), generator=generator, dtype=torch.float64)
        for n, v in objective.center.items()
    }
    before, expected = torch.get_num_threads(), objective.evaluate(points, engine="stacked")
    try:
        torch.set_num_threads(4)
        found = objective.evaluate(points, engine="in-place")
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
