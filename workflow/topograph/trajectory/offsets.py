"""Where trajectories went, theta - theta_o on disk, and the inner products of all these offsets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from topograph.foundation.errors import DataError
from topograph.foundation.storage import read_weights, write_weights

# Numbers of all offsets that are in memory at a time, 8 bytes each and 4 on their way.
BLOCK_NUMBERS = 2**23


def write_trajectory(
    file: Path,
    offsets: np.ndarray,
    records: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
) -> None:
    """Write offsets (epoch, parameter) and records (epoch,) of one trajectory."""
    named = {f"record/{name}": value for name, value in records.items()}
    write_weights(file, {"offsets": offsets, **named}, {"settings": json.dumps(dict(settings))})


def read_records(file: Path) -> dict[str, np.ndarray] | None:
    """Return the records of a trajectory; None without a whole file, of which nothing is left."""
    try:
        return read_weights(file, "record/")[0]
    except DataError:
        file.unlink(missing_ok=True)
        return None


def gram_of(files: Sequence[Path]) -> NDArray[np.float64]:
    """Return the inner products (M, M) of all offsets, one file after another, in float64.

    They are summed over blocks of parameters, so that no more than a block of the (M, N) matrix is
    ever in memory; offsets are float32, from which theta_o was taken before they were rounded.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(safe_open(file, framework="np")) for file in files]
        slices = [file.get_slice("offsets") for file in opened]
        points = sum(part.get_shape()[0] for part in slices)
        parameters = slices[0].get_shape()[1]
        total = np.zeros((points, points))
        width = max(1, BLOCK_NUMBERS // points)
        for start in range(0, parameters, width):
            stop = min(start + width, parameters)
            block = np.concatenate([part[:, start:stop] for part in slices]).astype(np.float64)
            total += block @ block.T
    # A product of a matrix with its own transpose need not be symmetric to the last bit.
    return (total + total.T) / 2
