"""Carrying a landscape to its end: agree on a plan, resume, start again when memory runs out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from topograph.foundation.errors import TopographError
from topograph.foundation.storage import read_dataset
from topograph.landscape.chunks import Chunks
from topograph.landscape.evaluation import Points, Values, evaluate_in_chunks
from topograph.landscape.plan import Plan, make_plan
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
    key = _key(objective, points, dtype)
    plan = make_plan(objective, key, len(points.coefficients), engine, dtype, device)
    if _is_finished(path, key):
        return None
    chunks = Chunks(Path(f"{path}.parts")) if path else None
    if chunks:
        plan = _agreed(chunks, plan, engine)
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


def _agreed(chunks: Chunks, plan: Plan, engine: str) -> Plan:
    agreed = chunks.agree(plan)
    if agreed.key != plan.key:
        raise TopographError(
            f"{chunks.folder} holds a landscape in progress (digest {agreed.key}) that is not this "
            f"one ({plan.key}): of another model, other directions, points or another dtype; give "
            "another path, or remove the folder"
        )
    if engine not in ("auto", agreed.engine) or agreed.device != plan.device:
        raise TopographError(
            f"{chunks.folder} was begun with engine {agreed.engine!r} on {agreed.device!r}; "
            f"{plan.engine!r} on {plan.device!r} gives other bits: go on as it was begun, or "
            "remove the folder"
        )
    return agreed


def _evaluated(
    objective: Objective, points: Points, plan: Plan, chunks: Chunks | None, shard: tuple[int, int]
) -> tuple[Plan, dict[int, Values]]:
    while True:
        try:
            return plan, evaluate_in_chunks(objective, points, plan, chunks, shard)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
        plan = plan.with_half_the_tile()
        if chunks:
            chunks.clear()
            plan = chunks.agree(plan)


def _is_out_of_memory(error: BaseException) -> bool:
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "allocate memory" in str(error) or "not enough memory" in str(error)


def _assembled(finished: Mapping[int, Values], count: int, tile: int) -> tuple[Values, int]:
    """Return values (M, …) in the order of the points, and how many there are."""
    values: Values = {}
    evaluated = 0
    for first, part in finished.items():
        start = first * tile
        length = len(part["loss"])
        evaluated += length
        for name, column in part.items():
            whole = values.setdefault(name, np.full((count, *column.shape[1:]), np.nan))
            whole[start : start + length] = column
    return values, evaluated
