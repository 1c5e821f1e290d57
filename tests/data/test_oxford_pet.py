"""Oxford-IIIT Pet from a small pair of archives of the same form."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from topograph.data import oxford_pet as module
from topograph.data.oxford_pet import oxford_pet
from topograph.foundation.errors import DataError

TRAINVAL = ["pug_2", "Abyssinian_1", "pug_10"]
TEST = ["Bombay_3", "pug_7"]
# One colour an image, which neither JPEG nor resizing changes by more than a step or two.
COLOURS = {
    "pug_2": (200, 10, 40),
    "Abyssinian_1": (20, 220, 90),
    "pug_10": (120, 120, 250),
    "Bombay_3": (60, 60, 60),
    "pug_7": (250, 200, 150),
}


def encoded(picture: Image.Image, form: str) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form)
    return stream.getvalue()


def trimap(name: str) -> np.ndarray:
    """The left half is animal, the right background, and the lowest quarter outline."""
    mask = np.ones((12, 8), dtype=np.uint8)
    mask[:, 4:] = 2
    mask[9:] = 3
    return mask[:, ::-1].copy() if name == "pug_10" else mask


def write(path, contents: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.fixture(autouse=True)
def archives(tmp_path, monkeypatch):
    paths = [tmp_path / "images.tar.gz", tmp_path / "annotations.tar.gz"]
    pictures = {
        f"images/{name}.jpg": encoded(Image.new("RGB", (8, 12), colour), "JPEG")
        for name, colour in COLOURS.items()
    }
    # The true archives hold such files as well.
    write(paths[0], {**pictures, "images/Abyssinian_100.mat": b"matlab"})
    masks = {
        f"annotations/trimaps/{name}.png": encoded(Image.fromarray(trimap(name)), "PNG")
        for name in COLOURS
    }
    lists = {
        "annotations/trainval.txt": "".join(f"{name} 1 1 1\n" for name in TRAINVAL).encode(),
        "annotations/test.txt": "".join(f"{name} 2 2 1\n" for name in TEST).encode(),
        "annotations/trimaps/._pug_2.png": b"resource fork",
        "annotations/xmls/pug_2.xml": b"<annotation/>",
    }
    write(paths[1], {**lists, **masks})
    monkeypatch.setattr(module, "located", lambda dataset: {"oxford-pet": paths}[dataset])
    return paths


def test_images_and_masks_have_their_shapes_and_types():
    data = oxford_pet(size=16)
    assert data.train_inputs.shape == (3, 3, 16, 16)
    assert data.test_inputs.shape == (2, 3, 16, 16)
    assert data.train_targets.shape == (3, 16, 16)
    assert data.test_targets.shape == (2, 16, 16)
    assert data.train_inputs.dtype == torch.float32
    assert data.train_targets.dtype == torch.int64
    assert data.augmentation is None


def test_training_images_have_mean_0_and_deviation_1_by_channel():
    inputs = oxford_pet(size=16).train_inputs
    assert torch.allclose(inputs.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(inputs.std((0, 2, 3)), torch.ones(3), atol=1e-5)


def test_images_come_in_the_order_of_the_lists_and_test_images_in_the_same_units():
    data = oxford_pet(size=16)
    train = torch.tensor([COLOURS[name] for name in TRAINVAL], dtype=torch.float32)
    # Every pixel of an image is alike, so the deviation over pixels is that over three images.
    mean, std = train.mean(0), train.std(0, correction=0)
    for inputs, names in ((data.train_inputs, TRAINVAL), (data.test_inputs, TEST)):
        expected = (torch.tensor([COLOURS[name] for name in names]) - mean) / std
        assert torch.allclose(inputs.mean((2, 3)), expected, atol=0.1)


def test_masks_count_from_0_and_lie_on_their_image():
    data = oxford_pet(size=16)
    assert data.classes == ("animal", "background", "outline")
    mask = data.train_targets[TRAINVAL.index("pug_2")]
    assert mask[:12, :8].unique().tolist() == [0]
    assert mask[:12, 8:].unique().tolist() == [1]
    assert mask[12:].unique().tolist() == [2]
    other = data.train_targets[TRAINVAL.index("pug_10")]
    assert torch.equal(other, mask.flip(1))


def test_resizing_invents_no_class():
    for size in (5, 16, 33):
        assert set(oxford_pet(size=size).test_targets.unique().tolist()) == {0, 1, 2}


@pytest.mark.parametrize("index", [0, 1])
def test_a_truncated_archive_is_named(archives, index):
    content = archives[index].read_bytes()
    archives[index].write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=rf"{archives[index].name} is truncated"):
        oxford_pet(size=16)


def test_an_archive_without_its_lists_is_named(archives):
    write(archives[1], {"annotations/README": b""})
    with pytest.raises(DataError, match=r"annotations.tar.gz is .* not the archive expected"):
        oxford_pet(size=16)
