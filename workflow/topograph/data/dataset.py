"""A data set in memory: train and test tensors, class names, augmentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

Augmentation = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Dataset:
    """Inputs (N, C, H, W) float32 and targets int64, (N,) for classes, (N, H, W) for pixels.

    ``augmentation`` maps a training batch and a generator to a new batch of the same shape.
    """

    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    classes: tuple[str, ...]
    augmentation: Augmentation | None = None


def random_crop(images: Tensor, generator: torch.Generator, *, padding: int) -> Tensor:
    """Shift each image (B, C, H, W) by up to ``padding`` pixels, filling with zeros."""
    batch, _, height, width = images.shape
    padded = F.pad(images, (padding,) * 4)
    shifts = torch.randint(0, 2 * padding + 1, (batch, 2), generator=generator)
    rows = shifts[:, 0, None] + torch.arange(height)
    columns = shifts[:, 1, None] + torch.arange(width)
    picked = padded[torch.arange(batch)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2).contiguous()


def random_crop_and_flip(images: Tensor, generator: torch.Generator, *, padding: int) -> Tensor:
    """Shift each image and mirror every other one, at random."""
    flip = torch.rand(len(images), generator=generator) < 0.5
    shifted = random_crop(images, generator, padding=padding)
    return torch.where(flip[:, None, None, None], shifted.flip(3), shifted)


def crops(padding: int) -> Augmentation:
    """Return the augmentation by crops alone, for images that a mirror would change in meaning."""
    return partial(random_crop, padding=padding)


def crops_and_flips(padding: int) -> Augmentation:
    """Return the augmentation by crops and mirroring."""
    return partial(random_crop_and_flip, padding=padding)
