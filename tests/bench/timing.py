"""Alternating measurements, medians of ratios, and where the tables go."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch

from topograph.foundation.provenance import Code, Start, write_manifest
from topograph.foundation.storage import atomic

ROOT = Path(__file__).resolve().parents[2]
THREADS = 2


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallow progress bars and prints, the same for both sides."""
    silent = io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        yield


def seconds(work: Callable[[], object], device: str) -> float:
    """Return the wall time of one call, the device's queue drained on both ends."""
    _drain(device)
    start = time.perf_counter()
    with quiet():
        work()
    _drain(device)
    return time.perf_counter() - start


def alternate(
    works: Mapping[str, Callable[[], object]], device: str, repeats: int
) -> dict[str, list[float]]:
    """Time A B A B …: once each to warm up, then ``repeats`` rounds; seconds by name."""
    for work in works.values():
        seconds(work, device)
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            times[name].append(seconds(work, device))
    return times


def ratio(above: list[float], below: list[float]) -> float:
    """Return the median over rounds of one time over another of the same round."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def begin(script: str) -> Start:
    """Return the start of a script of this folder."""
    return Start.now(Code(scripts=(f"tests/bench/{Path(script).name}",)))


def publish(name: str, rows: list[dict[str, object]], device: str, start: Start) -> None:
    """Write a script's table and its manifest under reports/published/, numbers to four digits."""
    folder = Path("reports/published") / ("gpu" if device == "cuda" else "bench")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    path = folder / f"{name}.csv"
    with atomic(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _short(value) for key, value in row.items()} for row in rows)
    write_manifest(
        [path],
        rule="bench",
        inputs=[Path("envs/peers.txt")],
        parameters={"threads": THREADS, "table": name, "cores": os.cpu_count()},
        start=start,
        command="make gpu" if device == "cuda" else "make bench",
        device=torch.cuda.get_device_name() if device == "cuda" else device,
    )


def line(row: Mapping[str, object]) -> None:
    """Print one row as name value pairs."""
    print("  ".join(f"{key} {_short(value)}" for key, value in row.items()), flush=True)


def _short(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value


def _drain(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
