"""A problem as DeepXDE sees it; the only place that imports deepxde."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from typing import Any

import numpy as np

from topograph.problems.problem import Problem


def load_deepxde() -> Any:
    """Import deepxde with its PyTorch backend and undo what the import changes.

    DeepXDE prints a banner and makes CUDA torch's default device where there is one.
    """
    import torch

    device = torch.get_default_device()
    os.environ["DDE_BACKEND"] = "pytorch"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        deepxde = importlib.import_module("deepxde")
    torch.set_default_device(device)
    return deepxde


class _ReverseSolution:
    """Derivatives by reverse mode, which DeepXDE uses in training."""

    def __init__(self, deepxde: Any, variables: tuple[str, ...], x: Any, u: Any) -> None:
        self._gradient, self._variables, self._x = deepxde.grad.jacobian, variables, x
        self.value = u

    def along(self, **direction: float) -> Any:
        terms = (
            weight * self._gradient(self.value, self._x, i=0, j=self._variables.index(name))
            for name, weight in direction.items()
        )
        return sum(terms)


def deepxde_data(problem: Problem) -> Any:
    """Return DeepXDE's data object: residual, initial and boundary loss in that order.

    The residual is averaged over the collocation points alone: they are anchors, the domain
    samples nothing, and ``PDE`` rather than ``TimePDE`` keeps initial and boundary points out.
    """
    deepxde = load_deepxde()
    points = problem.points()
    pairs = np.vstack([points.left, points.right])

    class PeriodicPairs(deepxde.icbc.PeriodicBC):  # type: ignore[name-defined]
        def collocation_points(self, _: np.ndarray) -> np.ndarray:
            return pairs

    _, t = problem.grid()
    domain = deepxde.geometry.GeometryXTime(
        deepxde.geometry.Interval(0, float(points.right[0, 0])),
        deepxde.geometry.TimeDomain(float(t[0]), float(t[-1])),
    )
    conditions = [
        deepxde.icbc.PointSetBC(points.initial, points.values),
        PeriodicPairs(domain, 0, lambda _, on_boundary: on_boundary),
    ]

    def equation(inputs: Any, outputs: Any) -> Any:
        return problem.residual(_ReverseSolution(deepxde, problem.variables, inputs, outputs))

    return deepxde.data.PDE(
        domain, equation, conditions, num_domain=0, num_boundary=0, anchors=points.collocation
    )
