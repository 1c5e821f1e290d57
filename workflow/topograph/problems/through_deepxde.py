"""A problem as DeepXDE sees it; the only place that imports deepxde."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from topograph.foundation.errors import TopographError
from topograph.problems.problem import is_deepxde

NEEDED = ("variables", "points", "residual", "grid", "exact")


def load_deepxde() -> Any:
    """Import deepxde with its PyTorch backend and undo what the import changes.

    DeepXDE prints a banner and makes CUDA torch's default device where there is one. On the CPU no
    default is set at all: torch would look for it in each of its calls, a quarter of the training.
    """
    import torch

    device = torch.get_default_device()
    os.environ["DDE_BACKEND"] = "pytorch"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        deepxde = importlib.import_module("deepxde")
    torch.set_default_device(None if device.type == "cpu" else device)
    return deepxde


class _ReverseSolution:
    """Derivatives by reverse mode, which DeepXDE uses in training."""

    def __init__(self, deepxde: Any, variables: tuple[str, ...], x: Any, u: Any) -> None:
        self._gradient, self._variables, self._x = deepxde.grad.jacobian, variables, x
        self.value = u

    def coordinate(self, name: str) -> Any:
        return self._x[:, self._variables.index(name), None]

    def along(self, *, order: int = 1, **direction: float) -> Any:
        found = self.value
        for _ in range(order):
            found = sum(
                weight * self._gradient(found, self._x, i=0, j=self._variables.index(name))
                for name, weight in direction.items()
            )
        return found


def deepxde_data(problem: Any) -> Any:
    """Return DeepXDE's data object of a problem: residual, initial and boundary loss in that order.

    One that is DeepXDE's already is returned as it is. The residual is averaged over the
    collocation points alone: they are anchors, the domain samples nothing, and ``PDE`` rather than
    ``TimePDE`` keeps initial and boundary points out.
    """
    if is_deepxde(problem):
        return problem
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


def deepxde_losses(data: Any, network: Callable[[Any], Any], like: Any) -> dict[str, Any]:
    """Return the mean squares of a ``deepxde.data.PDE``: its residuals, then its conditions.

    ``network`` maps inputs (points, in) to outputs; inputs come in the dtype and on the device of
    ``like``, and the results carry a graph wherever gradients are enabled outside.
    """
    import torch

    # The data's own module is loaded; loading it again at each point would set devices anew.
    deepxde = sys.modules["deepxde"]
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        inputs = torch.as_tensor(data.train_x).to(like).requires_grad_()
        losses = data.losses(None, network(inputs), torch.nn.functional.mse_loss, inputs, None)
    deepxde.grad.clear()
    kept = losses if graph else [loss.detach() for loss in losses]
    return dict(zip(term_names(data, len(losses)), kept, strict=True))


def term_names(problem: Any, count: int) -> list[str]:
    """Return the names of the ``count`` terms of a loss, in DeepXDE's order."""
    if not is_deepxde(problem):
        return ["residual", "initial", "boundary"]
    conditions = len(problem.bcs)
    names = [f"residual_{i + 1}" for i in range(count - conditions)]
    return names + [f"condition_{i + 1}" for i in range(conditions)]


def require_problem(problem: Any, name: str) -> None:
    """Raise TopographError for what is neither a Problem nor a PDE of DeepXDE's that we can train.

    ``name`` is that of the target in the message.
    """
    if not is_deepxde(problem):
        lacking = [n for n in NEEDED if not hasattr(problem, n)]
        if lacking:
            raise TopographError(
                f"{name} made {type(problem).__name__}, which lacks {', '.join(lacking)}; allowed: "
                "a deepxde.data.PDE or TimePDE, or a topograph.problems.problem.Problem"
            )
    elif not isinstance(problem, load_deepxde().data.PDE):
        raise TopographError(
            f"{name} made deepxde's {type(problem).__name__}; allowed: deepxde.data.PDE or TimePDE"
        )
    elif problem.auxiliary_var_fn is not None:
        raise TopographError(
            f"{name} has auxiliary_var_function, without which a loss cannot be sampled here; "
            "compute the variables inside the equation"
        )
