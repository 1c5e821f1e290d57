"""CIFAR-10 from its binary archive (Krizhevsky 2009): 60,000 colour images, 32 x 32."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from topograph.data.dataset import Dataset, crops_and_flips
from topograph.data.sources import located, opened

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
RECORD = 1 + 3 * 32 * 32
# The statistics of the released code of Horoi et al. 2022, on the scale 0 to 1.
MEAN = torch.tensor([125.3, 123.0, 113.9]).reshape(3, 1, 1) / 255
STD = torch.tensor([63.0, 62.1, 66.7]).reshape(3, 1, 1) / 255


def cifar10(
    *, augment: bool = False, random_labels: bool = False, label_seed: int = 12345
) -> Dataset:
    """Return all training and test images, normalised by channel.

    ``augment`` crops after padding by 4 and mirrors; ``random_labels`` redraws every label.
    """
    (archive,) = located("cifar10")
    members: dict[str, np.ndarray] = {}
    with opened(archive) as tar:
        for member in tar:
            if member.name.endswith(".bin"):
                file = tar.extractfile(member)
                assert file is not None
                content = np.frombuffer(file.read(), dtype=np.uint8)
                members[member.name.rpartition("/")[2]] = content.reshape(-1, RECORD)
    train = np.concatenate([members[f"data_batch_{part}.bin"] for part in range(1, 6)])
    test = members["test_batch.bin"]
    train_targets, test_targets = _targets(train), _targets(test)
    if random_labels:
        draw = np.random.default_rng(label_seed)
        train_targets = torch.from_numpy(draw.integers(0, 10, len(train)))
        test_targets = torch.from_numpy(draw.integers(0, 10, len(test)))
    return Dataset(
        _images(train),
        train_targets,
        _images(test),
        test_targets,
        classes=CLASSES,
        augmentation=crops_and_flips(padding=4) if augment else None,
    )


def _targets(records: np.ndarray) -> Tensor:
    return torch.from_numpy(records[:, 0].astype(np.int64))


def _images(records: np.ndarray) -> Tensor:
    pixels = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy())
    return (pixels.float() / 255 - MEAN) / STD
