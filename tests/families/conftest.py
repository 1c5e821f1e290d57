"""Tiny data sets in the place of the real ones, and cells that train on them in a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from topograph.config.runs import TRAINING, Cell
from topograph.data.dataset import Dataset

MakeCell = Callable[..., Cell]
Contents = dict[str, bytes]


@pytest.fixture
def contents() -> Callable[[Path], Contents]:
    """Read the files of a training whose bytes depend on nothing but the training."""

    def read(folder: Path) -> Contents:
        names = ("weights.safetensors", "history.parquet", "metrics.parquet")
        return {name: (folder / name).read_bytes() for name in names}

    return read


@pytest.fixture
def small_digits(monkeypatch: pytest.MonkeyPatch, few_digits: Callable[..., Dataset]) -> None:
    """Let every build of the digits make few of them."""
    monkeypatch.setattr("topograph.data.digits.digits", few_digits)


@pytest.fixture
def small_brain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise with three classes of pixels, the third absent from the test images."""

    def noise() -> Dataset:
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn((12, 1, 8, 8), generator=generator)
        targets = torch.randint(0, 3, (12, 8, 8), generator=generator)
        targets[8:] %= 2
        names = ("background", "grey matter", "white matter")
        return Dataset(inputs[:8], targets[:8], inputs[8:], targets[8:], classes=names)

    monkeypatch.setattr("topograph.data.brain.brain", noise)


@pytest.fixture
def digits_cell(small_digits: None) -> MakeCell:
    """Make cells that train a WideResNet-10-1 on the few digits."""

    def make(
        optimiser: dict[str, Any] | None = None,
        *,
        seeds: tuple[int, ...] = (0,),
        data: dict[str, Any] | None = None,
        **schedule: Any,
    ) -> Cell:
        content = {
            "family": "supervised",
            "data": {"target": "digits", "kwargs": data or {}},
            "model": {
                "target": "wide-resnet",
                "kwargs": {"depth": 10, "width": 1, "in_channels": 1},
            },
            "optimiser": optimiser or {"name": "sgd", "learning_rate": 0.05},
            "schedule": {"epochs": 4, "batch": 20, **schedule},
        }
        return Cell("digits-run", seeds, TRAINING.validate_python(content))

    return make


@pytest.fixture
def brain_cell(small_brain: None) -> MakeCell:
    """Make cells that train a tiny UNet on the noise."""

    def make(*, epochs: int = 1, learning_rate: float = 0.01) -> Cell:
        content = {
            "family": "supervised",
            "data": {"target": "brain"},
            "model": {
                "target": "unet",
                "kwargs": {"in_channels": 1, "classes": 3, "width": 2, "depth": 2},
            },
            "optimiser": {"name": "adam", "learning_rate": learning_rate},
            "schedule": {"epochs": epochs, "batch": 4},
        }
        return Cell("brain-run", (0, 1), TRAINING.validate_python(content))

    return make


@pytest.fixture
def pinn_cell() -> MakeCell:
    """Make cells that train a network of 105 parameters on convection."""

    def make(*, seeds: tuple[int, ...] = (0,), beta: float = 1.0, **optimiser: Any) -> Cell:
        content = {
            "family": "pinn",
            "problem": {"target": "convection", "kwargs": {"beta": beta}},
            "model": {
                "target": "mlp",
                "kwargs": {"inputs": 2, "outputs": 1, "width": 8, "depth": 2},
            },
            "optimiser": {"name": "lbfgs", "max_iterations": 50, **optimiser},
        }
        return Cell("pinn-run", seeds, TRAINING.validate_python(content))

    return make
