"""The objective of a physics-informed network: initial, boundary and residual loss."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from topograph.objective.objective import Objective, Parameters, Placed, Terms
from topograph.problems.problem import Points, Problem


class _ForwardSolution:
    """Derivatives by forward mode: one tangent per direction and no graph."""

    def __init__(
        self, function: Callable[[Tensor], Tensor], variables: tuple[str, ...], points: Tensor
    ) -> None:
        self._function, self._variables, self._points = function, variables, points

    @property
    def value(self) -> Tensor:
        return self._function(self._points)

    def along(self, **direction: float) -> Tensor:
        weights = [direction.get(name, 0.0) for name in self._variables]
        tangent = torch.tensor(weights, dtype=self._points.dtype, device=self._points.device)
        return jvp(self._function, (self._points,), (tangent.expand_as(self._points),))[1]


def pinn_objective(problem: Problem, network: nn.Module) -> Objective:
    """Return the true training loss of a problem, the sum of its metrics.

    Metrics: ``residual`` (mean square over the N_f collocation points), ``initial`` (mean square
    over N_u points) and ``boundary`` (mean square over N_b pairs), all with weight 1, as DeepXDE
    trains it (Krishnapriyan et al. 2021, eq. 2).
    """
    points, kept = problem.points(), copy.deepcopy(network)

    def place(dtype: torch.dtype, device: torch.device) -> Placed:
        model = copy.deepcopy(kept).eval().to(device, dtype).requires_grad_(False)
        center = {name: p.detach().clone() for name, p in model.named_parameters()}
        tensors = Points(*(torch.from_numpy(array).to(device, dtype) for array in points))
        return Placed(center, _terms(problem, model, tensors))

    filter_axes = {name: 0 for name, p in network.named_parameters() if p.ndim > 1}
    return Objective(place, engine="stacked", filter_axes=filter_axes)


def _terms(problem: Problem, model: nn.Module, points: Points) -> Terms:
    conditions = torch.cat([points.initial, points.left, points.right])
    sizes = [len(points.initial), len(points.left), len(points.right)]

    def terms(parameters: Parameters) -> dict[str, Tensor]:
        def u(inputs: Tensor) -> Tensor:
            return functional_call(model, dict(parameters), (inputs,))

        initial, left, right = u(conditions).split(sizes)
        residual = problem.residual(_ForwardSolution(u, problem.variables, points.collocation))
        parts = {
            "residual": residual.square().mean(),
            "initial": (initial - points.values).square().mean(),
            "boundary": (left - right).square().mean(),
        }
        return {"loss": parts["residual"] + parts["initial"] + parts["boundary"], **parts}

    return terms
