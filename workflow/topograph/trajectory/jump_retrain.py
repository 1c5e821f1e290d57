"""Jump and retrain: rays from trained weights, each retrained and recorded (Horoi et al. 2022)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr

from topograph.config.models import JumpRetrain, SupervisedTraining
from topograph.config.runs import Cell
from topograph.families.training import trained_state
from topograph.foundation.errors import TopographError
from topograph.foundation.progress import track
from topograph.foundation.provenance import code_digest, digest
from topograph.foundation.storage import write_dataset
from topograph.trajectory.offsets import gram_of, read_records, write_trajectory
from topograph.trajectory.retraining import RECORDED, Retrainer, Retraining
from topograph.trajectory.returns import return_statistics


def write_trajectories(
    cell: Cell,
    analysis: JumpRetrain,
    weights: str | Path,
    path: str | Path,
    *,
    scratch: str | Path,
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
    workers: int = 1,
) -> xr.Dataset:
    """Jump by each step along one filter-normalised ray per seed and retrain for ``epochs``.

    Epoch 0 is the jump itself. The steps of a seed share the direction and the order of the
    batches; the optimiser is new, SGD with the weight decay of the training; batch size and
    augmentation are the training's. A step of 0 is a control: no jump, and so no return statistics.
    For ``batch_norm`` and ``held_out`` see `Retraining`. ``path`` keeps finished trajectories,
    which a later call does not repeat. ``weights_seed`` is the training seed jumped from.
    Each trajectory takes one thread; ``workers`` processes share them, and change no bit.

    Returns losses and accuracies (seed, step, epoch), on the examples retrained on and on the test
    set, and the same at the trained weights, ``minimum_…``; ``diverged`` (seed, step), 1 where a
    loss is not finite; ``gram`` (point, other), inner products of theta - theta_o in float64,
    points in the order (seed, step, epoch); the return statistics. Raises TopographError for a
    family that is not supervised and a ``held_out`` that leaves nothing; weights that are NaN give
    NaN.
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
    jumps = _Jumps(cell.run, training, state, how, folder)
    asked = [(seed, step) for seed in seeds for step in steps]
    jumps.make([jump for jump in asked if read_records(jumps.file(*jump)) is None], workers)
    records = [read_records(jumps.file(*jump)) or {} for jump in asked]
    gram = gram_of([jumps.file(*jump) for jump in asked])
    with one_thread():
        minimum = jumps.retrainer().minimum()
    shape = (len(seeds), len(steps), epochs + 1)
    found = _dataset(gram, records, shape).assign_coords(
        seed=list(seeds), step=list(steps), epoch=list(range(epochs + 1))
    )
    found = found.assign({f"minimum_{name}": minimum[name] for name in RECORDED})
    return found.assign_attrs(run=cell.run, batch_norm=batch_norm)


@dataclass(frozen=True)
class _Jumps:
    """The trajectories of one trained network, a file for each in ``folder``."""

    run: str
    training: SupervisedTraining
    state: Mapping[str, np.ndarray]
    how: Retraining
    folder: Path

    def file(self, seed: int, step: float) -> Path:
        return self.folder / f"jump-{seed}-{step!r}.safetensors"

    def retrainer(self) -> Retrainer:
        return Retrainer(self.training, self.state, self.how)

    def make(self, jumps: Sequence[tuple[int, float]], workers: int) -> None:
        """Retrain from each jump, a seed and a step, in as many processes as there are workers."""
        if workers <= 1 or len(jumps) <= 1:
            self.retrain(jumps)
            return
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            for done in [pool.submit(self.retrain, jumps[i::workers]) for i in range(workers)]:
                done.result()

    def retrain(self, jumps: Sequence[tuple[int, float]]) -> None:
        """Retrain from each jump on one thread and write where it went."""
        if not jumps:
            return
        with one_thread():
            retrainer = self.retrainer()
            for seed, step in track(jumps, f"jumps from {self.run}", len(jumps)):
                offsets, records = retrainer.retrain(seed, step)
                write_trajectory(self.file(seed, step), offsets, records, vars(self.how))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch have one thread: the last bits of a training depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
