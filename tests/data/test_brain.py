"""Brain slices: shapes, classes, the blocks held out, the normalisation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from topograph.data import brain as module
from topograph.data.brain import brain
from topograph.data.dataset import Dataset


@pytest.fixture(scope="module")
def data() -> Dataset:
    return brain()


@pytest.fixture
def numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A template of 40 slices: intensities and labels are the slice's number, from 1."""
    labels = np.arange(1, 41)[:, None, None] * np.ones((1, 8, 8), dtype=np.int64)
    volume = labels.astype(float)
    volume[:, 0, 0] = 0.0
    monkeypatch.setattr(module, "_template", lambda: (volume, labels))


def test_slices_can_be_halved_three_times(data: Dataset) -> None:
    for inputs, targets in (
        (data.train_inputs, data.train_targets),
        (data.test_inputs, data.test_targets),
    ):
        assert inputs.shape[1] == 1
        assert inputs.shape[2] % 8 == inputs.shape[3] % 8 == 0
        assert targets.shape == (len(inputs), *inputs.shape[2:])
    assert data.train_inputs.dtype == torch.float32
    assert data.train_targets.dtype == torch.int64


def test_three_classes_are_present_in_both_splits(data: Dataset) -> None:
    assert data.classes == ("background", "grey matter", "white matter")
    for targets in (data.train_targets, data.test_targets):
        counts = torch.bincount(targets.flatten(), minlength=3)
        assert counts.shape == (3,)
        assert (counts / counts.sum()).min() > 0.05


def test_no_image_is_in_both_splits(data: Dataset) -> None:
    train = {image.numpy().tobytes() for image in data.train_inputs}
    assert not train & {image.numpy().tobytes() for image in data.test_inputs}


def test_brain_voxels_are_normalised_by_the_training_slices(data: Dataset) -> None:
    outside = data.train_inputs.min()  # intensity 0 lies below every brain voxel
    inside = data.train_inputs[data.train_inputs > outside].double()
    assert inside.mean().item() == pytest.approx(0, abs=1e-4)
    assert inside.std().item() == pytest.approx(1, abs=1e-4)
    held_out = data.test_inputs[data.test_inputs > outside].double()
    assert abs(held_out.mean().item()) > 1e-4


@pytest.mark.usefixtures("numbered")
@pytest.mark.parametrize("gap", [0, 1, 3])
def test_held_out_slices_lie_in_blocks_further_than_the_gap_from_training(gap: int) -> None:
    found = brain(block=5, test_every=4, gap=gap)
    train, test = found.train_targets[:, 0, 0].numpy(), found.test_targets[:, 0, 0].numpy()
    assert test.tolist() == [*range(16, 21), *range(36, 41)]
    assert np.abs(test[:, None] - train[None, :]).min() == gap + 1
    assert len(train) == 40 - 10 - 3 * gap


@pytest.mark.usefixtures("numbered")
def test_the_scale_ignores_held_out_slices() -> None:
    found = brain(block=5, test_every=4, gap=1)
    kept = np.array([n for n in range(1, 41) if n not in {*range(15, 22), *range(35, 41)}])
    expected = (kept - kept.mean()) / kept.std()
    np.testing.assert_allclose(found.train_inputs[:, 0, 4, 4], expected, rtol=1e-5)
