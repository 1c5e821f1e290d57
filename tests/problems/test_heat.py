"""Heat conduction as DeepXDE has it: its points, its solution, and what else is no problem."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from topograph.foundation.errors import TopographError
from topograph.objective.pinn import pinn_objective
from topograph.problems.heat import heat
from topograph.problems.problem import is_deepxde
from topograph.problems.through_deepxde import (
    deepxde_data,
    load_deepxde,
    require_problem,
    term_names,
)


class Exact(nn.Module):
    """The solution for diffusivity 0.1, with one parameter that scales it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        x, t = inputs[:, :1], inputs[:, 1:]
        return self.scale * torch.exp(-0.1 * torch.pi**2 * t) * torch.sin(torch.pi * x)


def test_the_solution_has_no_loss_and_another_diffusivity_has_one() -> None:
    right, wrong = (pinn_objective(heat(diffusivity=a), Exact().eval()) for a in (0.1, 0.2))
    point = {name: value[None].double() for name, value in right.center.items()}
    assert right.losses(point).item() < 1e-10
    assert wrong.metrics(point)["residual_1"].item() > 1e-2
    assert sorted(right.metrics(point)) == ["condition_1", "condition_2", "residual_1"]


def test_its_solution_is_measured_on_points_of_the_whole_domain() -> None:
    points, exact, _ = heat(diffusivity=0.1).test()
    with torch.no_grad():
        found = Exact()(torch.from_numpy(points)).numpy()
    np.testing.assert_allclose(found, exact, atol=1e-5)
    assert points.min() == 0
    assert points.max() == 1


def test_a_problem_of_deepxde_is_its_own_data_and_names_its_terms() -> None:
    problem = heat(diffusivity=0.1)
    assert is_deepxde(problem)
    assert deepxde_data(problem) is problem
    assert term_names(problem, 3) == ["residual_1", "condition_1", "condition_2"]


def test_what_is_no_problem_is_named_with_what_would_do() -> None:
    deepxde = load_deepxde()
    with pytest.raises(TopographError, match=r"mine made dict, which lacks variables, points"):
        require_problem({}, "mine")
    line = deepxde.geometry.Interval(0, 1)
    function = deepxde.data.Function(line, np.sin, 4, 4)
    with pytest.raises(TopographError, match=r"deepxde's Function; allowed: deepxde\.data\.PDE"):
        require_problem(function, "mine")
    with_more = deepxde.data.PDE(
        line, lambda x, u, extra: u, [], num_domain=4, auxiliary_var_function=np.sin
    )
    with pytest.raises(TopographError, match="has auxiliary_var_function"):
        require_problem(with_more, "mine")
