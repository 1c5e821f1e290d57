"""Where trajectories went, theta - theta_o on disk, and the inner products of all these offsets."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from topograph.foundation.errors import DataError
from topograph.foundation.storage import read_weights, write_weights

# Numbers of all offsets that are in memory at a time, 8 bytes each.
BLOCK_NUMBERS = 2**24


def offset_file(folder: Path, epoch: int) -> Path:
    """Return where the offset at an epoch of the trajectory in ``folder`` lies."""
    return folder / f"epoch-{epoch:04d}.safetensors"


def write_offset(folder: Path, epoch: int, offset: np.ndarray) -> None:
    """Write theta - theta_o (parameter,) at an epoch of the trajectory in ``folder``."""
    write_weights(offset_file(folder, epoch), {"offset": offset}, {})


def write_records(folder: Path, records: Mapping[str, np.ndarray]) -> None:
    """Write the records (epoch,) of a trajectory whose offsets are written: now it is whole."""
    write_weights(folder / "records.safetensors", records, {})


def read_records(folder: Path) -> dict[str, np.ndarray] | None:
    """Return the records of a trajectory; None where it is not whole, and nothing of it is left."""
    try:
        records, _ = read_weights(folder / "records.safetensors")
        for epoch in range(len(next(iter(records.values())))):
            # Opening tells whether all of it is there.
            with safe_open(offset_file(folder, epoch), framework="np"):
                pass
    except (DataError, FileNotFoundError, SafetensorError):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return records


def gram_of(files: Sequence[Path]) -> NDArray[np.float64]:
    """Return the inner products (M, M) of the offsets (parameter,) in M files, in float64.

    They are summed over blocks of parameters, so that no more than a block of the (M, N) matrix is
    ever in memory; offsets are float32, from which theta_o was taken before they were rounded.
    """
    with safe_open(files[0], framework="np") as first:
        (parameters,) = first.get_slice("offset").get_shape()
    total = np.zeros((len(files), len(files)))
    width = min(parameters, max(1, BLOCK_NUMBERS // len(files)))
    block = np.empty((len(files), width))
    for start in range(0, parameters, width):
        part = block[:, : min(width, parameters - start)]
        for row, file in zip(part, files, strict=True):
            # Opened for each block anew: what stays mapped stays in memory.
            with safe_open(file, framework="np") as opened:
                row[:] = opened.get_slice("offset")[start : start + len(row)]
        total += part @ part.T
    # A product of a matrix with its own transpose need not be symmetric to the last bit.
    return (total + total.T) / 2
