"""Carrying a landscape to its end: agree on a plan, resume, start again when memory runs out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from topograph.foundation.errors import TopographError
from topograph.foundation.storage import read_dataset
from topograph.landscape.chunks import Chunks
from topograph.landscape.evaluation import Points, Values, evaluate_in_chunks
from topograph.landscape.plan import (
    Plan,
    check_options,
    existing_device,
    is_out_of_memory,
    make_plan,
)
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten


@dataclass(frozen=True)
class Progress:
    """Values (M, …) of the points evaluated so far, NaN elsewhere, under one plan."""

    plan: Plan
    values: Values
    evaluated: int
    chunks: Chunks | None

    @property
    def is_complete(self) -> bool:
        """Whether every point has its values."""
        return self.evaluated == len(self.values["loss"])

    def clear(self) -> None:
        """Remove the work in progress from disk."""
        if self.chunks:
            self.chunks.clear()


def work_on(
    objective: Objective,
    points: Points,
    path: str | Path | None,
    *,
    engine: str,
    dtype: str,
    device: str | None,
    shard: tuple[int, int],
) -> Progress | None:
    """Evaluate a shard of the points, going on from what lies beside ``path``.

    Returns None where ``path`` holds the finished landscape. Raises TopographError where it holds
    another one, or for options that cannot be.
    """
    _check_shard(shard, path)
    check_options(objective, engine, dtype, device)
    key = _key(objective, points, dtype)
    if _is_finished(path, key):
        return None
    chunks = Chunks(Path(f"{path}.parts")) if path else None
    plan = chunks.planned() if chunks else None
    if plan is None:
        plan = make_plan(objective, key, len(points.coefficients), engine, dtype, device)
    if chunks:
        plan = _agreed(chunks, plan, key, engine, device)
    plan, finished = _evaluated(objective, points, plan, chunks, shard)
    if _is_finished(path, key):
        return None
    return Progress(plan, *_assembled(finished, len(points.coefficients), plan.tile), chunks)


def _check_shard(shard: tuple[int, int], path: str | Path | None) -> None:
    index, count = shard
    if not 0 <= index < count:
        raise TopographError(f"shard is {shard}; allowed: (i, k) with i from 0 to k - 1")
    if count > 1 and path is None:
        raise TopographError(f"shard is {shard} without a path; shards meet in files: give a path")


def _key(objective: Objective, points: Points, dtype: str) -> str:
    content = hashlib.sha256(f"{objective.digest} {dtype} ".encode())
    content.update(np.ascontiguousarray(points.coefficients).tobytes())
    for i in range(points.coefficients.shape[1]):
        vector = flatten({name: points.vectors[name][i] for name in objective.names})
        content.update(vector.cpu().numpy().tobytes())
    return content.hexdigest()[:12]


def _is_finished(path: str | Path | None, key: str) -> bool:
    if path is None or not Path(path).is_file():
        return False
    found = read_dataset(path).attrs.get("key")
    if found != key:
        raise TopographError(
            f"{path} holds another landscape (digest {found}, this one has {key}): of another "
            "model, other directions, points or another dtype; give another path, or move the "
            "file away"
        )
    return True


def _agreed(chunks: Chunks, plan: Plan, key: str, engine: str, device: str | None) -> Plan:
    agreed = chunks.agree(plan)
    if agreed.key != key:
        raise TopographError(
            f"{chunks.folder} holds a landscape in progress (digest {agreed.key}) that is not this "
            f"one ({key}): of another model, other directions, points or another dtype; give "
            "another path, or remove the folder"
        )
    wanted = str(existing_device(device))
    if engine not in ("auto", agreed.engine) or agreed.device != wanted:
        raise TopographError(
            f"{chunks.folder} was begun with engine {agreed.engine!r} on {agreed.device!r}; "
            f"{engine!r} on {wanted!r} gives other bits: go on as it was begun, or remove the "
            "folder"
        )
    return agreed


def _evaluated(
    objective: Objective, points: Points, plan: Plan, chunks: Chunks | None, shard: tuple[int, int]
) -> tuple[Plan, dict[int, Values]]:
    while True:
        try:
            finished = evaluate_in_chunks(objective, points, plan, chunks, shard)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            smaller = plan.with_half_the_tile()
            plan = chunks.replan(plan, smaller) if chunks else smaller
            continue
        # Another shard may have run out of memory meanwhile, and all start again with its plan.
        now = chunks.planned() if chunks else None
        if now is None or now == plan:
            return plan, finished
        plan = now


def _assembled(finished: Mapping[int, Values], count: int, tile: int) -> tuple[Values, int]:
    """Return values (M, …) in the order of the points, and how many points have theirs."""
    values: Values = {"loss": np.full(count, np.nan)}
    done = np.zeros(count, dtype=bool)
    for first, part in finished.items():
        start = first * tile
        length = len(part["loss"])
        # Two processes with the same work may both have done it: their chunks overlap.
        done[start : start + length] = True
        for name, column in part.items():
            whole = values.setdefault(name, np.full((count, *column.shape[1:]), np.nan))
            whole[start : start + length] = column
    return values, int(done.sum())
