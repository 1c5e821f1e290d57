"""Retraining from one point: the same data order for a seed, every epoch recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from topograph.config.models import SupervisedTraining
from topograph.data.dataset import Dataset
from topograph.families.build import build_data, build_loss
from topograph.families.result import load_state
from topograph.families.supervised import EVALUATION_BATCH, build_network, evaluate, train_epoch
from topograph.foundation.errors import TopographError
from topograph.foundation.seeds import derive_seed
from topograph.geometry.directions import random_directions
from topograph.objective.fusion import fused
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten

RECORDED = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
# The published code keeps the same examples out of all retrainings.
HELD_OUT_SEED = 4


# The seed of a ray, and how far along it.
Jump = tuple[int, float]


class Epoch(NamedTuple):
    """Where trajectories are: offsets theta - theta_o (jump, parameter), and a record for each."""

    offsets: np.ndarray
    records: list[dict[str, float]]


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

    def optimiser(self, parameters: Iterable[Tensor], weight_decay: float) -> torch.optim.SGD:
        """Return SGD without a history, its step in one pass over all parameters."""
        return torch.optim.SGD(
            parameters,
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=weight_decay,
            fused=True,
        )

    def order(self, seed: int, epoch: int) -> int:
        """Return the seed of the batches of an epoch, one for all steps along a ray."""
        return derive_seed(seed, "retrain", epoch)


class Retrainer:
    """A trained network, its data, and retraining from one jump at a time away from theta_o.

    Convolutions run channels last, evaluations with batch norm folded into them; the numbers are
    those of the plain network to rounding, and the same ones whatever was retrained before.
    """

    def __init__(
        self,
        training: SupervisedTraining,
        state: Mapping[str, np.ndarray],
        how: Retraining,
        dataset: Dataset,
    ) -> None:
        self.training, self.state, self.how, self.dataset = training, state, how, dataset
        self.loss = build_loss(training.loss)
        network = build_network(training, dataset, 0)
        self.model = load_state(network.to(memory_format=torch.channels_last), state).eval()
        self.origin = {n: p.detach().clone() for n, p in self.model.named_parameters()}
        self._evaluated = fused(self.model, dataset.train_inputs[:2])

    def minimum(self) -> dict[str, float]:
        """Return losses and accuracies at theta_o, on the buffers of the training."""
        load_state(self.model, self.state)
        return evaluate(self._evaluated, self.dataset, self.loss)

    def retrain(self, jumps: Sequence[Jump]) -> Iterator[Epoch]:
        """Make one jump and retrain; yield every epoch, the first being the jump itself."""
        ((seed, step),) = jumps
        self.jump(seed, step)
        decay = self.training.optimiser.weight_decay
        optimiser = self.how.optimiser(self.model.parameters(), decay)
        anchor = flatten(self.origin)
        for epoch in range(self.how.epochs + 1):
            if epoch:
                order = self.how.order(seed, epoch)
                train_epoch(
                    self.model, optimiser, self.dataset, self.loss, batch=self.how.batch, seed=order
                )
            here = flatten(dict(self.model.named_parameters())).detach()
            record = evaluate(self._evaluated, self.dataset, self.loss)
            yield Epoch((here - anchor).numpy()[None], [record])

    def jump(self, seed: int, step: float) -> None:
        """Set the network to the point at ``step`` along the ray of a seed."""
        load_state(self.model, self.state)
        direction = self._direction(seed)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(self.origin[name] + step * direction[name])
        if self.how.batch_norm == "recalibrated":
            recalibrate(self.model, self.dataset.train_inputs)

    def _direction(self, seed: int) -> dict[str, Tensor]:
        first = (self.dataset.train_inputs[:1], self.dataset.train_targets[:1])
        objective = Objective.from_model(self.model.eval(), self.loss, first)
        drawn = random_directions(objective, 1, seed=derive_seed(seed, "jump"))
        return {name: value[0] for name, value in drawn.vectors.items()}


def retraining_data(training: SupervisedTraining, held_out: float) -> Dataset:
    """Return what retraining reads: the data of the training, a share of them held out."""
    return _channels_last(without(build_data(training.data), held_out))


def _channels_last(dataset: Dataset) -> Dataset:
    if dataset.train_inputs.ndim != 4:
        return dataset
    return replace(
        dataset,
        train_inputs=dataset.train_inputs.contiguous(memory_format=torch.channels_last),
        test_inputs=dataset.test_inputs.contiguous(memory_format=torch.channels_last),
    )


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
