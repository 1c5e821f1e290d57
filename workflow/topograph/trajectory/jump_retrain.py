"""Jump and retrain: rays from trained weights, each retrained and recorded (Horoi et al. 2022)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from topograph.config.models import JumpRetrain, Sgd, SupervisedTraining
from topograph.config.runs import Cell
from topograph.data.dataset import Dataset
from topograph.families.build import build_data, build_loss
from topograph.families.result import load_state
from topograph.families.supervised import (
    EVALUATION_BATCH,
    build_network,
    evaluate,
    make_optimiser,
    train_epoch,
)
from topograph.families.training import trained_state
from topograph.foundation.errors import TopographError
from topograph.foundation.progress import track
from topograph.foundation.provenance import code_digest, digest
from topograph.foundation.seeds import derive_seed
from topograph.foundation.storage import write_dataset
from topograph.geometry.directions import random_directions
from topograph.objective.model import Function
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten
from topograph.trajectory.offsets import gram_of, read_records, write_trajectory
from topograph.trajectory.returns import return_statistics

RECORDED = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
# The published code keeps the same examples out of all retrainings.
HELD_OUT_SEED = 4


@dataclass(frozen=True)
class Retraining:
    """How every point is retrained: SGD from empty buffers at a constant learning rate.

    ``batch_norm`` "stale" leaves the buffers of the trained model at the jump, "recalibrated" takes
    them anew from the data there. ``held_out`` is the share of the training examples that
    retraining does not see.
    """

    epochs: int
    batch: int
    learning_rate: float
    momentum: float
    batch_norm: str
    held_out: float


def write_trajectories(
    cell: Cell,
    analysis: JumpRetrain,
    weights: str | Path,
    path: str | Path,
    *,
    scratch: str | Path,
) -> None:
    """Write the trajectories of a cell to ``path``; ``scratch`` keeps finished ones until then."""
    trajectories = jump_and_retrain(
        cell,
        weights,
        scratch,
        seeds=analysis.seeds,
        steps=analysis.steps,
        epochs=analysis.epochs,
        batch=analysis.batch,
        learning_rate=analysis.learning_rate,
        momentum=analysis.momentum,
        batch_norm=analysis.batch_norm,
        held_out=analysis.held_out,
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
    momentum: float = 0.9,
    batch_norm: str = "stale",
    held_out: float = 0.0,
    weights_seed: int = 0,
) -> xr.Dataset:
    """Jump by each step along one filter-normalised ray per seed and retrain for ``epochs``.

    Epoch 0 is the jump itself. The steps of a seed share the direction and the order of the
    batches; the optimiser is new, SGD with the weight decay of the training; batch size and
    augmentation are the training's. A step of 0 is a control: no jump, and so no return statistics.
    For ``batch_norm`` and ``held_out`` see `Retraining`. ``path`` keeps finished trajectories,
    which a later call does not repeat.

    Returns losses and accuracies (seed, step, epoch), on the examples retrained on and on the test
    set; ``diverged`` (seed, step), 1 where a loss is not finite; ``gram`` (point, other), inner
    products of theta - theta_o in float64, points in the order (seed, step, epoch); the return
    statistics. Raises TopographError for a family that is not supervised and a ``held_out`` that
    leaves nothing; weights that are NaN give NaN.
    Source: sections 2 and 3 of Horoi et al. 2022 (arXiv 2102.00485) and their code.
    """
    training = cell.training
    if not isinstance(training, SupervisedTraining):
        raise TopographError(f"{cell.run} is of family {training.family}; allowed: supervised")
    how = Retraining(
        epochs, batch or training.schedule.batch, learning_rate, momentum, batch_norm, held_out
    )
    _, state = trained_state(weights, weights_seed, "last")
    code = code_digest(__name__, *cell.modules)
    folder = Path(path) / digest([training.model_dump(), vars(how), _digest(state), code])
    rays = [
        _ray(training, state, seed, steps, how, folder)
        for seed in track(seeds, f"jumps from {cell.run}", len(seeds))
    ]
    gram = gram_of([_file(folder, seed, step) for seed in seeds for step in steps])
    return _dataset(gram, rays, seeds, steps, epochs).assign_attrs(
        run=cell.run, batch_norm=batch_norm
    )


def _digest(state: Mapping[str, np.ndarray]) -> str:
    return digest({name: value.tobytes().hex() for name, value in state.items()})


def _file(folder: Path, seed: int, step: float) -> Path:
    return folder / f"jump-{seed}-{step!r}.safetensors"


def _ray(
    training: SupervisedTraining,
    state: Mapping[str, np.ndarray],
    seed: int,
    steps: Sequence[float],
    how: Retraining,
    folder: Path,
) -> dict[str, np.ndarray]:
    """Return the records (step, epoch) of one seed; what is finished in ``folder`` is read."""
    found: dict[float, dict[str, np.ndarray]] = {}
    for step in steps:
        if records := read_records(_file(folder, seed, step)):
            found[step] = records
    if left := [step for step in steps if step not in found]:
        dataset = without(build_data(training.data), how.held_out)
        model = load_state(build_network(training, dataset, 0), state)
        loss = build_loss(training.loss)
        origin = {name: p.detach().clone() for name, p in model.named_parameters()}
        direction = _direction(model, dataset, loss, seed)
        for step in left:
            load_state(model, state)
            jumped = {name: origin[name] + step * direction[name] for name in origin}
            offsets, records = _retrain(model, jumped, origin, training, dataset, seed, how)
            write_trajectory(_file(folder, seed, step), offsets, records, vars(how))
            found[step] = records
    return {name: np.stack([found[step][name] for step in steps]) for name in RECORDED}


def without(dataset: Dataset, share: float) -> Dataset:
    """Return a data set without a share of its training examples, the same ones each time.

    Raises TopographError where none would be left.
    """
    count = len(dataset.train_inputs)
    out = round(share * count)
    if not 0 <= out < count:
        raise TopographError(
            f"held_out is {share} of {count} training examples; allowed: from 0, all are retrained "
            "on, to below 1; the published share is 0.1"
        )
    if not out:
        return dataset
    kept = torch.from_numpy(np.random.default_rng(HELD_OUT_SEED).permutation(count)[out:])
    kept = kept.sort().values
    return replace(
        dataset,
        train_inputs=dataset.train_inputs[kept],
        train_targets=dataset.train_targets[kept],
    )


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
    how: Retraining,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return offsets (epoch, parameter) and records (epoch,), epoch 0 being the start."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(start[name])
    if how.batch_norm == "recalibrated":
        recalibrate(model, dataset.train_inputs)
    settings = Sgd(
        name="sgd",
        learning_rate=how.learning_rate,
        momentum=how.momentum,
        weight_decay=training.optimiser.weight_decay,
    )
    optimiser = make_optimiser(model, settings)
    anchor, loss = flatten(origin), build_loss(training.loss)
    offsets, records = [], []
    for epoch in range(how.epochs + 1):
        if epoch:
            order = derive_seed(seed, "retrain", epoch)
            train_epoch(model, optimiser, dataset, loss, batch=how.batch, seed=order)
        offsets.append((flatten(dict(model.named_parameters())).detach() - anchor).numpy())
        records.append(evaluate(model, dataset, loss))
    return np.stack(offsets), {n: np.array([row[n] for row in records]) for n in RECORDED}


@torch.no_grad()
def recalibrate(model: nn.Module, inputs: Tensor) -> None:
    """Set the buffers of batch norm to the mean over batches of what the data give there."""
    model.eval()
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        # Without momentum the running statistics are the mean of all batches so far.
        norm.momentum = None
        norm.train()
    # Batches of like size, for each counts the same.
    for part in inputs.tensor_split(-(-len(inputs) // EVALUATION_BATCH)):
        model(part)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


def _dataset(
    gram: np.ndarray,
    rays: Sequence[Mapping[str, np.ndarray]],
    seeds: Sequence[int],
    steps: Sequence[float],
    epochs: int,
) -> xr.Dataset:
    dims = ("seed", "step", "epoch")
    shape = (len(seeds), len(steps), epochs + 1)
    blocks = gram.reshape(shape[0] * shape[1], shape[2], shape[0] * shape[1], shape[2])
    own = np.stack([blocks[i, :, i, :] for i in range(shape[0] * shape[1])])
    returns = return_statistics(own)
    recorded = {name: np.stack([ray[name] for ray in rays]) for name in RECORDED}
    losses = np.stack([recorded["train_loss"], recorded["test_loss"]])
    lost = ~np.isfinite(losses).all(axis=(0, -1))
    return xr.Dataset(
        {
            "gram": (("point", "other"), gram),
            **{name: (dims, value) for name, value in recorded.items()},
            **{name: (dims, value.reshape(shape)) for name, value in returns.items()},
            "diverged": (dims[:2], lost.astype(np.int64)),
        },
        coords={"seed": list(seeds), "step": list(steps), "epoch": list(range(epochs + 1))},
    )
