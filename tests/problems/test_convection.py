"""The points of the convection problem, and its residual under both differentiators."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from topograph.objective.pinn import pinn_objective
from topograph.problems.convection import Convection
from topograph.problems.through_deepxde import deepxde_data, load_deepxde


class Formula(nn.Module):
    """A "network" with one parameter and outputs by formula; DeepXDE asks for a regulariser."""

    regularizer = None

    def __init__(self, function: object) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.function = function

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.scale * self.function(inputs[:, :1], inputs[:, 1:])


def deepxde_losses(problem: Convection, network: nn.Module) -> np.ndarray:
    """Return DeepXDE's own terms (residual, initial, boundary) without training."""
    trainer = load_deepxde().Model(deepxde_data(problem), network)
    trainer.compile(torch.optim.SGD(network.parameters(), lr=1.0), verbose=0)
    trainer.train(iterations=0, verbose=0)
    return np.asarray(trainer.train_state.loss_train)


def test_there_are_256_initial_points_100_pairs_and_100_collocation_points() -> None:
    points = Convection(beta=30.0).points()
    shapes = [array.shape for array in points]
    assert shapes == [(256, 2), (256, 1), (100, 2), (100, 2), (100, 2)]
    assert {array.dtype for array in points} == {np.dtype("float32")}


def test_initial_points_lie_at_time_0_on_the_true_wave() -> None:
    points = Convection(beta=30.0).points()
    assert not points.initial[:, 1].any()
    np.testing.assert_allclose(points.values, np.sin(points.initial[:, :1]), atol=1e-6)
    assert points.initial[:, 0].max() < 2 * np.pi - 0.01  # the end point is the first point


def test_boundary_pairs_share_their_time_and_join_0_with_2_pi() -> None:
    points = Convection(beta=1.0).points()
    assert not points.left[:, 0].any()
    assert np.all(points.right[:, 0] == np.float32(2 * np.pi))
    np.testing.assert_array_equal(points.left[:, 1], points.right[:, 1])
    np.testing.assert_allclose(points.left[:, 1], np.linspace(0, 1, 100), atol=1e-7)


def test_collocation_points_are_distinct_inner_nodes_of_the_test_grid() -> None:
    problem = Convection(beta=1.0)
    x, t = (axis.astype(np.float32) for axis in problem.grid())
    drawn = problem.points().collocation
    assert len(np.unique(drawn, axis=0)) == 100
    assert np.isin(drawn[:, 0], x[1:]).all()
    assert np.isin(drawn[:, 1], t[1:]).all()


def test_collocation_points_depend_on_their_seed_alone() -> None:
    first = Convection(beta=1.0).points().collocation
    np.testing.assert_array_equal(first, Convection(beta=70.0).points().collocation)
    other = Convection(beta=1.0, points_seed=1).points().collocation
    assert not np.array_equal(first, other)


def test_every_inner_node_can_be_drawn_exactly_once() -> None:
    drawn = Convection(beta=1.0, collocation=255 * 99).points().collocation
    assert len(np.unique(drawn, axis=0)) == 255 * 99


@pytest.mark.parametrize("beta", [1.0, 30.0])
def test_the_exact_solution_has_no_loss_by_forward_differentiation(beta: float) -> None:
    exact = Formula(lambda x, t: torch.sin(x - beta * t))
    objective = pinn_objective(Convection(beta), exact.eval())
    terms = objective.at(torch.float64).terms(objective.at(torch.float64).center)
    assert terms["residual"] < 1e-25
    assert terms["loss"] < 1e-13  # the points themselves are rounded to float32


@pytest.mark.parametrize("beta", [1.0, 30.0])
def test_the_exact_solution_has_no_loss_by_reverse_differentiation(beta: float) -> None:
    losses = deepxde_losses(Convection(beta), Formula(lambda x, t: torch.sin(x - beta * t)))
    np.testing.assert_allclose(losses, 0, atol=1e-10)


def test_a_wave_of_the_wrong_speed_has_the_residual_of_its_closed_form() -> None:
    problem = Convection(beta=3.0)
    x, t = problem.points().collocation.astype(float).T
    expected = np.mean(((3.0 - 2.0) * np.cos(x - 2.0 * t)) ** 2)
    wrong = Formula(lambda x, t: torch.sin(x - 2.0 * t))
    objective = pinn_objective(problem, wrong.eval())
    stacked = {"scale": torch.ones(1)}
    assert objective.metrics(stacked)["residual"].item() == pytest.approx(expected, rel=1e-5)
    assert deepxde_losses(problem, wrong)[0] == pytest.approx(expected, rel=1e-5)


def test_deepxde_averages_the_residual_over_exactly_the_100_collocation_points() -> None:
    class Value(Convection):
        def residual(self, u: object) -> object:
            return u.value

    problem = Value(beta=1.0)
    x, t = problem.points().collocation.astype(float).T
    losses = deepxde_losses(problem, Formula(lambda x, t: x + 10 * t))
    assert losses[0] == pytest.approx(np.mean((x + 10 * t) ** 2), rel=1e-5)


def test_deepxde_compares_256_initial_values_and_100_pairs() -> None:
    problem = Convection(beta=1.0)
    x = problem.points().initial[:, 0].astype(float)
    losses = deepxde_losses(problem, Formula(lambda x, t: x))
    assert losses[1] == pytest.approx(np.mean((x - np.sin(x)) ** 2), rel=1e-5)
    assert losses[2] == pytest.approx((2 * np.pi) ** 2, rel=1e-5)


def test_importing_deepxde_leaves_the_default_device_and_prints_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def as_on_a_machine_with_cuda(name: str) -> str:
        print("Using backend: pytorch")
        torch.set_default_device("meta")
        return name

    before = torch.get_default_device()
    monkeypatch.setattr("importlib.import_module", as_on_a_machine_with_cuda)
    try:
        assert load_deepxde() == "deepxde"
        assert torch.get_default_device() == before
        # A default that is set slows every call of torch, even where it is the CPU.
        assert before.type != "cpu" or not torch.overrides._get_current_function_mode_stack()
    finally:
        torch.set_default_device(None)
    assert capsys.readouterr() == ("", "")
