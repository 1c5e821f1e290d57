"""The Gram matrix of offsets that lie in files, never in memory together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from topograph.trajectory import offsets
from topograph.trajectory.offsets import gram_of, write_trajectory


def test_the_gram_matrix_is_summed_over_blocks_of_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.random.default_rng(0).standard_normal((3, 4, 101)).astype(np.float32)
    files = [tmp_path / f"{i}.safetensors" for i in range(3)]
    for file, part in zip(files, points, strict=True):
        write_trajectory(file, part, {"train_loss": np.zeros(4)}, {})
    flat = points.reshape(12, 101).astype(float)
    for numbers in (12, 12 * 7, 2**23):
        monkeypatch.setattr(offsets, "BLOCK_NUMBERS", numbers)
        found = gram_of(files)
        np.testing.assert_allclose(found, flat @ flat.T, rtol=1e-12)
        np.testing.assert_array_equal(found, found.T)
