"""Physics-informed networks, trained through DeepXDE; one seed is the unit of resuming."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from topograph.config.models import Landscape, PinnTraining
from topograph.families.build import build, build_model
from topograph.families.result import SeedResult, load_state, state_arrays
from topograph.foundation.seeds import derive_seed, torch_seed
from topograph.objective.objective import Objective
from topograph.objective.pinn import pinn_objective
from topograph.problems.problem import Problem
from topograph.problems.through_deepxde import deepxde_data, load_deepxde

LOSS_NAMES = ("residual", "initial", "boundary")


def train_seed(training: PinnTraining, seed: int, scratch: Path) -> SeedResult:
    """Train one seed with one call of L-BFGS and measure its errors on the test grid."""
    problem = build("problem", training.problem)
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
    row = {"epoch": 1.0, **dict(zip(LOSS_NAMES, map(float, losses), strict=True))}
    return SeedResult({0: initial, 1: state_arrays(model)}, [row], metrics)


def _train_through_deepxde(
    problem: Problem, model: torch.nn.Module, optimiser: torch.optim.Optimizer, seed: int
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
    """Return the predicted u(seed, x, t) and the exact u(x, t) on the test grid."""
    problem = build("problem", training.problem)
    x, t = problem.grid()
    predictions = [
        _solution(problem, load_state(build_model(training.model, 0), state))
        for state in states.values()
    ]
    exact = problem.exact(*np.meshgrid(x, t, indexing="ij"))
    return xr.Dataset(
        {"predicted": (("seed", "x", "t"), np.stack(predictions)), "exact": (("x", "t"), exact)},
        coords={"seed": list(states), "x": x, "t": t},
    )


def _solution(problem: Problem, model: torch.nn.Module) -> np.ndarray:
    x, t = problem.grid()
    nodes = np.stack(np.meshgrid(x, t, indexing="ij"), axis=-1).astype(np.float32)
    with torch.no_grad():
        return model(torch.from_numpy(nodes).reshape(-1, 2)).reshape(len(x), len(t)).numpy()


def _errors(problem: Problem, model: torch.nn.Module) -> dict[str, float]:
    exact = problem.exact(*np.meshgrid(*problem.grid(), indexing="ij"))
    error = _solution(problem, model) - exact
    return {
        "relative_error": float(np.linalg.norm(error) / np.linalg.norm(exact)),
        "absolute_error": float(np.abs(error).mean()),
    }


def objective(
    training: PinnTraining, state: Mapping[str, np.ndarray], analysis: Landscape
) -> Objective:
    """Return the true training loss around given weights."""
    model = load_state(build_model(training.model, 0), state).eval()
    return pinn_objective(build("problem", training.problem), model)
