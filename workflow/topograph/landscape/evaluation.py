"""Values of an objective at many parameter points, tile by tile, kept on disk as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from topograph.foundation.progress import track
from topograph.landscape.chunks import Chunks
from topograph.landscape.plan import Plan
from topograph.objective.engines import Engine, Parameters
from topograph.objective.objective import Objective

# How much of the work a crash may cost.
SECONDS_BETWEEN_CHUNKS = 5.0
Values = dict[str, np.ndarray]


class Points(NamedTuple):
    """Parameter points origin + sum_i c_i v_i: vectors (n, …) by name and coefficients (M, n)."""

    origin: Parameters | None
    vectors: Parameters
    coefficients: np.ndarray

    def at(self, coefficients: np.ndarray) -> Points:
        """Return other points along the same vectors."""
        return self._replace(coefficients=coefficients)

    def tile(self, number: int, size: int) -> np.ndarray:
        """Return the coefficients of one tile, fewer at the end."""
        return self.coefficients[number * size : (number + 1) * size]


class Filled(NamedTuple):
    """An engine with the points that it is to evaluate, lifted to its rows."""

    engine: Engine
    origin: Tensor
    vectors: Tensor
    plan: Plan

    @staticmethod
    def of(objective: Objective, points: Points, plan: Plan) -> Filled:
        """Prepare the plan's engine: one product per direction at most, for all points."""
        dtype, device = plan.place
        engine = plan.make_engine(objective)
        names = objective.names
        vectors = engine.lift({k: points.vectors[k].to(device, dtype) for k in names})
        if points.origin is None:
            return Filled(engine, torch.zeros_like(vectors[:1]), vectors, plan)
        origin = engine.lift({k: points.origin[k][None].to(device, dtype) for k in names})
        return Filled(engine, origin, vectors, plan)

    def evaluate(self, coefficients: np.ndarray) -> dict[str, Tensor]:
        """Return the terms at up to a tile of points, (points, …).

        theta + sum_i c_i v_i is formed elementwise in the order of the directions: a matrix product
        would round differently from tile to tile.
        """
        count, tile = len(coefficients), self.plan.tile
        # The rest of the last tile repeats a point: every point goes through the same kernel.
        padded = np.concatenate([coefficients, np.repeat(coefficients[-1:], tile - count, axis=0)])
        along = torch.from_numpy(padded).to(self.vectors)
        result = self.engine.buffer
        torch.addcmul(self.origin, along[:, :1], self.vectors[0], out=result)
        for i in range(1, len(self.vectors)):
            result.addcmul_(along[:, i : i + 1], self.vectors[i])
        return {name: value[:count] for name, value in self.engine.run().items()}


def evaluate(objective: Objective, points: Points, plan: Plan) -> Values:
    """Return the loss and every metric, (M, …) float64, at all points."""
    total = -(-len(points.coefficients) // plan.tile)
    with plan.in_force():
        filled = Filled.of(objective, points, plan)
        return _joined([filled.evaluate(points.tile(t, plan.tile)) for t in range(total)])


def evaluate_in_chunks(
    objective: Objective, points: Points, plan: Plan, chunks: Chunks | None, shard: tuple[int, int]
) -> dict[int, Values]:
    """Return values by the number of their first tile: those on disk and those of this shard.

    Finished tiles are written every few seconds; shard (i, k) evaluates the i-th of k equal runs of
    tiles.
    """
    finished = chunks.load(plan) if chunks else {}
    missing = _missing(finished, points, plan, shard)
    if not missing:
        return finished
    pending: list[dict[str, Tensor]] = []
    first, written = missing[0], time.monotonic()

    def keep() -> None:
        nonlocal written
        finished[first] = _joined(pending)
        if chunks:
            chunks.save(plan, first, finished[first])
        pending.clear()
        written = time.monotonic()

    with plan.in_force():
        filled = Filled.of(objective, points, plan)
        for tile in _tracked(missing, points, plan):
            late = time.monotonic() - written > SECONDS_BETWEEN_CHUNKS
            if pending and (late or tile != first + len(pending)):
                keep()
            if not pending:
                first = tile
            pending.append(filled.evaluate(points.tile(tile, plan.tile)))
        keep()
    # Other shards may have finished meanwhile.
    return chunks.load(plan) if chunks else finished


def _missing(
    finished: dict[int, Values], points: Points, plan: Plan, shard: tuple[int, int]
) -> list[int]:
    done = set()
    for first, values in finished.items():
        count = -(-len(next(iter(values.values()))) // plan.tile)
        done |= set(range(first, first + count))
    total = -(-len(points.coefficients) // plan.tile)
    wanted = range(total * shard[0] // shard[1], total * (shard[0] + 1) // shard[1])
    return [tile for tile in wanted if tile not in done]


def _tracked(missing: list[int], points: Points, plan: Plan) -> Iterator[int]:
    total = len(points.coefficients)
    start = max(0, total - len(missing) * plan.tile)
    return track(missing, "sampling", total, step=plan.tile, unit="points", start=start)


def _joined(tiles: list[dict[str, Tensor]]) -> Values:
    return {
        name: torch.cat([tile[name] for tile in tiles]).double().cpu().numpy() for name in tiles[0]
    }
