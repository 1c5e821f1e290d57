"""Trained networks as they are, what they can be fed, and their loss on what they did not see."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from topograph.config.models import Around, PinnTraining, SupervisedTraining, Target
from topograph.data.dataset import Dataset
from topograph.families.build import build_data, build_loss, build_model
from topograph.families.pinn import build_problem
from topograph.families.result import load_state
from topograph.families.supervised import accuracy, build_network
from topograph.objective.objective import Objective
from topograph.problems.problem import is_deepxde

State = Mapping[str, np.ndarray]
Training = PinnTraining | SupervisedTraining


def with_data_held(training: Training) -> Training:
    """Return a training whose data set is built at first use and then stays in memory.

    For those who look at many states of one training: each look builds the data set.
    """
    if not isinstance(training, SupervisedTraining):
        return training
    held_data = Target(target=f"{__name__}:held", kwargs={"data": training.data.model_dump_json()})
    return training.model_copy(update={"data": held_data})


@cache
def held(data: str) -> Dataset:
    """Return the data set of a target in JSON, the same one at every call."""
    return build_data(Target.model_validate_json(data))


def network_of(training: Training, state: State) -> nn.Module:
    """Return a network with given weights and buffers, in evaluation mode."""
    if isinstance(training, SupervisedTraining):
        model = build_network(training, build_data(training.data), 0)
    else:
        model = build_model(training.model, 0)
    return load_state(model, state).eval()


def inputs_of(training: Training, examples: int | None = None) -> Tensor:
    """Return inputs (N, …) of the test set, or a PDE's points inside its domain.

    ``examples`` of them, evenly spaced, or all where there are no more.
    """
    if isinstance(training, SupervisedTraining):
        inputs = build_data(training.data).test_inputs
    else:
        problem = build_problem(training.problem)
        inner = problem.train_x if is_deepxde(problem) else problem.points().collocation
        inputs = torch.from_numpy(np.asarray(inner, dtype=np.float32))
    return inputs[_spaced(len(inputs), examples)]


def has_classes(training: Training) -> bool:
    """Say whether outputs are scores of classes, of examples or of pixels."""
    return isinstance(training, SupervisedTraining) and build_data(training.data).has_classes


def held_out_objective(training: Training, state: State, analysis: Around) -> Objective | None:
    """Return the mean loss on the test set, with the accuracy of classes; None without a test set.

    Physics-informed networks have none: their residual is trained on all of the domain. Of the
    test set ``examples`` are taken, evenly spaced, or all where there are no more. With
    ``batch_norm: recalibrated`` they are normalised by their own statistics; with
    ``objective: regularised`` the decay term is added as it is to the training loss.
    """
    if not isinstance(training, SupervisedTraining):
        return None
    dataset = build_data(training.data)
    chosen = _spaced(len(dataset.test_inputs), analysis.examples)
    return Objective.from_model(
        network_of(training, state),
        build_loss(training.loss),
        (dataset.test_inputs[chosen], dataset.test_targets[chosen]),
        metrics={"accuracy": accuracy} if dataset.has_classes else {},
        batch_norm=analysis.batch_norm,
        weight_decay=(
            training.optimiser.weight_decay if analysis.objective == "regularised" else 0.0
        ),
    )


def _spaced(total: int, examples: int | None) -> Tensor:
    """Return the middles of equal parts of a data set, whose order often means something."""
    count = min(examples or total, total)
    return ((torch.arange(count) + 0.5) * (total / count)).long()
