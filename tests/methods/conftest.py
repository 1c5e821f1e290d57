"""A trained cell with weights between its start and its end, small enough for whole Hessians."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from topograph.config.runs import TRAINING, Cell
from topograph.families.training import train
from topograph.foundation.storage import read_weights, write_weights

CONTENT = {
    "family": "pinn",
    "problem": {"target": "convection", "kwargs": {"beta": 2.0}},
    "model": {"target": "mlp", "kwargs": {"inputs": 2, "outputs": 1, "width": 6, "depth": 2}},
    "optimiser": {"name": "lbfgs", "max_iterations": 20},
}
SEEDS = (0, 4)
EPOCHS = (0, 1, 2, 3)


class Trained(NamedTuple):
    """A cell, its weights, and where to write what is made of them."""

    cell: Cell
    weights: Path
    metrics: Path
    epochs: tuple[int, ...] = EPOCHS

    def files(self, folder: Path, *tables: str) -> dict[str, str]:
        """Return a path for the results and for each table."""
        found = {"results": folder / "results.nc"}
        found |= {table: folder / f"{table}.parquet" for table in ("methods", *tables)}
        return {name: str(path) for name, path in found.items()}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Weights on a bend, in a plane, from the start to the end of a short training, by epoch."""
    cell = Cell("convection-run", SEEDS, TRAINING.validate_python(CONTENT))
    folder = tmp_path_factory.mktemp("methods")
    train(cell, folder)
    written, kept = folder / "weights.safetensors", {}
    for seed in SEEDS:
        first, last = (read_weights(written, f"{seed}/{epoch}/")[0] for epoch in (0, 1))
        for epoch in EPOCHS:
            share = np.float32(epoch / EPOCHS[-1])
            for name, value in first.items():
                bend = share * (1 - share) * value
                kept[f"{seed}/{epoch}/{name}"] = value + share * (last[name] - value) + bend
    path = folder / "path.safetensors"
    write_weights(path, kept, {})
    return Trained(cell, path, folder / "metrics.parquet")
