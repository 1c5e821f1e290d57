"""The objective of a physics-informed network: initial, boundary and residual loss."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import jvp, vjp

from topograph.foundation.errors import TopographError, unknown_name
from topograph.objective.engines import ENGINES, Mapped, Parameters, Placed
from topograph.objective.jets import Buffers, Layer, chain_of, propagate
from topograph.objective.model import functional, require_evaluation_mode, selected
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten_each, unflatten
from topograph.problems.problem import Points, Problem, is_deepxde

DERIVATIVES = ("auto", "jets", "torch.func")
# Weights of a direction by input, and the highest order of derivative along it.
Requests = dict[tuple[float, ...], int]


def pinn_objective(
    problem: Problem | Any,
    network: nn.Module,
    *,
    parameters: str | Sequence[str] = "*",
    derivatives: str = "auto",
) -> Objective:
    """Return the true training loss of a problem, the sum of its metrics.

    Metrics: ``residual`` (mean square over the N_f collocation points), ``initial`` (mean square
    over N_u points) and ``boundary`` (mean square over N_b pairs), all with weight 1, as DeepXDE
    trains it (Krishnapriyan et al. 2021, eq. 2). Derivatives are ``jets`` for a chain of linear
    layers and tanh, sin, GELU or SiLU, else ``torch.func``. A ``deepxde.data.PDE`` may take the
    problem's place: its metrics are ``residual_1``, … and ``condition_1``, …. Raises
    TopographError for a network in training mode or without the parameters asked for.
    """
    if derivatives not in DERIVATIVES:
        raise unknown_name("derivatives", derivatives, DERIVATIVES)
    require_evaluation_mode(network)
    kept = copy.deepcopy(network)
    deepxde = is_deepxde(problem)
    make = partial(_deepxde, problem) if deepxde else partial(_problem, problem, derivatives)

    def place(dtype: torch.dtype, device: torch.device, names: Sequence[str]) -> Placed:
        model = copy.deepcopy(kept).to(device, dtype).requires_grad_(False)
        state = {name: p.detach() for name, p in model.named_parameters()}
        center = {name: state[name].clone() for name in names}
        fixed = {name: value for name, value in state.items() if name not in center}
        return make(model, center, fixed)

    trainable = [name for name, p in network.named_parameters() if p.requires_grad]
    return Objective(
        place,
        selected(trainable, parameters),
        engine="in-place" if deepxde else "stacked",
        engines=("in-place",) if deepxde else ENGINES,
        filter_axes={name: 0 for name, p in network.named_parameters() if p.ndim > 1},
    )


def _problem(
    problem: Problem, derivatives: str, model: nn.Module, center: Parameters, fixed: Parameters
) -> Placed:
    like = next(iter(center.values()))
    points = Points(*(torch.from_numpy(array).to(like) for array in problem.points()))
    terms = _terms(problem, model, points)
    layers = None if derivatives == "torch.func" else chain_of(model)
    if derivatives == "jets" and layers is None:
        raise TopographError(
            "derivatives='jets' needs a chain of linear layers, each followed by at most one known "
            "activation; this network is none: use 'auto' or 'torch.func'"
        )
    if layers is None:
        mapped = Mapped(center, terms)
        # Each evaluation swaps the parameters of the one network that there is.
        return Placed(dict(center), terms, lambda v: partial(terms, v), mapped, concurrent=False)
    jets = partial(_Jets, problem, layers, points, center, fixed)
    # Every thread writes into buffers of its own.
    return Placed(dict(center), terms, lambda views: partial(jets().at, views), jets())


def _sum(parts: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"loss": torch.stack(list(parts.values())).sum(dim=0), **parts}


def _terms(
    problem: Problem, model: nn.Module, points: Points
) -> Callable[[Parameters], dict[str, Tensor]]:
    call = functional(model)
    conditions = torch.cat([points.initial, points.left, points.right])
    sizes = [len(points.initial), len(points.left), len(points.right)]

    def terms(parameters: Parameters) -> dict[str, Tensor]:
        u = partial(call, parameters)
        initial, left, right = u(conditions).split(sizes)
        residual = problem.residual(_ForwardSolution(u, problem.variables, points.collocation))
        return _sum(
            {
                "residual": residual.square().mean(),
                "initial": (initial - points.values).square().mean(),
                "boundary": (left - right).square().mean(),
            }
        )

    return terms


class _AtPoints:
    """What every solution knows: its points, and a direction as weights of the inputs."""

    def __init__(self, variables: tuple[str, ...], points: Tensor) -> None:
        self._variables, self._points = variables, points

    def coordinate(self, name: str) -> Tensor:
        return self._points[:, self._variables.index(name), None]

    def _weights(self, direction: Mapping[str, float], order: int) -> tuple[float, ...]:
        if order not in (1, 2):
            raise TopographError(f"order is {order}; allowed: 1 or 2; write a system of equations")
        unknown = [name for name in direction if name not in self._variables]
        if unknown:
            raise unknown_name("input", unknown[0], self._variables)
        return tuple(float(direction.get(name, 0.0)) for name in self._variables)


class _ForwardSolution(_AtPoints):
    """Derivatives by forward mode, one tangent per direction: for any network."""

    def __init__(
        self, function: Callable[[Tensor], Tensor], variables: tuple[str, ...], points: Tensor
    ) -> None:
        super().__init__(variables, points)
        self._function = function

    @property
    def value(self) -> Tensor:
        return self._function(self._points)

    def along(self, *, order: int = 1, **direction: float) -> Tensor:
        tangent = self._points.new_tensor(self._weights(direction, order)).expand_as(self._points)

        def first(x: Tensor) -> Tensor:
            return jvp(self._function, (x,), (tangent,))[1]

        if order == 1:
            return first(self._points)
        # Reverse over forward: torch has no forward derivative of some activations' derivatives.
        value, pull, *_ = vjp(first, self._points)
        return (pull(torch.ones_like(value))[0] * tangent).sum(dim=1, keepdim=True)


class _Recorder(_AtPoints):
    """Notes which derivatives a residual asks for; every answer is zero."""

    def __init__(self, variables: tuple[str, ...], points: Tensor) -> None:
        super().__init__(variables, points)
        self.requests: Requests = {}

    @property
    def value(self) -> Tensor:
        return torch.zeros_like(self._points[:, :1])

    def along(self, *, order: int = 1, **direction: float) -> Tensor:
        weights = self._weights(direction, order)
        self.requests[weights] = max(order, self.requests.get(weights, 1))
        return self.value


class _JetSolution(_AtPoints):
    """The values and derivatives (P, points, 1) that a pass through the chain left behind."""

    def __init__(
        self,
        variables: tuple[str, ...],
        points: Tensor,
        value: Tensor,
        found: Mapping[tuple[float, ...], Sequence[Tensor | None]],
    ) -> None:
        super().__init__(variables, points)
        self.value, self._found = value, found

    def along(self, *, order: int = 1, **direction: float) -> Tensor:
        found = self._found[self._weights(direction, order)][order - 1]
        assert found is not None
        return found


class _Jets:
    """The terms at many parameter points by Taylor propagation through the network's chain."""

    def __init__(
        self,
        problem: Problem,
        layers: tuple[Layer, ...],
        points: Points,
        center: Parameters,
        fixed: Parameters,
    ) -> None:
        self._problem, self._layers, self._points = problem, layers, points
        self._center, self._fixed = center, fixed
        self._buffers = Buffers()
        parts = (points.initial, points.left, points.right, points.collocation)
        self._inputs, self._sizes = torch.cat(parts), [len(part) for part in parts]
        recorder = _Recorder(problem.variables, points.collocation)
        problem.residual(recorder)
        self._requests = list(recorder.requests)
        self._directions = [
            (points.collocation.new_tensor(weights), order)
            for weights, order in recorder.requests.items()
        ]
        width = len({**fixed, **center}[layers[0].weight])
        self.footprint = width * len(self._inputs)

    def lift(self, vectors: Parameters) -> Tensor:
        return flatten_each({name: vectors[name] for name in self._center})

    def at(self, parameters: Parameters) -> dict[str, Tensor]:
        """Return the terms at one parameter point."""
        found = self.evaluate(self.lift({k: v[None] for k, v in parameters.items()}))
        return {name: value[0] for name, value in found.items()}

    def evaluate(self, rows: Tensor) -> dict[str, Tensor]:
        weights = {k: v.expand(len(rows), *v.shape) for k, v in self._fixed.items()}
        weights |= unflatten(rows, self._center)
        derivatives = self._sizes[-1]
        jets = propagate(
            self._layers, weights, self._inputs, self._buffers, self._directions, derivatives
        )
        # Under autocast products come in half precision; losses summed so would lose digits.
        value = jets.value.transpose(1, 2).to(rows.dtype)
        initial, left, right, inner = value.split(self._sizes, dim=1)
        found = {
            request: [p if p is None else p.transpose(1, 2).to(rows.dtype) for p in parts]
            for request, *parts in zip(self._requests, jets.first, jets.second, strict=True)
        }
        points = self._points
        solution = _JetSolution(self._problem.variables, points.collocation, inner, found)
        return _sum(
            {
                "residual": self._problem.residual(solution).square().mean(dim=(1, 2)),
                "initial": (initial - points.values).square().mean(dim=(1, 2)),
                "boundary": (left - right).square().mean(dim=(1, 2)),
            }
        )


def _deepxde(data: Any, model: nn.Module, center: Parameters, fixed: Parameters) -> Placed:
    """Return the losses that a ``deepxde.data.PDE`` computes, one parameter point at a time."""
    from topograph.problems.through_deepxde import deepxde_losses

    call, like = functional(model), next(iter(center.values()))
    if like.device.type != "cpu":
        raise TopographError(
            f"a deepxde problem is evaluated on the CPU, where its conditions are; device is "
            f"{str(like.device)!r}: use 'cpu', or write the problem for topograph"
        )

    def terms(parameters: Parameters) -> dict[str, Tensor]:
        losses = deepxde_losses(data, partial(call, parameters), like)
        return _sum(losses)

    # DeepXDE keeps derivatives in a cache that all threads share.
    return Placed(dict(center), terms, lambda views: partial(terms, views), None, concurrent=False)
