"""Tissue segmentation on the MNI 152 template (2 mm) that ships with nilearn."""

from __future__ import annotations

import numpy as np
import torch

from topograph.data.dataset import Dataset

CLASSES = ("background", "grey matter", "white matter")
SIDE_MULTIPLE = 8
# nilearn's resampling leaves intensities up to 3e-16 around the head; the brain starts at 0.12.
FAINTEST = 1e-6


def brain(*, block: int = 8, test_every: int = 4, gap: int = 1) -> Dataset:
    """Return axial slices of the template with background, grey and white matter per pixel.

    Slices are split in blocks of ``block``; every ``test_every``-th block is held out, and ``gap``
    slices on each side of it are dropped, since neighbours 2 mm apart are nearly the same image.
    One averaged brain tests interpolation within a template, not generalisation to people.
    """
    volume, labels = _template()
    held_out, used = _split(len(volume), block, test_every, gap)
    brain_voxels = volume[used][volume[used] > FAINTEST]
    scaled = ((volume - brain_voxels.mean()) / brain_voxels.std()).astype(np.float32)
    inputs, targets = torch.from_numpy(scaled)[:, None], torch.from_numpy(labels)
    train, test = torch.from_numpy(used), torch.from_numpy(held_out)
    return Dataset(inputs[train], targets[train], inputs[test], targets[test], classes=CLASSES)


def _template() -> tuple[np.ndarray, np.ndarray]:
    """Return intensities and labels, (slices, H, W), cropped to the slices that hold tissue."""
    from nilearn import datasets

    intensity = datasets.load_mni152_template(resolution=2).get_fdata()
    grey = datasets.load_mni152_gm_template(resolution=2).get_fdata()
    white = datasets.load_mni152_wm_template(resolution=2).get_fdata()
    labels = np.argmax(np.stack([1 - grey - white, grey, white]), axis=0)
    box = tuple(
        _padded_range(np.flatnonzero((labels > 0).any(axis=other)), size, multiple)
        for other, size, multiple in zip(
            ((1, 2), (0, 2), (0, 1)), labels.shape, (SIDE_MULTIPLE, SIDE_MULTIPLE, 1), strict=True
        )
    )
    return np.moveaxis(intensity[box], 2, 0), np.moveaxis(labels[box], 2, 0)


def _padded_range(occupied: np.ndarray, size: int, multiple: int) -> slice:
    """Return the occupied range, grown to a multiple that the network can halve."""
    first, last = int(occupied[0]), int(occupied[-1]) + 1
    length = -(-(last - first) // multiple) * multiple
    start = min(max(0, first - (length - (last - first)) // 2), size - length)
    return slice(start, start + length)


def _split(slices: int, block: int, test_every: int, gap: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of held-out and of training slices."""
    is_test = (np.arange(slices) // block) % test_every == test_every - 1
    near = np.convolve(is_test, np.ones(2 * gap + 1), mode="same") > 0
    return np.flatnonzero(is_test), np.flatnonzero(~near)
