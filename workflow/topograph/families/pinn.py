"""Physics-informed networks, trained through DeepXDE; one seed is the unit of resuming."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from topograph.config.models import Around, PinnTraining, Target
from topograph.config.targets import resolve
from topograph.data.dataset import sum_of
from topograph.families.build import build, build_model
from topograph.families.result import SeedResult, load_state, state_arrays
from topograph.foundation.seeds import all_seeded, derive_seed, torch_seed
from topograph.objective.objective import Objective
from topograph.objective.pinn import pinn_objective
from topograph.problems.problem import is_deepxde
from topograph.problems.through_deepxde import (
    deepxde_data,
    load_deepxde,
    require_problem,
    term_names,
)


def build_problem(target: Target) -> Any:
    """Build a problem of ours or a ``deepxde.data.PDE``, with the same points at every call.

    Raises TopographError for what is neither.
    """
    if not resolve("problem", target.target).startswith("topograph."):
        # It may import deepxde itself, which must find our backend and leave the device alone.
        load_deepxde()
    with all_seeded(derive_seed(0, "problem")):
        problem = build("problem", target)
    require_problem(problem, f"problem {target.target!r}")
    return problem


def data_sums(training: PinnTraining) -> dict[str, str]:
    """Return the SHA-256, in hex, of the training points, by the target of the problem."""
    problem = build_problem(training.problem)
    arrays = [problem.train_x] if is_deepxde(problem) else problem.points()
    return {training.problem.target: sum_of(arrays)}


def train_seed(training: PinnTraining, seed: int, scratch: Path) -> SeedResult:
    """Train one seed with one call of L-BFGS and measure its errors on the test points."""
    problem = build_problem(training.problem)
    model = build_model(training.model, seed)
    initial = state_arrays(model)
    optimiser = training.optimiser
    lbfgs = torch.optim.LBFGS(
        model.parameters(),
        lr=optimiser.learning_rate,
        max_iter=optimiser.max_iterations,
        history_size=optimiser.history,
        tolerance_grad=optimiser.tolerance,
        tolerance_change=optimiser.tolerance,
        line_search_fn="strong_wolfe",
    )
    losses = _train_through_deepxde(problem, model, lbfgs, seed)
    iterations = lbfgs.state_dict()["state"][0]["n_iter"]
    finite = all(bool(p.isfinite().all()) for p in model.parameters())
    metrics = {
        "diverged": float(not (finite and np.isfinite(losses).all())),
        "iterations": float(iterations),
        "train_loss": float(losses.sum()),
        **_errors(problem, model),
    }
    names = term_names(problem, len(losses))
    row = {"epoch": 1.0, **dict(zip(names, map(float, losses), strict=True))}
    return SeedResult({0: initial, 1: state_arrays(model)}, [row], metrics)


def _train_through_deepxde(
    problem: Any, model: torch.nn.Module, optimiser: torch.optim.Optimizer, seed: int
) -> np.ndarray:
    """Run DeepXDE's training and return its loss terms at the final weights.

    ``compile`` gets our optimiser because DeepXDE's own L-BFGS ignores the learning rate, and
    ``iterations=1`` because one ``step`` runs L-BFGS to its end.
    """
    deepxde = load_deepxde()
    # DeepXDE reads this attribute of its own networks from any network.
    model.regularizer = getattr(model, "regularizer", None)  # type: ignore[assignment]
    with torch_seed(derive_seed(seed, "training")):
        trainer = deepxde.Model(deepxde_data(problem), model)
        trainer.compile(optimiser, verbose=0)
        trainer.train(iterations=1, display_every=10**9, verbose=0)
        state = trainer.train_state
        _, losses = trainer._outputs_losses(True, state.X_train, state.y_train, None)
    return np.asarray(losses, dtype=float)


def predict(training: PinnTraining, states: Mapping[int, Mapping[str, np.ndarray]]) -> xr.Dataset:
    """Return what the networks predict on the test points, and the exact solution where known.

    Of a problem of ours: predicted(seed, x, t) and exact(x, t). Of one of DeepXDE's:
    predicted(seed, point, output), exact(point, output) and the points, inputs(point, input).
    """
    problem = build_problem(training.problem)
    points, exact = _test_points(problem)
    models = (load_state(build_model(training.model, 0), state) for state in states.values())
    predicted = np.stack([_outputs(model, points) for model in models])
    dims: tuple[str, ...] = ("point", "output")
    variables: dict[str, Any] = {"inputs": (("point", "input"), points)}
    coordinates: dict[str, Any] = {"seed": list(states)}
    if not is_deepxde(problem):
        dims, variables = ("x", "t"), {}
        coordinates |= dict(zip(dims, problem.grid(), strict=True))
        shape = tuple(len(coordinates[name]) for name in dims)
        predicted = predicted.reshape(-1, *shape)
        exact = exact.reshape(shape)
    if exact is not None:
        variables["exact"] = (dims, exact)
    return xr.Dataset({"predicted": (("seed", *dims), predicted), **variables}, coords=coordinates)


def _test_points(problem: Any) -> tuple[np.ndarray, Any]:
    """Return test points (N, inputs) and the exact solution there (N, outputs), or None."""
    if is_deepxde(problem):
        points, exact, _ = problem.test()
        return points, None if exact is None else np.asarray(exact).reshape(len(points), -1)
    x, t = np.meshgrid(*problem.grid(), indexing="ij")
    return np.stack([x, t], axis=-1).reshape(-1, 2), problem.exact(x, t).reshape(-1, 1)


def _outputs(model: torch.nn.Module, points: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model.eval()(torch.from_numpy(points.astype(np.float32))).numpy()


def _errors(problem: Any, model: torch.nn.Module) -> dict[str, float]:
    """Return the errors over all test points and outputs, nothing where no solution is known."""
    points, exact = _test_points(problem)
    if exact is None:
        return {}
    error = _outputs(model, points) - exact
    return {
        "relative_error": float(np.linalg.norm(error) / np.linalg.norm(exact)),
        "absolute_error": float(np.abs(error).mean()),
    }


def objective(
    training: PinnTraining, state: Mapping[str, np.ndarray], analysis: Around
) -> Objective:
    """Return the true training loss around given weights."""
    problem = build_problem(training.problem)
    model = load_state(build_model(training.model, 0), state).eval()
    return pinn_objective(problem, model)
