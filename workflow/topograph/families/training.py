"""Training a cell: all seeds in one job, finished seeds kept, one set of files at the end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

from topograph.config.models import PinnTraining, SupervisedTraining
from topograph.config.runs import Cell
from topograph.families import pinn, supervised
from topograph.families.result import SeedResult, named
from topograph.foundation.errors import DataError
from topograph.foundation.progress import track
from topograph.foundation.provenance import code_digest, digest
from topograph.foundation.storage import (
    read_weights,
    remove_others,
    write_dataset,
    write_table,
    write_weights,
)

FAMILIES: dict[str, ModuleType] = {"pinn": pinn, "supervised": supervised}
FILES = ("weights.safetensors", "history.parquet", "metrics.parquet", "predictions.nc")


def train(cell: Cell, path: str | Path, *, scratch: str | Path | None = None) -> None:
    """Train every seed of a cell and write its files into the folder ``path``.

    Files: weights.safetensors (``seed/epoch/parameter``), history.parquet, metrics.parquet and
    predictions.nc. Seeds that are finished under the same training block and code lie in
    ``scratch`` (default ``path/scratch``) and are not trained again; an unfinished one resumes.
    What was trained there under another digest is removed in the end.
    """
    folder = Path(path)
    family = FAMILIES[cell.training.family]
    key = digest([cell.training.model_dump(), code_digest(family.__name__, *cell.modules)])
    work = Path(scratch or folder / "scratch") / key
    results = {
        seed: _seed_result(family, cell, seed, work, key)
        for seed in track(cell.seeds, f"training {cell.run}", len(cell.seeds))
    }
    tensors: dict[str, np.ndarray] = {}
    for seed, result in results.items():
        tensors |= named(result.weights, f"{seed}/")
    header = {"run": cell.run, "digest": key, "cell": json.dumps(cell.to_dict())}
    last = {seed: result.weights[max(result.weights)] for seed, result in results.items()}
    write_dataset(folder / FILES[3], family.predict(cell.training, last))
    write_table(folder / FILES[2], _rows(cell.run, {s: [r.metrics] for s, r in results.items()}))
    write_table(folder / FILES[1], _rows(cell.run, {s: r.history for s, r in results.items()}))
    write_weights(folder / FILES[0], tensors, header)
    remove_others(work)


def _seed_result(family: ModuleType, cell: Cell, seed: int, work: Path, key: str) -> SeedResult:
    finished = work / f"seed-{seed}.safetensors"
    if finished.is_file():
        try:
            return SeedResult.load(finished)
        except DataError:
            finished.unlink()
    result: SeedResult = family.train_seed(cell.training, seed, work / f"seed-{seed}")
    result.save(finished, key)
    shutil.rmtree(work / f"seed-{seed}", ignore_errors=True)
    return result


def _rows(run: str, by_seed: Mapping[int, list[dict[str, float]]]) -> pd.DataFrame:
    rows = [{"run": run, "seed": s, **row} for s, listed in by_seed.items() for row in listed]
    return pd.DataFrame(rows)


def trained_state(
    weights: str | Path, seed: int, epoch: int | str
) -> tuple[int, dict[str, np.ndarray]]:
    """Return the epoch, resolved from ``last``, and the state of one seed in a weights file."""
    if epoch == "last":
        tensors, _ = read_weights(weights, f"{seed}/")
        epoch = max(int(name.split("/", 1)[0]) for name in tensors)
    state, _ = read_weights(weights, f"{seed}/{epoch}/")
    return int(epoch), state


def family_of(training: PinnTraining | SupervisedTraining) -> ModuleType:
    """Return the module that trains a block of this family."""
    return FAMILIES[training.family]
