"""CIFAR-10 from a small archive of the same form."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
import torch

from topograph.data import cifar10 as module
from topograph.data.cifar10 import CLASSES, MEAN, STD, cifar10
from topograph.foundation.errors import DataError

PER_BATCH = 4
FILES = [*(f"data_batch_{part}.bin" for part in range(1, 6)), "test_batch.bin"]


def records(file: str) -> np.ndarray:
    draw = np.random.default_rng(FILES.index(file))
    found = draw.integers(0, 256, (PER_BATCH, 3073), dtype=np.uint8)
    found[:, 0] = draw.integers(0, 10, PER_BATCH)
    return found


@pytest.fixture(autouse=True)
def archive(tmp_path, monkeypatch):
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        # Out of order and among other files, as an archive may be.
        contents = {f"cifar-10-batches-bin/{file}": records(file).tobytes() for file in FILES[::-1]}
        contents["cifar-10-batches-bin/readme.html"] = b"<html></html>"
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    monkeypatch.setattr(module, "located", lambda dataset: {"cifar10": [path]}[dataset])
    return path


def test_images_and_labels_have_their_shapes_and_types():
    data = cifar10()
    assert data.train_inputs.shape == (5 * PER_BATCH, 3, 32, 32)
    assert data.test_inputs.shape == (PER_BATCH, 3, 32, 32)
    assert data.train_inputs.dtype == data.test_inputs.dtype == torch.float32
    assert data.train_targets.dtype == data.test_targets.dtype == torch.int64
    assert data.classes == CLASSES
    assert (len(CLASSES), CLASSES[0], CLASSES[9]) == (10, "airplane", "truck")
    assert data.augmentation is None


def test_labels_keep_the_order_of_the_batches():
    expected = np.concatenate([records(file)[:, 0] for file in FILES[:5]])
    assert cifar10().train_targets.tolist() == expected.tolist()
    assert cifar10().test_targets.tolist() == records(FILES[5])[:, 0].tolist()


@pytest.mark.parametrize(("channel", "row", "column"), [(0, 0, 1), (1, 2, 3), (2, 31, 0)])
def test_pixels_are_read_by_channel_then_row_and_normalised_by_channel(channel, row, column):
    raw = records("data_batch_2.bin")[1, 1 + 1024 * channel + 32 * row + column] / 255
    expected = (raw - MEAN[channel]) / STD[channel]
    found = cifar10().train_inputs[PER_BATCH + 1, channel, row, column]
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_statistics_are_the_published_ones():
    assert (MEAN * 255).flatten().tolist() == pytest.approx([125.3, 123.0, 113.9])
    assert (STD * 255).flatten().tolist() == pytest.approx([63.0, 62.1, 66.7])


def test_random_labels_are_drawn_anew_and_reproducible():
    true, drawn, again = cifar10(), cifar10(random_labels=True), cifar10(random_labels=True)
    other = cifar10(random_labels=True, label_seed=1)
    assert torch.equal(drawn.train_targets, again.train_targets)
    assert torch.equal(drawn.test_targets, again.test_targets)
    assert not torch.equal(drawn.train_targets, true.train_targets)
    assert not torch.equal(drawn.train_targets, other.train_targets)
    assert torch.equal(drawn.train_inputs, true.train_inputs)
    assert drawn.train_targets.shape == true.train_targets.shape
    assert drawn.train_targets.dtype == torch.int64
    assert 0 <= int(drawn.train_targets.min()) <= int(drawn.train_targets.max()) <= 9


def test_augmentation_shifts_by_up_to_four_pixels():
    data = cifar10(augment=True)
    assert data.augmentation is not None
    image = torch.zeros(400, 1, 32, 32)
    image[:, 0, 16, 10] = 1.0
    moved = data.augmentation(image, torch.Generator().manual_seed(0)).nonzero()
    assert set(moved[:, 2].tolist()) == set(range(12, 21))
    mirrored = {31 - column for column in range(6, 15)}
    assert set(moved[:, 3].tolist()) == set(range(6, 15)) | mirrored


def test_a_truncated_archive_is_named(archive):
    archive.write_bytes(archive.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"cifar-10-binary.tar.gz is truncated"):
        cifar10()
