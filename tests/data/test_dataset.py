"""Augmentation: windows of the padded image, drawn from the given generator alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from topograph.data.dataset import (
    crops,
    crops_and_flips,
    random_crop,
    random_crop_and_flip,
)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(batch: int, channels: int, height: int, width: int) -> torch.Tensor:
    """Positive numbers, all different, so that a window is found in one place only."""
    count = batch * channels * height * width
    return torch.arange(1, count + 1, dtype=torch.float32).reshape(batch, channels, height, width)


def windows(image: torch.Tensor, padding: int) -> list[torch.Tensor]:
    """Return every window of the padded image (C, H, W), row by row."""
    _, height, width = image.shape
    padded = F.pad(image, (padding,) * 4)
    return [
        padded[:, row : row + height, column : column + width]
        for row in range(2 * padding + 1)
        for column in range(2 * padding + 1)
    ]


def place(output: torch.Tensor, image: torch.Tensor, padding: int) -> list[int]:
    return [i for i, w in enumerate(windows(image, padding)) if torch.equal(output, w)]


@settings(max_examples=50, deadline=None)
@given(
    batch=st.integers(1, 4),
    channels=st.integers(1, 3),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    padding=st.integers(0, 3),
    seed=st.integers(0, 2**31),
)
def test_each_crop_is_one_window_of_its_padded_image(batch, channels, height, width, padding, seed):
    source = images(batch, channels, height, width)
    before = source.clone()
    cropped = random_crop(source, generator(seed), padding=padding)
    assert cropped.shape == source.shape
    assert cropped.dtype == source.dtype
    assert cropped.is_contiguous()
    assert torch.equal(source, before)
    for output, image in zip(cropped, source, strict=True):
        assert place(output, image, padding)


def test_no_padding_changes_nothing():
    source = images(3, 2, 4, 5)
    assert torch.equal(random_crop(source, generator(0), padding=0), source)


def test_what_comes_in_at_the_border_is_zero():
    source = images(200, 1, 3, 3)
    cropped = random_crop(source, generator(0), padding=1)
    for output, image in zip(cropped, source, strict=True):
        kept = output[output > 0]
        assert set(kept.tolist()) <= set(image.flatten().tolist())
        assert len(kept) in (4, 6, 9)


def test_every_shift_occurs_and_images_shift_alone():
    source = images(1, 1, 5, 5).expand(600, 1, 5, 5)
    cropped = random_crop(source, generator(0), padding=1)
    found = [place(output, source[0], 1) for output in cropped]
    assert {index for (index,) in found} == set(range(9))


@pytest.mark.parametrize("augmentation", [crops(padding=2), crops_and_flips(padding=2)])
def test_a_seed_decides_the_result_and_the_global_generator_does_not(augmentation):
    source = images(20, 1, 6, 6)
    state = torch.get_rng_state()
    first = augmentation(source, generator(3))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert torch.equal(augmentation(source, generator(3)), first)
    assert not torch.equal(augmentation(source, generator(4)), first)
    torch.set_rng_state(state)


def test_crops_never_mirror():
    source = images(300, 1, 5, 5)
    cropped = crops(padding=1)(source, generator(0))
    for output, image in zip(cropped, source, strict=True):
        assert len(place(output, image, 1)) == 1
        assert not place(output.flip(2), image, 1)


def test_about_half_of_the_images_are_mirrored_and_none_upside_down():
    source = images(400, 1, 5, 5)
    mirrored = 0
    for output, image in zip(
        random_crop_and_flip(source, generator(0), padding=1), source, strict=True
    ):
        straight, flipped = place(output, image, 1), place(output.flip(2), image, 1)
        assert len(straight) + len(flipped) == 1
        mirrored += len(flipped)
    # Six standard deviations of a fair coin.
    assert abs(mirrored - 200) < 60
