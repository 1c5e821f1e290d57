"""Oxford-IIIT Pet (Parkhi et al. 2012): segmentation into animal, background and outline."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from topograph.data.dataset import Dataset
from topograph.data.sources import located, opened

CLASSES = ("animal", "background", "outline")


def oxford_pet(*, size: int = 128) -> Dataset:
    """Return the official trainval and test split, resized to ``size`` x ``size``.

    Intensities are normalised by channel with the statistics of the training images.
    """
    images, annotations = located("oxford-pet")
    splits = {name: _split(annotations, name) for name in ("trainval", "test")}
    pixels = _decoded(images, ".jpg", size, Image.Resampling.BILINEAR, "RGB")
    masks = _decoded(annotations, ".png", size, Image.Resampling.NEAREST, "L", "trimaps/")
    train, test = (
        torch.from_numpy(np.stack([pixels[name] for name in splits[split]])).permute(0, 3, 1, 2)
        for split in ("trainval", "test")
    )
    train, test = train.float() / 255, test.float() / 255
    mean, std = train.mean((0, 2, 3), keepdim=True), train.std((0, 2, 3), keepdim=True)
    return Dataset(
        (train - mean) / std,
        _targets(masks, splits["trainval"]),
        (test - mean) / std,
        _targets(masks, splits["test"]),
        classes=CLASSES,
    )


def _split(annotations: Path, name: str) -> list[str]:
    with opened(annotations) as tar:
        file = tar.extractfile(f"annotations/{name}.txt")
        assert file is not None
        return [line.split()[0] for line in file.read().decode().splitlines() if line]


def _decoded(
    archive: Path,
    suffix: str,
    size: int,
    resampling: Image.Resampling,
    mode: str,
    within: str = "",
) -> dict[str, np.ndarray]:
    decoded = {}
    with opened(archive) as tar:
        for member in tar:
            path = Path(member.name)
            hidden = path.name.startswith(".")
            if hidden or path.suffix != suffix or within not in member.name:
                continue
            file = tar.extractfile(member)
            assert file is not None
            image = Image.open(io.BytesIO(file.read())).convert(mode)
            decoded[path.stem] = np.asarray(image.resize((size, size), resampling))
    return decoded


def _targets(masks: dict[str, np.ndarray], names: list[str]) -> Tensor:
    """Trimaps count from 1."""
    return torch.from_numpy(np.stack([masks[name] for name in names]).astype(np.int64) - 1)
