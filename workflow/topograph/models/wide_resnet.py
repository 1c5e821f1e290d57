"""Wide residual networks (Zagoruyko and Komodakis 2016) as in Horoi et al. 2022."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Pre-activation block; the 1x1 shortcut, where shapes differ, sees the activated input."""

    def __init__(self, fan_in: int, fan_out: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(fan_in)
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, 1, 1, bias=False)
        same = fan_in == fan_out and stride == 1
        self.shortcut = None if same else nn.Conv2d(fan_in, fan_out, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, fan_in, H, W) to (B, fan_out, H / stride, W / stride)."""
        activated = F.relu(self.norm1(x))
        skip = x if self.shortcut is None else self.shortcut(activated)
        return skip + self.conv2(F.relu(self.norm2(self.conv1(activated))))


class WideResNet(nn.Module):
    """WRN-depth-width: three stages of (depth - 4) / 6 blocks, 16, 32 and 64 times width channels.

    Raises ValueError when depth - 4 is not a positive multiple of 6.
    """

    def __init__(self, depth: int, width: int, in_channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        blocks, remainder = divmod(depth - 4, 6)
        if blocks < 1 or remainder:
            raise ValueError(f"depth is {depth}; allowed: 10, 16, 22, 28, … (4 + 6 n)")
        self.stem = nn.Conv2d(in_channels, 16, 3, 1, 1, bias=False)
        layers, channels = [], 16
        for stage, out in enumerate((16 * width, 32 * width, 64 * width)):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(Block(channels, out, stride))
                channels = out
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(channels)
        self.head = nn.Linear(channels, classes)
        self.apply(_initialise)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B, in_channels, H, W) to logits (B, classes)."""
        features = F.relu(self.norm(self.blocks(self.stem(x))))
        return self.head(features.mean(dim=(2, 3)))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=math.sqrt(2 / sum(module.weight.shape)))
        nn.init.zeros_(module.bias)
