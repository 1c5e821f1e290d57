"""Jump and retrain: rays from trained weights, each retrained and recorded (Horoi et al. 2022)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from topograph.config.models import JumpRetrain, SupervisedTraining
from topograph.config.runs import Cell
from topograph.families.training import trained_state
from topograph.foundation.errors import TopographError
from topograph.foundation.provenance import code_digest, digest
from topograph.foundation.storage import write_dataset
from topograph.landscape.plan import existing_device
from topograph.trajectory.offsets import gram_of, read_records
from topograph.trajectory.retraining import RECORDED, Retraining
from topograph.trajectory.returns import return_statistics
from topograph.trajectory.work import Stacked, Work


def write_trajectories(
    cell: Cell,
    analysis: JumpRetrain,
    weights: str | Path,
    path: str | Path,
    *,
    scratch: str | Path,
    device: str | None = None,
) -> None:
    """Write the trajectories from every training seed of a cell to ``path``.

    ``scratch`` keeps finished ones until then. In the file ``seed`` is that of the training and
    ``ray`` that of the jump, which sets its direction and the order of the data.
    """
    found = [
        jump_and_retrain(
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
            weights_seed=seed,
            stacked=analysis.stacked,
            device=device,
        ).rename(seed="ray")
        for seed in analysis.weights_seeds or cell.seeds
    ]
    seeds = pd.Index(list(analysis.weights_seeds or cell.seeds), name="seed")
    write_dataset(path, xr.concat(found, seeds, combine_attrs="override"))
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
    stacked: Stacked = "auto",
    device: str | None = None,
    workers: int = 1,
) -> xr.Dataset:
    """Jump by each step along one filter-normalised ray per seed and retrain for ``epochs``.

    Epoch 0 is the jump itself. The steps of a seed share the direction and the order of the
    batches; the optimiser is new, SGD with the weight decay of the training; batch size and
    augmentation are the training's. A step of 0 is a control: no jump, and so no return statistics.
    For ``batch_norm`` and ``held_out`` see `Retraining`. ``path`` keeps finished trajectories,
    which a later call does not repeat. ``weights_seed`` is the training seed jumped from.
    Trajectories are retrained one by one on a thread of the processor each, which ``workers``
    processes share without changing a bit, or ``stacked`` as one training on ``device``, which
    changes rounding alone; "auto" has a short probe decide, and ``engine`` says what it was.

    Returns losses and accuracies (seed, step, epoch), on the examples retrained on and on the test
    set, and the same at the trained weights, ``minimum_…``; ``diverged`` (seed, step), 1 where a
    loss is not finite; ``gram`` (point, other), inner products of theta - theta_o in float64,
    points in the order (seed, step, epoch); the return statistics. Raises TopographError for a
    family that is not supervised, where there is nothing to do, a ``held_out`` that leaves nothing,
    a device that does not exist and a network that cannot be stacked; weights that are NaN give
    NaN. What is asked for but tells little, one ray or a step of 0, is said on standard error.
    Source: sections 2 and 3 of Horoi et al. 2022 (arXiv 2102.00485) and their code.
    """
    training = cell.training
    if not isinstance(training, SupervisedTraining):
        raise TopographError(f"{cell.run} is of family {training.family}; allowed: supervised")
    _check(cell.run, seeds, steps, epochs)
    how = Retraining(
        epochs, batch or training.schedule.batch, learning_rate, momentum, batch_norm, held_out
    )
    _, state = trained_state(weights, weights_seed, "last")
    place = str(existing_device(device))
    kept = [training.model_dump(), vars(how), _digest(state), place, stacked]
    folder = Path(path) / digest([*kept, code_digest(__name__, *cell.modules)])
    work = Work(cell.run, training, state, how, folder, place, stacked)
    jumps = [(seed, step) for seed in seeds for step in steps]
    work.make(jumps, workers)
    records = [read_records(work.place(jump)) or {} for jump in jumps]
    gram = gram_of(work.files(jumps))
    minimum = work.minimum()
    shape = (len(seeds), len(steps), epochs + 1)
    found = _dataset(gram, records, shape).assign_coords(
        seed=list(seeds), step=list(steps), epoch=list(range(epochs + 1))
    )
    found = found.assign({f"minimum_{name}": minimum[name] for name in RECORDED})
    return found.assign_attrs(run=cell.run, batch_norm=batch_norm, engine=work.engine)


def _check(run: str, seeds: Sequence[int], steps: Sequence[float], epochs: int) -> None:
    if not seeds or not steps or min(steps) < 0 or epochs < 1:
        raise TopographError(
            f"jumps from {run} with seeds {list(seeds)}, steps {list(steps)} and {epochs} epochs; "
            "allowed: at least one seed, one step from 0 and one epoch; published are 4 seeds and "
            "steps 0.25, 0.5, 0.75 and 1"
        )
    if 0 in steps:
        print(
            f"jumps from {run}: a step of 0 is no jump; its trajectory is kept as a control, "
            "without return statistics",
            file=sys.stderr,
        )
    if len(seeds) == 1:
        print(
            f"jumps from {run}: along one ray nothing tells how far rays differ; give more seeds",
            file=sys.stderr,
        )


def _digest(state: Mapping[str, np.ndarray]) -> str:
    return digest({name: value.tobytes().hex() for name, value in state.items()})


def _dataset(
    gram: np.ndarray, records: Sequence[Mapping[str, np.ndarray]], shape: tuple[int, int, int]
) -> xr.Dataset:
    dims, count = ("seed", "step", "epoch"), len(records)
    blocks = gram.reshape(count, shape[2], count, shape[2])
    returns = return_statistics(np.stack([blocks[i, :, i, :] for i in range(count)]))
    recorded = {n: np.stack([each[n] for each in records]).reshape(shape) for n in RECORDED}
    losses = np.stack([recorded["train_loss"], recorded["test_loss"]])
    lost = ~np.isfinite(losses).all(axis=(0, -1))
    return xr.Dataset(
        {
            "gram": (("point", "other"), gram),
            **{name: (dims, value) for name, value in recorded.items()},
            **{name: (dims, value.reshape(shape)) for name, value in returns.items()},
            "diverged": (dims[:2], lost.astype(np.int64)),
        }
    )
