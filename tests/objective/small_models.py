"""A small network with every kind of layer, a batch, and points around it."""

from __future__ import annotations

import torch
from torch import nn

from topograph.objective.model import Batch
from topograph.objective.objective import Objective


def make_network() -> nn.Module:
    """A small network with batch norm, dropout and trained buffers, in evaluation mode."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(12, 4),
    )  # fmt: skip
    network[1].running_mean.normal_()
    network[1].running_var.uniform_(0.5, 2)
    return network.eval()


def make_batch(examples: int = 12) -> Batch:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn((examples, 1, 4, 4), generator=generator)
    return inputs, torch.randint(0, 4, (examples,), generator=generator)


def accuracy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs.argmax(1) == targets).float().mean()


def stacked(objective: Objective, points: int, dtype: torch.dtype = torch.float32) -> dict:
    generator = torch.Generator().manual_seed(2)
    return {
        name: value.to(dtype) + 0.1 * torch.randn((points, *value.shape), generator=generator)
        for name, value in objective.center.items()
    }
