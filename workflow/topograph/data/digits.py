"""Handwritten digits, 8 x 8 pixels, that ship with scikit-learn."""

from __future__ import annotations

import numpy as np
import torch

from topograph.data.dataset import Dataset, crops


def digits(
    *,
    augment: bool = False,
    random_labels: bool = False,
    split_seed: int = 0,
    label_seed: int = 12345,
) -> Dataset:
    """Return 1,437 training and 360 test images, stratified, scaled by the training statistics.

    ``augment`` shifts by one pixel and never mirrors: a mirrored digit is not a digit.
    ``random_labels`` redraws every label, of the test images too, uniformly (Horoi et al. 2022).
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    split = train_test_split(
        images, labels, test_size=360, stratify=labels, random_state=split_seed
    )
    train_images, test_images, train_labels, test_labels = split
    if random_labels:
        draw = np.random.default_rng(label_seed)
        train_labels = draw.integers(0, 10, len(train_labels))
        test_labels = draw.integers(0, 10, len(test_labels))
    mean, std = train_images.mean(), train_images.std()

    def scaled(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy((array - mean) / std).float().reshape(-1, 1, 8, 8)

    return Dataset(
        scaled(train_images),
        torch.from_numpy(train_labels).long(),
        scaled(test_images),
        torch.from_numpy(test_labels).long(),
        classes=tuple(str(digit) for digit in range(10)),
        augmentation=crops(padding=1) if augment else None,
    )
