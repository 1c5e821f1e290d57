"""The landscapes whose trees are timed, and a tree in a process of its own."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import numpy as np
from numpy.typing import NDArray

import topograph as tg

Field = NDArray[np.float64]
NOISE, WAVES = 0.1, 6


def smooth(shape: tuple[int, ...]) -> Field:
    """Return a bowl with a few waves: the same landscape on any grid of as many dimensions."""
    axes = _axes(shape)
    generator = np.random.default_rng(0)
    field = sum(axis**2 for axis in axes)
    for _ in range(WAVES):
        frequency, phase = generator.normal(0, 6, len(shape)), generator.uniform(0, 2 * np.pi)
        field = field + 0.2 * np.cos(
            sum(f * axis for f, axis in zip(frequency, axes, strict=True)) + phase
        )
    return np.asarray(field)


def rough(shape: tuple[int, ...]) -> Field:
    """Return a bowl with noise at every vertex, so that minima grow in number with the grid."""
    noise = np.random.default_rng(0).standard_normal(shape)
    return np.asarray(sum(axis**2 for axis in _axes(shape)) + NOISE * noise)


FIELDS: dict[str, Callable[[tuple[int, ...]], Field]] = {"smooth": smooth, "rough": rough}


def _axes(shape: tuple[int, ...]) -> list[Field]:
    lines = [np.linspace(-1, 1, length) for length in shape]
    return list(np.meshgrid(*lines, indexing="ij", sparse=True))


def _child(name: str, side: int, dimensions: int, passes: int) -> None:
    """Time a first call, then each step; print the medians and the peak memory as JSON."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    field, small = (FIELDS[name]((length,) * dimensions) for length in (side, 3))
    _ = tg.merge_tree, tg.profile
    found = {"first_seconds": _steps(small)["tree_seconds"]}
    found["megabytes_before"] = _peak_megabytes()
    rounds = [_steps(field) for _ in range(passes)]
    found |= {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    found["megabytes_peak"] = _peak_megabytes()
    print(json.dumps(found))


def _steps(field: Field) -> dict[str, float]:
    moments = [time.perf_counter()]
    tree = tg.merge_tree(field)
    moments.append(time.perf_counter())
    pairs = tree.pairs
    moments.append(time.perf_counter())
    tg.profile(tree)
    moments.append(time.perf_counter())
    each = dict(zip(("tree", "pairs", "profile"), np.diff(moments).tolist(), strict=True))
    return {
        "minima": len(pairs),
        "seconds": sum(each.values()),
        **{f"{step}_seconds": taken for step, taken in each.items()},
    }


def _peak_megabytes() -> float:
    """Return the peak of this process; on Linux ru_maxrss would start at its parent's."""
    status = Path("/proc/self/status")
    if status.is_file():
        (peak,) = (x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(peak.split()[1]) / 2**10
    return getrusage(RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    _child(sys.argv[1], *map(int, sys.argv[2:]))
