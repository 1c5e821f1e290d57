"""A fully connected network."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn


class MLP(nn.Sequential):
    """Linear and tanh layers with PyTorch's default initialisation.

    ``depth`` hidden layers of ``width`` units; depth 4 and width 50 on (x, t) is the network of
    Krishnapriyan et al. 2021 with 7,851 parameters.
    """

    def __init__(self, inputs: int, outputs: int, width: int, depth: int) -> None:
        sizes = [inputs, *[width] * depth]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), nn.Tanh()]
        super().__init__(*layers, nn.Linear(sizes[-1], outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs) to (N, outputs)."""
        return super().forward(x)
