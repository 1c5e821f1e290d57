"""The trajectories from one trained network: how they are made, by whom, and what is left to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from topograph.config.models import SupervisedTraining
from topograph.foundation.errors import TopographError
from topograph.foundation.progress import track
from topograph.foundation.storage import read_json, write_json
from topograph.landscape.plan import is_out_of_memory
from topograph.trajectory.offsets import offset_file, read_records, write_offset, write_records
from topograph.trajectory.retraining import (
    RECORDED,
    Jump,
    Retrainer,
    Retraining,
    retraining_data,
)
from topograph.trajectory.stacked import StackedRetrainer, how_many_together

Stacked = bool | Literal["auto"]


@dataclass(frozen=True)
class Work:
    """Trajectories of one trained network, a folder for each in ``folder``.

    ``stacked`` retrains them together on ``device``, else one by one, each on a thread of the
    processor; ``auto`` is whichever a probe finds faster. What it finds is written down before the
    first of them, so that a resumed run goes on in the same way.
    """

    run: str
    training: SupervisedTraining
    state: Mapping[str, np.ndarray]
    how: Retraining
    folder: Path
    device: str
    stacked: Stacked

    def make(self, jumps: Sequence[Jump], workers: int) -> None:
        """Retrain from each jump that is not done, stacked or in as many processes as workers."""
        together = self._together(jumps, workers)
        if together:
            self._stack(jumps, together)
            return
        jumps = [jump for jump in jumps if read_records(self.place(jump)) is None]
        if workers <= 1 or len(jumps) <= 1:
            self._one_by_one(jumps)
            return
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            parts = [jumps[i::workers] for i in range(workers)]
            for done in [pool.submit(self._one_by_one, part) for part in parts]:
                done.result()

    def place(self, jump: Jump) -> Path:
        """Return the folder of a trajectory."""
        seed, step = jump
        return self.folder / f"jump-{seed}-{step!r}"

    def files(self, jumps: Sequence[Jump]) -> list[Path]:
        """Return where the offsets of trajectories lie, epoch by epoch, one after another."""
        epochs = range(self.how.epochs + 1)
        return [offset_file(self.place(jump), epoch) for jump in jumps for epoch in epochs]

    def minimum(self) -> dict[str, float]:
        """Return losses and accuracies at the trained weights."""
        with one_thread():
            return self._retrainer().minimum()

    @property
    def engine(self) -> str:
        """How the trajectories were made."""
        return "stacked" if read_json(self._plan)["together"] else "one by one"

    @property
    def _plan(self) -> Path:
        return self.folder / "plan.json"

    def _retrainer(self) -> Retrainer:
        dataset = retraining_data(self.training, self.how.held_out)
        return Retrainer(self.training, self.state, self.how, dataset)

    def _one_by_one(self, jumps: Sequence[Jump]) -> None:
        if not jumps:
            return
        with one_thread():
            retrainer = self._retrainer()
            for jump in track(jumps, f"jumps from {self.run}", len(jumps)):
                self._write(retrainer, [jump])

    def _stack(self, jumps: Sequence[Jump], together: int) -> None:
        """Retrain groups of jumps; a group is made whole, and halved where memory runs out."""
        groups = [jumps[i : i + together] for i in range(0, len(jumps), together)]
        for group in track(groups, f"stacked jumps from {self.run}", len(jumps), step=together):
            if all(read_records(self.place(jump)) is not None for jump in group):
                continue
            try:
                with one_thread():
                    alone, device = self._retrainer(), torch.device(self.device)
                    self._write(StackedRetrainer(alone, device), group)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise TopographError(
                        f"the jumps from {self.run} cannot be retrained stacked: {error}; set "
                        "stacked: false, and they are retrained one by one"
                    ) from error
                if together == 1:
                    raise
                write_json(self._plan, {"together": together // 2})
                self._stack(jumps, together // 2)
                return

    def _write(self, retrainer: Retrainer | StackedRetrainer, jumps: Sequence[Jump]) -> None:
        records = []
        for epoch, found in enumerate(retrainer.retrain(jumps)):
            for jump, offset in zip(jumps, found.offsets, strict=True):
                write_offset(self.place(jump), epoch, offset)
            records.append(found.records)
        for jump, rows in zip(jumps, zip(*records, strict=True), strict=True):
            recorded = {name: np.array([row[name] for row in rows]) for name in RECORDED}
            write_records(self.place(jump), recorded)

    def _together(self, jumps: Sequence[Jump], workers: int) -> int:
        """Return how many trajectories are stacked, 0 for none, as planned before or from now."""
        if not self._plan.exists():
            together = len(jumps) * (self.stacked is True)
            if self.stacked == "auto":
                with one_thread():
                    alone, device = self._retrainer(), torch.device(self.device)
                    together = how_many_together(alone, jumps, workers, device)
            write_json(self._plan, {"together": together})
        return int(read_json(self._plan)["together"])


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch have one thread: the last bits of a training depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
