"""Jump and retrain: rays from trained weights, each retrained and recorded (Horoi et al. 2022)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from topograph.config.models import JumpRetrain, Sgd, SupervisedTraining
from topograph.config.runs import Cell
from topograph.data.dataset import Dataset
from topograph.families.build import build_data, build_loss
from topograph.families.result import load_state
from topograph.families.supervised import build_network, evaluate, make_optimiser, train_epoch
from topograph.families.training import trained_state
from topograph.foundation.errors import DataError, TopographError
from topograph.foundation.progress import track
from topograph.foundation.provenance import code_digest, digest
from topograph.foundation.seeds import derive_seed
from topograph.foundation.storage import read_weights, write_dataset, write_weights
from topograph.geometry.directions import random_directions
from topograph.objective.model import Function
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten
from topograph.trajectory.returns import return_statistics

RECORDED = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
# Columns of the offset matrix per product, which bounds the float64 copy.
GRAM_CHUNK = 65_536


def write_trajectories(
    cell: Cell,
    analysis: JumpRetrain,
    weights: str | Path,
    path: str | Path,
    *,
    scratch: str | Path,
) -> None:
    """Write the trajectories of a cell to ``path``; ``scratch`` keeps finished seeds until then."""
    trajectories = jump_and_retrain(
        cell,
        weights,
        scratch,
        seeds=analysis.seeds,
        steps=analysis.steps,
        epochs=analysis.epochs,
        batch=analysis.batch,
        learning_rate=analysis.learning_rate,
        weights_seed=analysis.weights_seed,
    )
    write_dataset(path, trajectories)
    # The offsets are many times larger than what the analysis keeps of them.
    shutil.rmtree(scratch)


def jump_and_retrain(
    cell: Cell,
    weights: str | Path,
    path: str | Path,
    *,
    seeds: Sequence[int],
    steps: Sequence[float],
    epochs: int,
    batch: int | None = None,
    learning_rate: float = 0.001,
    weights_seed: int = 0,
) -> xr.Dataset:
    """Jump by each step along one filter-normalised ray per seed and retrain for ``epochs``.

    Epoch 0 is the jump itself. The steps of a seed share the direction and the order of the
    batches; the optimiser is new, SGD with the weight decay of the training and a constant
    learning rate; batch norm keeps the statistics of the trained model until retraining moves
    them (sections 2 and 3 of Horoi et al. 2022 and their code). ``path`` keeps finished seeds,
    which a later call does not repeat.

    Returns losses and accuracies (seed, step, epoch); ``gram`` (point, other), inner products of
    theta - theta_o in float64, points in the order (seed, step, epoch); the return statistics.
    Raises TopographError for a family that is not supervised; weights that are NaN give NaN.
    """
    training = cell.training
    if not isinstance(training, SupervisedTraining):
        raise TopographError(f"{cell.run} is of family {training.family}; allowed: supervised")
    _, state = trained_state(weights, weights_seed, "last")
    settings = {
        "steps": list(steps),
        "epochs": epochs,
        "batch": batch or training.schedule.batch,
        "rate": learning_rate,
    }
    code = code_digest(__name__, *cell.modules)
    key = digest([training.model_dump(), settings, _digest(state), code])
    folder = Path(path) / key
    rays = [
        _ray(training, state, seed, settings, folder / f"jump-{seed}.safetensors")
        for seed in track(seeds, f"jumps from {cell.run}", len(seeds))
    ]
    offsets = np.concatenate([ray["offsets"].reshape(-1, ray["offsets"].shape[-1]) for ray in rays])
    return _dataset(offsets, rays, seeds, steps, epochs).assign_attrs(run=cell.run)


def _digest(state: Mapping[str, np.ndarray]) -> str:
    return digest({name: value.tobytes().hex() for name, value in state.items()})


def _ray(
    training: SupervisedTraining,
    state: Mapping[str, np.ndarray],
    seed: int,
    settings: Mapping[str, Any],
    file: Path,
) -> dict[str, np.ndarray]:
    """Return offsets (step, epoch, parameter) and records (step, epoch) of one seed."""
    if file.is_file():
        try:
            return read_weights(file)[0]
        except DataError:
            file.unlink()
    dataset = build_data(training.data)
    model = load_state(build_network(training, dataset, 0), state)
    origin = {name: p.detach().clone() for name, p in model.named_parameters()}
    direction = _direction(model, dataset, build_loss(training.loss), seed)
    trajectories = []
    for step in settings["steps"]:
        load_state(model, state)
        jumped = {name: origin[name] + step * direction[name] for name in origin}
        trajectories.append(_retrain(model, jumped, origin, training, dataset, seed, settings))
    ray = {
        name: np.stack([trajectory[name] for trajectory in trajectories])
        for name in trajectories[0]
    }
    write_weights(file, ray, {"settings": json.dumps(dict(settings))})
    return ray


def _direction(model: nn.Module, dataset: Dataset, loss: Function, seed: int) -> dict[str, Tensor]:
    first = (dataset.train_inputs[:1], dataset.train_targets[:1])
    objective = Objective.from_model(model.eval(), loss, first)
    drawn = random_directions(objective, 1, seed=derive_seed(seed, "jump"))
    return {name: value[0] for name, value in drawn.vectors.items()}


def _retrain(
    model: nn.Module,
    start: Mapping[str, Tensor],
    origin: Mapping[str, Tensor],
    training: SupervisedTraining,
    dataset: Dataset,
    seed: int,
    settings: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(start[name])
    decay = training.optimiser.weight_decay
    optimiser = make_optimiser(
        model, Sgd(name="sgd", learning_rate=settings["rate"], weight_decay=decay)
    )
    anchor, loss = flatten(origin), build_loss(training.loss)
    offsets, records = [], []
    for epoch in range(settings["epochs"] + 1):
        if epoch:
            order = derive_seed(seed, "retrain", epoch)
            train_epoch(model, optimiser, dataset, loss, batch=settings["batch"], seed=order)
        offsets.append((flatten(dict(model.named_parameters())).detach() - anchor).numpy())
        records.append(evaluate(model, dataset, loss))
    recorded = {name: np.array([row[name] for row in records]) for name in RECORDED}
    return {"offsets": np.stack(offsets), **recorded}


def gram_matrix(offsets: np.ndarray) -> np.ndarray:
    """Return the inner products (M, M) of offsets (M, N), float64, summed over column blocks."""
    total = np.zeros((len(offsets), len(offsets)))
    for start in range(0, offsets.shape[1], GRAM_CHUNK):
        block = offsets[:, start : start + GRAM_CHUNK].astype(np.float64)
        total += block @ block.T
    return total


def _dataset(
    offsets: np.ndarray,
    rays: Sequence[Mapping[str, np.ndarray]],
    seeds: Sequence[int],
    steps: Sequence[float],
    epochs: int,
) -> xr.Dataset:
    dims = ("seed", "step", "epoch")
    shape = (len(seeds), len(steps), epochs + 1)
    gram = gram_matrix(offsets)
    blocks = gram.reshape(shape[0] * shape[1], shape[2], shape[0] * shape[1], shape[2])
    own = np.stack([blocks[i, :, i, :] for i in range(shape[0] * shape[1])])
    returns = return_statistics(own)
    return xr.Dataset(
        {
            "gram": (("point", "other"), gram),
            **{name: (dims, np.stack([ray[name] for ray in rays])) for name in RECORDED},
            **{name: (dims, value.reshape(shape)) for name, value in returns.items()},
        },
        coords={"seed": list(seeds), "step": list(steps), "epoch": list(range(epochs + 1))},
    )
