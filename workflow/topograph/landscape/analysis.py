"""The landscape analysis of a study: every seed and epoch of a cell around its own weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr

from topograph.config.models import Landscape, SupervisedTraining
from topograph.config.runs import Cell
from topograph.families.training import family_of, trained_state
from topograph.foundation.provenance import digest
from topograph.foundation.seeds import derive_seed
from topograph.foundation.storage import (
    read_weights,
    remove_others,
    write_dataset,
    write_json,
    write_weights,
)
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

ERRORS = ("error_absolute", "error_relative")
# What a caption must say of how a landscape was sampled.
ASKED = (
    "directions",
    "dimensions",
    "normalization",
    "distance",
    "extent",
    "dtype",
    "objective",
    "batch_norm",
)
PLANNED = ("key", "engine", "device", "tile", "threads")
SCALARS = ("center_loss", *ERRORS, *PLANNED)


class Landscapes(NamedTuple):
    """The landscapes of a cell, and their directions by ``seed/epoch/parameter``, (n, …) each."""

    dataset: xr.Dataset
    directions: dict[str, np.ndarray]


def write_landscapes(
    cell: Cell,
    analysis: Landscape,
    weights: str | Path,
    path: str | Path,
    *,
    directions: str | Path,
    scratch: str | Path,
    code: str,
    device: str = "cpu",
) -> None:
    """Write the landscapes of a cell to ``path`` and their directions beside it.

    Each is kept in ``scratch`` under the digest of the analysis and of ``code``: a killed job goes
    on where it was, and another seed costs only its own landscapes. What an older analysis or code
    left there is removed.
    """
    work = Path(scratch) / digest([analysis.model_dump(), code, device])
    found = landscapes(cell, analysis, weights, work=work, device=device)
    write_weights(directions, found.directions, {"run": cell.run})
    write_dataset(path, found.dataset)
    remove_others(work)


def write_part(
    cell: Cell,
    analysis: Landscape,
    weights: str | Path,
    path: str | Path,
    *,
    shard: tuple[int, int],
    scratch: str | Path,
    code: str,
    device: str = "cpu",
) -> None:
    """Sample the i-th of k parts of every landscape of a cell, for ``shard`` (i, k).

    The parts may run anywhere that sees ``scratch``; ``write_landscapes`` with the same ``code``
    then only puts them together, to the same bits as without parts. ``path`` records that it is
    done.
    """
    work = Path(scratch) / digest([analysis.model_dump(), code, device])
    landscapes(cell, analysis, weights, work=work, device=device, shard=shard)
    write_json(path, {"run": cell.run, "shard": list(shard)})


def landscapes(
    cell: Cell,
    analysis: Landscape,
    weights: str | Path,
    *,
    work: Path | None = None,
    device: str = "cpu",
    shard: tuple[int, int] = (0, 1),
) -> Landscapes:
    """Sample a landscape for each seed and epoch: loss(seed, epoch, alpha_1, …, alpha_n).

    Also holds the metrics, the direction norms and cosines, the eigenvalues with their residuals,
    the loss at the centre, the measured errors and the plan of the evaluation; what was asked for
    is in the attributes, where ``examples`` is the number of training examples behind each loss, or
    ``all``. Seeds whose training diverged are NaN, with ``diverged`` 1, and have no directions.
    With ``shard`` (i, k) the i-th of k parts of each is sampled into ``work``.
    """
    epochs = [epoch_number(cell, epoch) for epoch in analysis.epochs]
    directions: dict[str, np.ndarray] = {}
    grids = []
    for seed in cell.seeds:
        row = []
        for number, epoch in zip(epochs, analysis.epochs, strict=True):
            state = state_at(cell, weights, seed, epoch)
            one, vectors = _one(cell, analysis, state, seed, work, device, shard)
            row.append(one)
            named = {f"{seed}/{number}/{name}": value for name, value in vectors.items()}
            directions |= {name: value.numpy() for name, value in named.items()}
        grids.append(xr.concat(row, dim=xr.Variable("epoch", epochs), join="exact"))
    dataset = xr.concat(grids, dim=xr.Variable("seed", list(cell.seeds)), join="exact")
    asked = analysis.model_dump(include=set(ASKED)) | {"examples": analysis.examples or "all"}
    dataset.attrs = {"run": cell.run, **asked}
    return Landscapes(dataset, directions)


def measured_again(
    cell: Cell,
    analysis: Landscape,
    weights: str | Path,
    found: Landscapes,
    vertices: Mapping[tuple[int, int], np.ndarray],
) -> xr.Dataset:
    """Return the landscapes with their errors measured at more vertices, given by (seed, epoch).

    ``vertices`` are numbers of grid points in C order: the births and deaths of a tree, whose
    persistence is read against these errors.
    """
    dataset = found.dataset.copy()
    for name in ERRORS:
        dataset[name] = dataset[name].copy()
    for (seed, epoch), chosen in vertices.items():
        one = dataset.sel(seed=seed, epoch=epoch)
        state = state_at(cell, weights, seed, epoch)
        objective = family_of(cell.training).objective(cell.training, state, analysis)
        prefix = f"{seed}/{epoch}/"
        directions = Directions(
            {name: torch.from_numpy(found.directions[prefix + name]) for name in objective.names},
            *(torch.from_numpy(one[name].values) for name in ("norm", "cosine")),
        )
        plan = {name: one[name].item() for name in SCALARS} | {"dtype": analysis.dtype}
        errors = remeasured(objective, directions, one.assign_attrs(plan), chosen).attrs
        for name in ERRORS:
            dataset[name].loc[{"seed": seed, "epoch": epoch}] = errors[name]
    return dataset


def state_at(cell: Cell, weights: str | Path, seed: int, epoch: int | str) -> dict[str, np.ndarray]:
    """Return the weights of an epoch; those at the divergence for epochs that never came."""
    if epoch != "last" and int(epoch) <= epoch_number(cell, "last"):
        last, _ = trained_state(weights, seed, "last")
        epoch = min(int(epoch), last)
    return trained_state(weights, seed, epoch)[1]


def epoch_number(cell: Cell, epoch: int | str) -> int:
    """Return an epoch of an analysis as a number; a pinn has 0 and 1."""
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
    shard: tuple[int, int],
) -> tuple[xr.Dataset, Mapping[str, torch.Tensor]]:
    objective: Objective = family_of(cell.training).objective(cell.training, state, analysis)
    if not bool(objective.loss(objective.center).isfinite()):
        return _diverged(analysis), {}
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
        shard=shard,
    )
    for name in SCALARS:
        found[name] = dataset.attrs[name]
    return dataset.assign(found).assign(diverged=0), directions.vectors


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
    chosen = hessian_directions(pairs, n, normalization=normalization, extent=analysis.extent)
    return chosen, found


def _eigenpairs(
    objective: Objective, n: int, seed: int, dtype: str, device: str, stem: Path | None
) -> Eigenpairs:
    """Return eigenpairs, kept on disk: a landscape that goes on needs the very same directions."""
    file = stem and stem.with_suffix(".eigenpairs.safetensors")
    if file and file.is_file():
        return _kept_eigenpairs(objective, file)
    pairs = hessian_eigenpairs(objective, n, seed=seed, dtype=dtype, device=device)
    if file:
        known = {
            "values": pairs.values.tolist(),
            "residuals": pairs.residuals.tolist(),
            "products": pairs.products,
        }
        arrays = {name: value.numpy() for name, value in pairs.vectors.items()}
        # Parts that start together on several machines must take the same directions.
        write_weights(file, arrays, {"eigenpairs": json.dumps(known)}, replace=False)
        return _kept_eigenpairs(objective, file)
    return pairs


def _kept_eigenpairs(objective: Objective, file: Path) -> Eigenpairs:
    arrays, header = read_weights(file)
    known = json.loads(header["eigenpairs"])
    vectors = {name: torch.from_numpy(arrays[name]) for name in objective.names}
    values, residuals = np.array(known["values"]), np.array(known["residuals"])
    return Eigenpairs(values, vectors, residuals, known["products"], objective)


def _diverged(analysis: Landscape) -> xr.Dataset:
    n = analysis.dimensions
    alphas = axis(analysis.distance, analysis.points)
    names = [f"alpha_{i + 1}" for i in range(n)]
    empty = np.full((analysis.points,) * n, np.nan)
    dataset = xr.Dataset({"loss": (names, empty)}, coords=dict.fromkeys(names, alphas))
    texts = {name: "none" for name in PLANNED[:3]} | {name: 0 for name in PLANNED[3:]}
    return dataset.assign(dict.fromkeys(("center_loss", *ERRORS), np.nan) | texts).assign(
        diverged=1
    )
