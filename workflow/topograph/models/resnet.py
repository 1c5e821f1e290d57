"""Residual networks for 32 x 32 images (He et al. 2016, section 4.2), with or without skips."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm; the shortcut subsamples and pads with zeros."""

    def __init__(self, fan_in: int, fan_out: int, stride: int, skip: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(fan_out)
        self.stride, self.padding, self.skip = stride, fan_out - fan_in, skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, fan_in, H, W) to (B, fan_out, H / stride, W / stride)."""
        found = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(found + self._short(x) if self.skip else found)

    def _short(self, x: torch.Tensor) -> torch.Tensor:
        if not self.padding:
            return x
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.padding))


class ResNet(nn.Module):
    """ResNet-depth: a stem and three stages of (depth - 2) / 6 blocks, 16, 32 and 64 channels.

    Depth 20 has 269,722 parameters on 3 channels and 10 classes. Without ``skip`` it is the plain
    network of the same layers (Li et al. 2018). Raises ValueError when depth - 2 is not a positive
    multiple of 6.
    """

    def __init__(
        self, depth: int, in_channels: int = 3, classes: int = 10, skip: bool = True
    ) -> None:
        super().__init__()
        blocks, remainder = divmod(depth - 2, 6)
        if blocks < 1 or remainder:
            raise ValueError(f"depth is {depth}; allowed: 8, 14, 20, 26, 32, … (2 + 6 n)")
        self.stem = nn.Conv2d(in_channels, 16, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        layers, channels = [], 16
        for stage, out in enumerate((16, 32, 64)):
            for block in range(blocks):
                layers.append(Block(channels, out, 2 if stage and not block else 1, skip))
                channels = out
        self.blocks = nn.Sequential(*layers)
        self.head = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B, in_channels, H, W) to logits (B, classes)."""
        features = self.blocks(F.relu(self.norm(self.stem(x))))
        return self.head(features.mean(dim=(2, 3)))
