"""Time and memory of the PINN's grids as points and dimensions grow."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch
from subjects import pinn
from timing import THREADS, alternate, begin, line, publish, quiet

import topograph as tg

SIDES = (11, 21, 41)
EQUAL = {2: 64, 3: 16, 4: 8}


def run(device: str, names: list[str], repeats: int) -> None:
    """Print and write time against points, dimension and, in fresh processes, peak memory."""
    start = begin(__file__)
    subject = pinn()

    def sample(dimensions: int, points: int) -> None:
        directions = tg.random_directions(subject.objective, dimensions)
        tg.sample(subject.objective, directions, points=points, distance=0.1, device=device)

    works = {
        f"{d}-D, {side}^{d}": lambda d=d, side=side: sample(d, side) for d, side in EQUAL.items()
    }
    rows = []
    for name, found in alternate(works, device, repeats).items():
        middle = sorted(found)[len(found) // 2]
        rows.append({"grid": name, "points": 4096, "seconds": middle})
    for side in SIDES:
        rows.append({"grid": f"3-D, {side}^3", "points": side**3, **_alone(side, device)})
    for row in rows:
        row["microseconds_per_point"] = 1e6 * float(row["seconds"]) / int(row["points"])
        line(row)
    publish("growth", rows, device, start)


def _alone(side: int, device: str) -> dict[str, float]:
    """Sample in a process of its own, whose peak memory is then the grid's."""
    command = [sys.executable, str(Path(__file__)), str(side), device]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _child(side: int, device: str) -> None:
    torch.set_num_threads(THREADS)
    subject = pinn()
    directions = tg.random_directions(subject.objective, 3)
    before = _peak_megabytes()
    start = time.perf_counter()
    with quiet():
        tg.sample(subject.objective, directions, points=side, distance=0.1, device=device)
    found = {"seconds": time.perf_counter() - start, "megabytes_before": before}
    print(json.dumps(found | {"megabytes_peak": _peak_megabytes()}))


def _peak_megabytes() -> float:
    """Return the peak of this process; on Linux ru_maxrss would start at its parent's."""
    status = Path("/proc/self/status")
    if status.is_file():
        (peak,) = (x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(peak.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    _child(int(sys.argv[1]), sys.argv[2])
