"""A grid of the published size is merged whole, a part of it at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from topograph.archive.asked import Asked
from topograph.archive.publish import publish
from topograph.config.runs import Cell
from topograph.foundation.provenance import Code, file_digest, manifest_path
from topograph.foundation.storage import write_json, write_table

STUDY = """
study: large
experiments:
  convection:
    family: pinn
    problem: {{target: convection, kwargs: {{beta: 1.0}}}}
    model: {{target: mlp, kwargs: {{inputs: 2, outputs: 1, width: 10, depth: 2}}}}
    optimiser: {{name: lbfgs}}
    seeds: [0, 1, 2, 3, 4]
    grid:
      problem.kwargs.beta: {betas}
      optimiser.learning_rate: [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]
"""


def finish(cell: Cell, code: Code, digest: str) -> None:
    """Leave what the job that trains a cell leaves."""
    folder = Path("results/large/train") / cell.run
    metrics = folder / "metrics.parquet"
    write_table(metrics, pd.DataFrame({"run": cell.run, "seed": cell.seeds, "train_loss": 0.1}))
    content = {
        "rule": "train",
        "inputs": {},
        "outputs": {str(folder / "weights.safetensors"): "0", str(metrics): file_digest(metrics)},
        "parameters": {"cell": cell.to_dict()},
        "code": {"digest": digest, **code._asdict()},
        "commit": "c0ffee",
        "started": "2025-01-01T00:00:00+00:00",
        "ended": "2025-01-01T00:00:01+00:00",
    }
    write_json(manifest_path(folder / "weights.safetensors"), content)


def test_350_cells_with_5_seeds_are_merged_in_two_pieces(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = Path("config/large.yaml")
    study.parent.mkdir()
    study.write_text(STUDY.format(betas=json.dumps([float(beta) for beta in range(1, 51)])))
    cells = list(Asked.of(study).cells.values())
    assert len(cells) == 350
    code = Code(tuple(cells[0].modules), ("workflow/scripts/train.py",))
    digest = code.digest()
    for cell in cells[:200]:
        finish(cell, code, digest)
    (table,) = publish(study)
    assert (table.rows, table.current, len(table.missing)) == (1000, 1000, 750)
    for cell in cells[200:]:
        finish(cell, code, digest)
    (table,) = publish(study)
    assert (table.rows, table.current, len(table.missing)) == (1750, 1750, 0)
    assert table.path.stat().st_size < 300_000
    assert not publish(study)[0].written
