"""The landscape analysis of a study: every seed and epoch of a cell around its own weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from topograph.config.models import Landscape, SupervisedTraining
from topograph.config.runs import Cell
from topograph.families.training import family_of, trained_state
from topograph.foundation.provenance import digest
from topograph.foundation.seeds import derive_seed
from topograph.foundation.storage import read_weights, write_dataset, write_weights
from topograph.geometry.directions import (
    Directions,
    Eigenpairs,
    hessian_directions,
    random_directions,
)
from topograph.landscape.grid import axis
from topograph.landscape.hessian import hessian_eigenpairs
from topograph.landscape.sampling import remeasured, sample
from topograph.objective.objective import Objective
from topograph.topology.merge_tree import merge_tree

# What a caption must say of how a landscape was sampled.
ASKED = (
    "directions",
    "dimensions",
    "normalization",
    "distance",
    "dtype",
    "objective",
    "batch_norm",
)
SCALARS = ("center_loss", "error_absolute", "error_relative", "engine")


def write_landscapes(
    cell: Cell,
    analysis: Landscape,
    weights: str | Path,
    path: str | Path,
    *,
    scratch: str | Path,
    code: str,
    device: str = "cpu",
) -> None:
    """Write the landscapes of a cell to ``path``; work in progress lies in ``scratch``.

    It lies there under the digest of the analysis, the weights' objective and ``code``, and is
    removed once the file is written: a killed job goes on where it was.
    """
    work = Path(scratch) / f"landscape-{digest([str(path), analysis.model_dump(), code, device])}"
    write_dataset(path, landscapes(cell, analysis, weights, work=work, device=device))
    shutil.rmtree(work, ignore_errors=True)


def landscapes(
    cell: Cell,
    analysis: Landscape,
    weights: str | Path,
    *,
    work: Path | None = None,
    device: str = "cpu",
) -> xr.Dataset:
    """Sample a landscape for each seed and epoch: loss(seed, epoch, alpha_1, …, alpha_n).

    Also holds the metrics, the direction norms and cosines, the eigenvalues with their residuals,
    the loss at the centre, the measured errors and the engine; what was asked for is in the
    attributes, where ``examples`` is the number of training examples behind each loss, or ``all``.
    Seeds whose training diverged are NaN, with ``diverged`` 1.
    """
    epochs = [_epoch_number(cell, epoch) for epoch in analysis.epochs]
    grids = []
    for seed in cell.seeds:
        row = []
        for epoch in analysis.epochs:
            state = _state(cell, weights, seed, epoch)
            row.append(_one(cell, analysis, state, seed, work, device))
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


def _one(
    cell: Cell,
    analysis: Landscape,
    state: Mapping[str, np.ndarray],
    seed: int,
    work: Path | None,
    device: str,
) -> xr.Dataset:
    objective: Objective = family_of(cell.training).objective(cell.training, state, analysis)
    if not bool(objective.loss(objective.center).isfinite()):
        return _diverged(analysis)
    stem = work / objective.digest if work else None
    directions, found = _directions(objective, analysis, seed, device, stem)
    dataset = sample(
        objective,
        directions,
        points=analysis.points,
        distance=analysis.distance,
        dtype=analysis.dtype,
        device=device,
        path=stem and stem.with_suffix(".nc"),
    )
    if analysis.dtype != "float64":
        pairs = merge_tree(dataset["loss"], analysis.connectivity).pairs
        critical = pairs[["birth_vertex", "death_vertex"]].to_numpy().ravel()
        dataset = remeasured(objective, directions, dataset, critical[critical >= 0])
    for name in SCALARS:
        found[name] = dataset.attrs[name]
    return dataset.assign(found).assign(diverged=0)


def _directions(
    objective: Objective, analysis: Landscape, seed: int, device: str, stem: Path | None
) -> tuple[Directions, dict[str, Any]]:
    n, normalization = analysis.dimensions, analysis.normalization
    drawn = derive_seed(analysis.seed, "directions", seed)
    if analysis.directions == "random":
        return random_directions(objective, n, normalization=normalization, seed=drawn), {}
    dtype = "float64" if analysis.dtype == "float64" else "float32"
    pairs = _eigenpairs(objective, n, drawn, dtype, device, stem)
    found = {
        "eigenvalue": ("direction", pairs.values),
        "eigenvalue_residual": ("direction", pairs.residuals),
    }
    return hessian_directions(pairs, n, normalization=normalization), found


def _eigenpairs(
    objective: Objective, n: int, seed: int, dtype: str, device: str, stem: Path | None
) -> Eigenpairs:
    """Return eigenpairs, kept on disk: a landscape that goes on needs the very same directions."""
    file = stem and stem.with_suffix(".eigenpairs.safetensors")
    if file and file.is_file():
        arrays, header = read_weights(file)
        known = json.loads(header["eigenpairs"])
        vectors = {name: torch.from_numpy(arrays[name]) for name in objective.names}
        values, residuals = np.array(known["values"]), np.array(known["residuals"])
        return Eigenpairs(values, vectors, residuals, known["products"], objective)
    pairs = hessian_eigenpairs(objective, n, seed=seed, dtype=dtype, device=device)
    if file:
        known = {
            "values": pairs.values.tolist(),
            "residuals": pairs.residuals.tolist(),
            "products": pairs.products,
        }
        arrays = {name: value.numpy() for name, value in pairs.vectors.items()}
        write_weights(file, arrays, {"eigenpairs": json.dumps(known)})
    return pairs


def _diverged(analysis: Landscape) -> xr.Dataset:
    n = analysis.dimensions
    alphas = axis(analysis.distance, analysis.points)
    names = [f"alpha_{i + 1}" for i in range(n)]
    empty = np.full((analysis.points,) * n, np.nan)
    dataset = xr.Dataset({"loss": (names, empty)}, coords=dict.fromkeys(names, alphas))
    missing = {name: np.nan for name in SCALARS if name != "engine"} | {"engine": "none"}
    return dataset.assign(missing).assign(diverged=1)
