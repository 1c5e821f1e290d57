"""What a method looks at: a cell's networks, by seed and epoch, and their losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from topograph.config.models import Method
from topograph.config.runs import Cell
from topograph.families.networks import State, Training, held_out_objective, with_data_held
from topograph.families.training import family_of
from topograph.foundation.seeds import derive_seed
from topograph.foundation.storage import read_weights
from topograph.landscape.analysis import state_at
from topograph.objective.objective import Objective

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class Subject:
    """The networks of a cell, with the file of their weights, and how they are looked at."""

    cell: Cell
    analysis: Method
    weights: str | Path
    device: str = "cpu"

    @cached_property
    def training(self) -> Training:
        """The training of the cell; its data set is built once."""
        return with_data_held(self.cell.training)

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds whose training did not diverge."""
        return [seed for seed in self.cell.seeds if _is_finite(self.state(seed))]

    def draws(self, *names: int | str) -> int:
        """Return the seed of random numbers for a purpose."""
        return derive_seed(self.analysis.seed, self.analysis.kind, *names)

    def state(self, seed: int, epoch: int | str = "last") -> State:
        """Return weights and buffers of a seed at an epoch that is kept."""
        return state_at(self.cell, self.weights, seed, epoch)

    def epochs(self, seed: int) -> list[int]:
        """Return the epochs whose weights are kept, 0 being the initial ones."""
        tensors, _ = read_weights(self.weights, f"{seed}/")
        return sorted({int(name.partition("/")[0]) for name in tensors})

    def objective(
        self, seed: int, epoch: int | str = "last", *, all_examples: bool = False
    ) -> Objective:
        """Return the training loss around the weights of a seed at an epoch."""
        state, asked = self.state(seed, epoch), self._asked(all_examples)
        found: Objective = family_of(self.training).objective(self.training, state, asked)
        return found

    def held_out(self, seed: int, *, all_examples: bool = False) -> Objective | None:
        """Return the test loss around the last weights of a seed; None without a test set."""
        return held_out_objective(self.training, self.state(seed), self._asked(all_examples))

    def parameters(self, names: Sequence[str], seed: int, epoch: int) -> Parameters:
        """Return the parameters of a seed at an epoch that is kept, by name."""
        state = self.state(seed, epoch)
        return {name: torch.from_numpy(state[name]) for name in names}

    def _asked(self, all_examples: bool) -> Method:
        return self.analysis.model_copy(update={"examples": None} if all_examples else {})


def _is_finite(state: State) -> bool:
    return all(bool(torch.from_numpy(value).isfinite().all()) for value in state.values())
