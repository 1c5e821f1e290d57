"""The landscape analysis of a study: every seed and epoch of a cell around its own weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from topograph.config.models import Landscape, SupervisedTraining
from topograph.config.runs import Cell
from topograph.families.training import family_of, trained_state
from topograph.foundation.seeds import derive_seed
from topograph.geometry.directions import Directions, hessian_directions, random_directions
from topograph.landscape.hessian import hessian_eigenpairs
from topograph.landscape.sampling import axis, sample
from topograph.objective.objective import Objective

# What a caption must say of how a landscape was sampled.
ASKED = ("directions", "dimensions", "normalization", "distance", "dtype")
SCALARS = ("center_loss", "error_absolute", "error_relative")


def landscapes(cell: Cell, analysis: Landscape, weights: str | Path) -> xr.Dataset:
    """Sample a landscape for each seed and epoch: loss(seed, epoch, alpha_1, …, alpha_n).

    Also holds the metrics, the direction norms and cosines, the eigenvalues with their residuals,
    the loss at the centre and the measured errors; what was asked for is in the attributes, where
    ``examples`` is the number of training examples behind each loss, or ``all``. Seeds whose
    training diverged are NaN, with ``diverged`` 1.
    """
    epochs = [_epoch_number(cell, epoch) for epoch in analysis.epochs]
    grids = []
    for seed in cell.seeds:
        row = []
        for epoch in analysis.epochs:
            row.append(_one(cell, analysis, _state(cell, weights, seed, epoch), seed))
        grids.append(xr.concat(row, dim=xr.Variable("epoch", epochs), join="exact"))
    dataset = xr.concat(grids, dim=xr.Variable("seed", list(cell.seeds)), join="exact")
    asked = analysis.model_dump(include=set(ASKED)) | {"examples": analysis.examples or "all"}
    dataset.attrs = {"run": cell.run, **asked}
    return dataset


def _state(cell: Cell, weights: str | Path, seed: int, epoch: int | str) -> dict[str, np.ndarray]:
    """Return the weights of an epoch; those at the divergence for epochs that never came."""
    if epoch != "last" and int(epoch) <= _epoch_number(cell, "last"):
        last, _ = trained_state(weights, seed, "last")
        epoch = min(int(epoch), last)
    return trained_state(weights, seed, epoch)[1]


def _epoch_number(cell: Cell, epoch: int | str) -> int:
    if epoch != "last":
        return int(epoch)
    return cell.training.schedule.epochs if isinstance(cell.training, SupervisedTraining) else 1


def _one(cell: Cell, analysis: Landscape, state: Mapping[str, np.ndarray], seed: int) -> xr.Dataset:
    objective: Objective = family_of(cell.training).objective(cell.training, state, analysis)
    if not bool(objective.loss(objective.center).isfinite()):
        return _diverged(analysis)
    directions, found = _directions(objective, analysis, seed)
    dataset = sample(
        objective,
        directions,
        points=analysis.points,
        distance=analysis.distance,
        dtype=analysis.dtype,
    )
    for name in SCALARS:
        found[name] = dataset.attrs[name]
    return dataset.assign(found).assign(diverged=0)


def _directions(
    objective: Objective, analysis: Landscape, seed: int
) -> tuple[Directions, dict[str, Any]]:
    n, normalization = analysis.dimensions, analysis.normalization
    drawn = derive_seed(analysis.seed, "directions", seed)
    if analysis.directions == "random":
        return random_directions(objective, n, normalization=normalization, seed=drawn), {}
    pairs = hessian_eigenpairs(objective, n, seed=drawn, dtype=analysis.dtype)
    found = {
        "eigenvalue": ("direction", pairs.values),
        "eigenvalue_residual": ("direction", pairs.residuals),
    }
    return hessian_directions(pairs, n, normalization=normalization), found


def _diverged(analysis: Landscape) -> xr.Dataset:
    n = analysis.dimensions
    alphas = axis(analysis.distance, analysis.points)
    names = [f"alpha_{i + 1}" for i in range(n)]
    empty = np.full((analysis.points,) * n, np.nan)
    dataset = xr.Dataset({"loss": (names, empty)}, coords=dict.fromkeys(names, alphas))
    missing = {name: np.nan for name in SCALARS}
    return dataset.assign(missing).assign(diverged=1)
