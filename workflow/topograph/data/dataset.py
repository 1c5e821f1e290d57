"""A data set in memory: train and test tensors, class names, augmentation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from topograph.foundation.errors import DataError

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
PARTS = ("train_inputs", "train_targets", "test_inputs", "test_targets")
WANTED = (
    "a topograph.data.dataset.Dataset; four arrays or tensors, train_inputs, train_targets, "
    "test_inputs, test_targets; or two torch data sets with a length, train and test"
)


@dataclass(frozen=True)
class Dataset:
    """Inputs (N, ...), float32 or int64, and targets (N, ...), int64 for classes, else float32.

    Images are (N, C, H, W); targets are (N,) for classes and (N, H, W) for classes of pixels.
    ``augmentation`` maps a training batch and a generator to a new batch of the same shape.
    """

    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    classes: tuple[str, ...]
    augmentation: Augmentation | None = None

    @property
    def has_classes(self) -> bool:
        """Whether targets are classes, of examples or of pixels, so that there is an accuracy."""
        return not self.train_targets.is_floating_point()

    @property
    def sum(self) -> str:
        """SHA-256, in hex, of the four tensors: a name for exactly these data."""
        return sum_of([getattr(self, name).numpy() for name in PARTS])


def sum_of(arrays: Iterable[np.ndarray]) -> str:
    """Return the SHA-256, in hex, of the dtypes, shapes and bytes of arrays, one after another."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def as_dataset(made: Any, name: str) -> Dataset:
    """Return what a factory made as a data set; ``name`` is that of the factory in errors.

    Four arrays are train inputs, train targets, test inputs, test targets; two torch data sets are
    read once and stacked, so that a random transform in them is drawn once. Numbers of any
    precision become float32 or int64. Raises DataError for anything else, for parts of unequal
    length or of different shapes, and for numbers that are not finite.
    """
    if isinstance(made, Dataset):
        return made
    listed = list(made) if isinstance(made, Sequence) and not isinstance(made, str) else []
    if len(listed) == 2:
        listed = [part for dataset in listed for part in _stacked(dataset, name)]
    if len(listed) != 4:
        size = f" of {len(listed)}" if listed else ""
        raise DataError(f"{name} made {type(made).__name__}{size}; allowed: {WANTED}")
    parts = [_tensor(part, f"{name}: {label}") for part, label in zip(listed, PARTS, strict=True)]
    _check(dict(zip(PARTS, parts, strict=True)), name)
    count = 0 if parts[1].is_floating_point() else 1 + max(int(t.max()) for t in parts[1::2])
    return Dataset(
        parts[0], parts[1], parts[2], parts[3], tuple(str(index) for index in range(count))
    )


def _stacked(dataset: Any, name: str) -> tuple[Tensor, Tensor]:
    """Return all inputs and all targets of a map-style data set."""
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise DataError(
            f"{name}: a data set of type {type(dataset).__name__} has no length or no items; "
            f"allowed: {WANTED}"
        )
    try:
        inputs, targets = zip(*(dataset[i] for i in range(len(dataset))), strict=True)
        return tuple(  # type: ignore[return-value]
            torch.stack([torch.as_tensor(item) for item in column]) for column in (inputs, targets)
        )
    except (TypeError, ValueError, RuntimeError, LookupError) as error:
        raise DataError(
            f"{name}: its {len(dataset)} items are not pairs (input, target) of tensors of one "
            f"shape ({error}); give the data set a transform that makes them so"
        ) from error


def _tensor(part: Any, name: str) -> Tensor:
    try:
        tensor = torch.as_tensor(part)
    except (TypeError, ValueError, RuntimeError, LookupError) as error:
        raise DataError(
            f"{name} is {type(part).__name__}, no array of numbers ({error}); allowed: {WANTED}"
        ) from error
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        return tensor.to(torch.float32).contiguous()
    if tensor.is_complex() or (tensor.dtype in (torch.uint8, torch.bool) and "inputs" in name):
        raise DataError(
            f"{name} are {str(tensor.dtype).removeprefix('torch.')}; allowed: floating point or "
            "signed integers: scale images to floats, or convert tokens to int64"
        )
    return tensor.to(torch.int64).contiguous()


def _check(parts: dict[str, Tensor], name: str) -> None:
    for label, part in parts.items():
        if not part.ndim or not len(part):
            raise DataError(f"{name}: {label} holds no examples, its shape is {tuple(part.shape)}")
        if not bool(part.isfinite().all()):
            raise DataError(f"{name}: {label} holds NaN or infinity; clean the data first")
    for split in ("train", "test"):
        inputs, targets = parts[f"{split}_inputs"], parts[f"{split}_targets"]
        if len(inputs) != len(targets):
            raise DataError(
                f"{name}: {len(inputs)} {split}_inputs came with {len(targets)} {split}_targets; "
                "give each input one target"
            )
    for kind in ("inputs", "targets"):
        train, test = parts[f"train_{kind}"], parts[f"test_{kind}"]
        if train.shape[1:] != test.shape[1:] or train.dtype != test.dtype:
            raise DataError(
                f"{name}: train_{kind} are {train.dtype} {tuple(train.shape[1:])} each, "
                f"test_{kind} {test.dtype} {tuple(test.shape[1:])}; make both alike"
            )


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
