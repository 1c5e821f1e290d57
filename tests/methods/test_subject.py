"""The networks that a method looks at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from topograph.config.models import Around, Slices, Target
from topograph.config.runs import TRAINING
from topograph.data.dataset import Dataset
from topograph.families import networks
from topograph.families.build import build_data
from topograph.foundation.storage import read_table, read_weights, write_weights
from topograph.methods.subject import Subject

REGRESSION = {
    "family": "supervised",
    "data": {"target": "digits"},
    "model": {"target": "torch.nn:Linear", "kwargs": {"in_features": 1, "out_features": 1}},
    "loss": {"target": "torch.nn:MSELoss"},
    "optimiser": {"name": "sgd", "learning_rate": 0.1, "weight_decay": 0.1},
    "schedule": {"epochs": 1, "batch": 4},
}


def subject(trained: Any, weights: Path | None = None) -> Subject:
    return Subject(trained.cell, Slices(kind="slices"), weights or trained.weights)


def test_the_loss_at_the_end_is_that_of_training(trained: Any) -> None:
    metrics = read_table(trained.metrics).set_index("seed")
    for seed in trained.cell.seeds:
        objective = subject(trained).objective(seed)
        loss = float(objective.loss(objective.center))
        assert loss == pytest.approx(metrics.loc[seed, "train_loss"], rel=1e-4)
    assert subject(trained).held_out(0) is None


def test_epochs_and_parameters_are_those_kept(trained: Any) -> None:
    looked_at = subject(trained)
    assert looked_at.epochs(4) == list(trained.epochs)
    names = looked_at.objective(4).names
    state, _ = read_weights(trained.weights, "4/2/")
    found = looked_at.parameters(names, 4, 2)
    assert list(found) == list(names)
    for name in names:
        assert torch.equal(found[name], torch.from_numpy(state[name]))


def test_a_diverged_network_is_left_out(trained: Any, tmp_path: Path) -> None:
    tensors, _ = read_weights(trained.weights)
    name = next(name for name in tensors if name.startswith(f"4/{trained.epochs[-1]}/"))
    tensors[name] = np.full_like(tensors[name], np.nan)
    write_weights(tmp_path / "diverged.safetensors", tensors, {})
    assert subject(trained, tmp_path / "diverged.safetensors").seeds == [0]


def test_purposes_and_seeds_draw_other_numbers(trained: Any) -> None:
    draws = subject(trained).draws
    assert len({draws(0), draws(1), draws("curve", 0), draws("curve", 1)}) == 4
    assert draws(0) == subject(trained).draws(0)


def test_the_data_of_many_states_are_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Target] = []
    monkeypatch.setattr(networks, "build_data", lambda data: built.append(data) or build_data(data))
    networks.held.cache_clear()
    content = {
        "family": "supervised",
        "data": {"target": "digits"},
        "model": {"target": "wide-resnet", "kwargs": {"depth": 10, "width": 1, "in_channels": 1}},
        "optimiser": {"name": "sgd", "learning_rate": 0.1},
        "schedule": {"epochs": 1, "batch": 128},
    }
    training = TRAINING.validate_python(content)
    held = networks.with_data_held(training)
    first, second = (networks.inputs_of(held) for _ in range(2))
    assert built.count(training.data) == 1
    assert torch.equal(first, second)
    assert torch.equal(first, build_data(training.data).test_inputs)


@pytest.mark.parametrize(
    ("examples", "chosen"),
    [(1, [5]), (2, [2, 7]), (3, [1, 5, 8]), (None, [*range(10)]), (99, [*range(10)])],
)
def test_examples_not_trained_on_are_the_middles_of_equal_parts(
    monkeypatch: pytest.MonkeyPatch, examples: int | None, chosen: list[int]
) -> None:
    """A data set is often sorted: its first examples are not like the rest."""
    sorted_set = Dataset(
        torch.zeros(4, 1), torch.zeros(4, 1), torch.arange(10.0)[:, None], torch.ones(10, 1), ()
    )
    monkeypatch.setattr(networks, "build_data", lambda _: sorted_set)
    training = TRAINING.validate_python(REGRESSION)
    found = networks.inputs_of(training, examples)
    assert found[:, 0].tolist() == chosen


def test_the_decay_term_is_added_to_both_losses_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    ones = torch.ones(4, 1)
    monkeypatch.setattr(networks, "build_data", lambda _: Dataset(ones, ones, ones, ones, ()))
    training = TRAINING.validate_python(REGRESSION)
    state = {"weight": np.full((1, 1), 3.0, "float32"), "bias": np.full(1, 1.0, "float32")}
    plain, decayed = (
        networks.held_out_objective(training, state, Around(objective=objective))
        for objective in ("data", "regularised")
    )
    assert plain is not None and decayed is not None
    added = decayed.loss(decayed.center) - plain.loss(plain.center)
    # Half of the decay times the squared length of the weights.
    assert float(added) == pytest.approx(0.1 * (3.0**2 + 1.0**2) / 2)
