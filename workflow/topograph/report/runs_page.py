"""The page of runs: every cell of every experiment, to be searched and sorted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from topograph.report.cells import TrainedCell, by_experiment, in_words, metrics_of, rounded
from topograph.report.finished import FinishedStudy
from topograph.report.page import write_html


def write_runs(study: FinishedStudy) -> Path:
    """Write ``runs.html``: a table for each experiment, a row for each cell, and return its path.

    Metrics are averaged over the seeds that did not diverge. Without JavaScript the tables are
    whole, in the order of the study file.
    """
    tables = [
        _table(study, experiment, cells) for experiment, cells in by_experiment(study.cells).items()
    ]
    return write_html(
        study.reports / "runs.html",
        "runs.html",
        study=study.name,
        tables=tables,
        count=len(study.cells),
        has_surfaces=bool(study.surfaces),
    )


def _table(study: FinishedStudy, experiment: str, cells: list[TrainedCell]) -> dict[str, Any]:
    names = dict.fromkeys(name for cell in cells for name in cell.parameters)
    # The name of a variant is its label already.
    told = {
        name for name in names if all(cell.parameters.get(name) == cell.label for cell in cells)
    }
    metrics = metrics_of(cells)
    return {
        "experiment": experiment,
        "parameters": {name: in_words(name) for name in names if name not in told},
        "metrics": {name: in_words(name) for name in metrics},
        "rows": [_row(study, cell) for cell in cells],
    }


def _row(study: FinishedStudy, cell: TrainedCell) -> dict[str, Any]:
    return {
        "cell": cell,
        "means": {name: rounded(spread.mean) for name, spread in cell.metrics.items()},
        "seeds": ", ".join(map(str, cell.seeds)),
        "profiles": [
            (analysis, Path(os.path.relpath(page, study.reports)).as_posix())
            for analysis, page in (*study.profiles_of(cell.run), *study.surfaces_of(cell.run))
        ],
        "figures": [figure.name for figure in study.figures_of(cell.run)],
        "origin": study.training_of(cell.run),
    }
