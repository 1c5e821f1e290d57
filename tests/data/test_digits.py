"""Digits: the split, the scaling, the augmentation and the random labels."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits

from topograph.data.digits import digits


def test_there_are_1437_training_and_360_test_images_of_8_by_8() -> None:
    data = digits()
    assert data.train_inputs.shape == (1437, 1, 8, 8)
    assert data.test_inputs.shape == (360, 1, 8, 8)
    assert data.train_inputs.dtype == torch.float32
    assert data.train_targets.dtype == data.test_targets.dtype == torch.int64


def test_every_image_is_used_once() -> None:
    data = digits()
    images = torch.cat([data.train_inputs, data.test_inputs]).flatten(1)
    original = torch.from_numpy(load_digits().data).float()
    restored = (images - images.min()) / (images.max() - images.min()) * 16
    found = sorted(map(tuple, restored.round().tolist()))
    assert found == sorted(map(tuple, original.tolist()))


def test_the_split_is_stratified() -> None:
    data = digits()
    train = torch.bincount(data.train_targets, minlength=10) / 1437
    test = torch.bincount(data.test_targets, minlength=10) / 360
    assert (train - test).abs().max() < 1.5 / 360


def test_images_are_scaled_by_the_training_statistics() -> None:
    data = digits()
    assert data.train_inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert data.train_inputs.std().item() == pytest.approx(1, abs=1e-4)
    assert data.test_inputs.mean().abs() > 1e-5


def test_images_are_augmented_only_when_asked_by_shifts_of_one_pixel() -> None:
    assert digits().augmentation is None
    data = digits(augment=True)
    images = torch.arange(1.0, 65.0).reshape(1, 1, 8, 8).repeat(200, 1, 1, 1)
    moved = data.augmentation(images, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(images[0, 0], (1, 1, 1, 1))
    shifts = {
        tuple(padded[r : r + 8, c : c + 8].flatten().tolist()) for r in range(3) for c in range(3)
    }
    assert {tuple(image.flatten().tolist()) for image in moved} == shifts


def test_random_labels_are_reproducible_and_about_a_tenth_stay_right() -> None:
    right, drawn, again = digits(), digits(random_labels=True), digits(random_labels=True)
    assert torch.equal(drawn.train_targets, again.train_targets)
    assert torch.equal(drawn.train_inputs, right.train_inputs)
    share = (drawn.train_targets == right.train_targets).float().mean()
    assert share.item() == pytest.approx(0.1, abs=0.03)
    other = digits(random_labels=True, label_seed=1)
    assert not torch.equal(drawn.train_targets, other.train_targets)


def test_test_labels_are_redrawn_too() -> None:
    right, drawn = digits(), digits(random_labels=True)
    share = (drawn.test_targets == right.test_targets).float().mean()
    assert share.item() == pytest.approx(0.1, abs=0.06)


def test_another_split_seed_gives_other_test_images() -> None:
    assert not torch.equal(digits().test_inputs, digits(split_seed=1).test_inputs)
