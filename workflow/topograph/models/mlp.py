"""A fully connected network."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class Sine(nn.Module):
    """The activation sin(x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the sine of each element."""
        return torch.sin(x)


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "sin": Sine,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "relu": nn.ReLU,
}


class MLP(nn.Sequential):
    """Linear layers and an activation with PyTorch's default initialisation.

    Maps (N, inputs) to (N, outputs) through ``depth`` hidden layers of ``width`` units; depth 4 and
    width 50 on (x, t) is the network of Krishnapriyan et al. 2021 with 7,851 parameters.
    Raises ValueError for an unknown activation.
    """

    def __init__(
        self, inputs: int, outputs: int, width: int, depth: int, activation: str = "tanh"
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation is {activation!r}; allowed: {', '.join(ACTIVATIONS)}")
        sizes = [inputs, *[width] * depth]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), ACTIVATIONS[activation]()]
        super().__init__(*layers, nn.Linear(sizes[-1], outputs))
