"""The rivals' released packages behind the adapter; importable in the peers' environment only."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import loss_landscapes
import numpy as np
import torch
from landscaper import LossLandscape
from landscaper import PyHessian as LandscaperHessian
from landscaper.utils import generate_random_orthogonal_directions
from loss_landscapes.metrics.metric import Metric
from loss_landscapes.model_interface.model_wrapper import ModelWrapper
from package import Grid, NotOffered, Problem
from pyhessian import hessian
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters


def _mean_loss(problem: Problem, forward: object) -> float:
    total = sum(len(x) for x, _ in problem.batches)
    parts = [problem.loss(forward(x), y).item() * len(x) for x, y in problem.batches]
    return sum(parts) / total


def _rows(vectors: Sequence[Sequence[Tensor]]) -> Tensor:
    return torch.stack([torch.cat([part.detach().reshape(-1) for part in v]) for v in vectors])


def _parts(row: Tensor, model: nn.Module) -> list[Tensor]:
    parameters = list(model.parameters())
    parts = row.split([p.numel() for p in parameters])
    return [part.reshape(p.shape).clone() for part, p in zip(parts, parameters, strict=True)]


class _Lacks:
    """What a package does not offer."""

    name = ""
    filter_normalised = False
    engines: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> object:
        def lacking(*_: object, **__: object) -> None:
            raise NotOffered(f"{self.name} has no {name.replace('_', ' ')}")

        return lacking


class _PowerIteration(_Lacks):
    """What PyHessian and Landscaper's port of it share; ``_hessian`` makes either."""

    def eigenpairs(
        self, problem: Problem, k: int, which: str = "magnitude"
    ) -> tuple[np.ndarray, Tensor]:
        """Call ``eigenvalues`` with its defaults."""
        return _power_iteration(self._hessian(problem), problem, k, which)

    def density(self, problem: Problem, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Call ``density`` with its defaults."""
        torch.manual_seed(seed)
        return _density(*self._hessian(problem).density())


class Landscaper(_PowerIteration):
    """Landscaper 1.3.1: n-D grids along given directions, a port of PyHessian."""

    name = "landscaper"

    def grid(
        self, problem: Problem, directions: Tensor, points: int | Sequence[int], distance: float
    ) -> Grid:
        """Call ``LossLandscape.compute``; its unit of alpha is the norm of the parameters."""
        if not isinstance(points, int):
            raise NotOffered("one number of points for all axes")
        listed = [_parts(row, problem.model) for row in directions]
        norm = parameters_to_vector(problem.model.parameters()).norm().item()
        landscape = LossLandscape.compute(
            problem.model,
            problem.batches,
            listed,
            lambda model, data: _mean_loss(problem._replace(batches=data), model),
            steps=points,
            distance=distance,
            dim=len(listed),
            device="cpu",
        )
        units = directions / directions.norm(dim=1, keepdim=True) * norm
        return Grid(
            list(landscape.ranges), landscape.loss, units.double().numpy(), landscape.coords
        )

    def random_plane(self, problem: Problem, points: int, distance: float, seed: int) -> np.ndarray:
        """Sample along two of its random directions."""
        rows = self.random_rows(problem, 2, "orthogonal", seed)
        return self.grid(problem, rows, points, distance).losses

    def random_rows(self, problem: Problem, n: int, normalization: str, seed: int) -> Tensor:
        """Call ``generate_random_orthogonal_directions``, its only random generator."""
        if normalization == "filter":
            raise NotOffered("no filter normalisation")
        torch.manual_seed(seed)
        return _rows(generate_random_orthogonal_directions(problem.model, n))

    def eigen_plane(self, problem: Problem, points: int, distance: float) -> Grid:
        """Sample along its own eigenvectors, as its tutorial does."""
        _, vectors = self.eigenpairs(problem, 2)
        return self.grid(problem, vectors, points, distance)

    def trace(self, problem: Problem, seed: int) -> tuple[float, float | None]:
        """Call ``PyHessian.trace`` with its defaults."""
        torch.manual_seed(seed)
        return float(self._hessian(problem).trace()), None

    def _hessian(self, problem: Problem) -> LandscaperHessian:
        return LandscaperHessian(problem.model, problem.loss, problem.batches, "cpu")


class PyHessian(_PowerIteration):
    """PyHessian 0.1: eigenvalues, trace and density."""

    name = "pyhessian"

    def trace(self, problem: Problem, seed: int) -> tuple[float, float | None]:
        """Return the mean of what ``hessian.trace`` returns, as its tutorial does."""
        torch.manual_seed(seed)
        return float(np.mean(self._hessian(problem).trace())), None

    def _hessian(self, problem: Problem) -> hessian:
        # A model used twice keeps the gradient that the constructor left in it.
        problem.model.zero_grad(set_to_none=True)
        if len(problem.batches) == 1:
            return hessian(problem.model, problem.loss, data=problem.batches[0], cuda=False)
        return hessian(problem.model, problem.loss, dataloader=problem.batches, cuda=False)


def _power_iteration(
    computer: object, problem: Problem, k: int, which: str
) -> tuple[np.ndarray, Tensor]:
    torch.manual_seed(0)
    size = sum(p.numel() for p in problem.model.parameters())
    if which == "magnitude":
        values, vectors = computer.eigenvalues(top_n=k)
        return np.array(values), _rows(vectors)
    if size > 2:
        raise NotOffered("only the largest by magnitude")
    values, vectors = computer.eigenvalues(top_n=size)
    order = np.argsort(values)[:: 1 if which == "smallest" else -1][:k]
    return np.array(values)[order], _rows(vectors)[torch.from_numpy(order.copy())]


def _density(values: list, weights: list) -> tuple[np.ndarray, np.ndarray]:
    found, shares = np.array(values[0]), np.array(weights[0])
    if found.shape != shares.shape:
        text = f"weights {shares.shape} for {len(found)} eigenvalues; only their first row is meant"
        raise AssertionError(text)
    return found, shares


class _Recorded(Metric):
    """The loss, and where it was asked for."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem, self.visited = problem, []

    def __call__(self, model_wrapper: ModelWrapper) -> float:
        module = model_wrapper.get_modules()[0]
        self.visited.append(parameters_to_vector(module.parameters()).clone())
        return _mean_loss(self.problem, model_wrapper.forward)


class LossLandscapes(_Lacks):
    """loss-landscapes 3.0.6: lines and planes, random or between models."""

    name = "loss-landscapes"
    filter_normalised = True

    def grid(
        self, problem: Problem, directions: Tensor, points: int | Sequence[int], distance: float
    ) -> Grid:
        """Put the models of an interpolation at the corners of the grid that is asked for."""
        if not isinstance(points, int):
            raise NotOffered("one number of points for all axes")
        if len(directions) > 2:
            raise NotOffered("one or two dimensions")
        start = self._moved(problem, -distance * directions.sum(0))
        ends = [
            self._moved(problem, -distance * directions.sum(0) + 2 * distance * row)
            for row in directions
        ]
        metric = _Recorded(problem)
        if len(ends) == 1:
            losses = loss_landscapes.linear_interpolation(start, *ends, metric, points, True)
            steps = np.arange(1, points + 1)
        else:
            # Its own comment: start + dir_one * i + dir_two * j for i, j in range(steps).
            losses = loss_landscapes.planar_interpolation(start, *ends, metric, points, True)
            steps = np.arange(points)
        axis = (2 * steps / points - 1) * distance
        return Grid([axis] * len(ends), losses, directions.double().numpy(), None)

    def random_plane(self, problem: Problem, points: int, distance: float, seed: int) -> np.ndarray:
        """Call ``random_plane`` with its default normalisation by filter."""
        torch.manual_seed(seed)
        return loss_landscapes.random_plane(
            problem.model, _Recorded(problem), distance, points, deepcopy_model=True
        )

    def random_rows(self, problem: Problem, n: int, normalization: str, seed: int) -> Tensor:
        """Observe the parameters that ``random_line`` visits in one step of distance 1."""
        if normalization == "orthogonal":
            raise NotOffered("no three orthogonal directions")
        torch.manual_seed(seed)
        start = parameters_to_vector(problem.model.parameters()).detach().clone()
        chosen = None if normalization == "none" else normalization
        rows = []
        for _ in range(n):
            metric = _Recorded(problem)
            loss_landscapes.random_line(problem.model, metric, 1, 1, chosen, deepcopy_model=True)
            rows.append(metric.visited[0] - start)
        return torch.stack(rows)

    def _moved(self, problem: Problem, step: Tensor) -> nn.Module:
        model = copy.deepcopy(problem.model)
        flat = parameters_to_vector(model.parameters()).detach()
        vector_to_parameters(flat + step, model.parameters())
        return model


RIVALS = (Landscaper(), LossLandscapes(), PyHessian())
