"""The Gram matrix of offsets that lie in files, never in memory together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from topograph.trajectory import offsets
from topograph.trajectory.offsets import (
    gram_of,
    offset_file,
    read_records,
    write_offset,
    write_records,
)


def test_the_gram_matrix_is_summed_over_blocks_of_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.random.default_rng(0).standard_normal((12, 101)).astype(np.float32)
    for index, point in enumerate(points):
        write_offset(tmp_path, index, point)
    files = [offset_file(tmp_path, index) for index in range(12)]
    flat = points.astype(float)
    for numbers in (12, 12 * 7, 2**24):
        monkeypatch.setattr(offsets, "BLOCK_NUMBERS", numbers)
        found = gram_of(files)
        np.testing.assert_allclose(found, flat @ flat.T, rtol=1e-12)
        np.testing.assert_array_equal(found, found.T)


def test_the_gram_matrix_of_many_points_holds_one_block_of_them(tmp_path: Path) -> None:
    files = [offset_file(tmp_path, index) for index in range(40)]
    for index in range(40):
        write_offset(tmp_path, index, np.full(2_000_000, index, dtype=np.float32))
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from topograph.trajectory import offsets\n"
        "offsets.BLOCK_NUMBERS = 2**20\n"
        "files = [Path(name) for name in sys.argv[1:]]\n"
        "offsets.gram_of(files[:2])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "offsets.gram_of(files)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    command = [sys.executable, "-c", program, *map(str, files)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    kilobytes = int(done.stdout)
    assert kilobytes < 64_000, "the offsets are 320 MB, a block of them 8 MB"


def test_a_trajectory_is_whole_when_its_records_and_all_its_epochs_are(tmp_path: Path) -> None:
    folder, records = tmp_path / "jump-0-1.0", {"train_loss": np.arange(3.0)}
    assert read_records(folder) is None

    def write() -> None:
        for epoch in range(3):
            write_offset(folder, epoch, np.ones(50, dtype=np.float32))
        write_records(folder, records)

    write()
    found = read_records(folder)
    assert found is not None and found["train_loss"].tolist() == [0, 1, 2]
    offset_file(folder, 1).unlink()
    assert read_records(folder) is None and not folder.exists()
    write()
    torn = offset_file(folder, 2)
    torn.write_bytes(torn.read_bytes()[:-1])
    assert read_records(folder) is None and not folder.exists()
