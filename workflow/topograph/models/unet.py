"""UNet for segmentation (Ronneberger et al. 2015), with batch normalisation."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from topograph.models.crf_rnn import CrfRnn


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions, each followed by batch norm and ReLU."""

    def __init__(self, fan_in: int, fan_out: int) -> None:
        layers: list[nn.Module] = []
        for channels in (fan_in, fan_out):
            layers += [
                nn.Conv2d(channels, fan_out, 3, padding=1, bias=False),
                nn.BatchNorm2d(fan_out),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


class UNet(nn.Module):
    """Encoder and decoder with skip connections; ``width`` channels at full resolution.

    Image sides must be divisible by 2**(depth - 1). With ``crf_steps`` above 0 a CRF-RNN of that
    many updates over windows of ``crf_radius`` pixels refines the logits (Zheng et al. 2015).
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        depth: int = 4,
        crf_steps: int = 0,
        crf_radius: int = 4,
    ) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(depth)]
        self.encoder = nn.ModuleList(
            DoubleConv(*pair) for pair in zip([in_channels, *channels], channels, strict=False)
        )
        rising = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.upsample = nn.ModuleList(nn.ConvTranspose2d(c, half, 2, 2) for c, half in rising)
        self.decoder = nn.ModuleList(DoubleConv(2 * half, half) for _, half in rising)
        self.head = nn.Conv2d(width, classes, 1)
        self.crf = CrfRnn(classes, crf_steps, crf_radius) if crf_steps else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B, in_channels, H, W) to logits (B, classes, H, W)."""
        image = x
        skips: list[torch.Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        for upsample, block in zip(self.upsample, self.decoder, strict=True):
            x = block(torch.cat([upsample(x), skips.pop()], dim=1))
        logits = self.head(x)
        return logits if self.crf is None else self.crf(logits, image)
