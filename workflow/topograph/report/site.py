"""The front page of a study: its figures, what each cost, and all runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from topograph.archive.history import Job, ancestors, producers, read_job, read_jobs
from topograph.foundation.errors import DataError
from topograph.foundation.provenance import manifest_path
from topograph.foundation.storage import atomic, read_table, require
from topograph.report.figure import read_published
from topograph.report.page import render

_METRICS = {
    "relative_error": "Relative error",
    "test_accuracy": "Test accuracy",
    "train_loss": "Training loss",
}
_INDEX_COLUMNS = ("experiment", "run", "label", "parameters", "seeds")


def build_site(
    study: str, *, config: str, reports: Path, results: Path, figures: list[str]
) -> Path:
    """Write ``<reports>/index.html`` from finished figures and runs, and return its path.

    ``reports`` and ``results`` are the study's own folders, such as reports/study and
    results/study. Each figure's card gives its own seconds and those of every job that it was made
    from, found by following the inputs of manifests; a job used twice counts once. Metrics are
    averaged over the seeds that did not diverge, and diverged seeds are counted beside them. The
    interactive pages of a run, in profiles/, are linked where they are.

    Raises DataError when a figure's files, a manifest, the index of runs or a run's metrics are
    missing or broken.
    """
    made_by = producers(read_jobs(results, reports / "profiles"))
    jobs: set[Job] = set()
    cards = []
    for figure in figures:
        own = read_job(manifest_path(reports / "figures" / f"{figure}.html"))
        before = ancestors(own, made_by)
        jobs |= before | {own}
        cards.append(_card(study, figure, reports, own, before))
    runs = _runs(reports, results)
    html = render(
        "index.html",
        study=study,
        config=config,
        cards=cards,
        metrics=[_METRICS[name] for name in runs.metrics],
        experiments=runs.experiments,
        run_count=runs.count,
        total=_duration(_total(jobs)),
        job_count=len(jobs),
    )
    target = reports / "index.html"
    with atomic(target) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return target


def _total(jobs: Iterable[Job]) -> float:
    return sum(job.seconds for job in jobs)


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def _card(study: str, figure: str, reports: Path, own: Job, before: set[Job]) -> dict[str, Any]:
    folder = reports / "figures"
    for suffix in ("html", "svg"):
        require(folder / f"{figure}.{suffix}")
    published = read_published(folder / figure)
    return {
        "id": figure,
        "title": published["title"],
        "caption": published["caption"],
        "command": f"make reports/{study}/figures/{figure}.html",
        "own": _duration(own.seconds),
        "others": _duration(_total(before)),
        "other_count": len(before),
    }


@dataclass(frozen=True)
class _Runs:
    """The table of runs: which metrics it shows, and its rows by experiment."""

    metrics: list[str]
    experiments: dict[str, list[dict[str, Any]]]
    count: int


def _runs(reports: Path, results: Path) -> _Runs:
    index = _table(results / "index.parquet", _INDEX_COLUMNS)
    tables = {
        run: _table(results / "train" / run / "metrics.parquet", ("run", "seed", "diverged"))
        for run in index["run"].unique()
    }
    shown = [name for name in _METRICS if any(name in table for table in tables.values())]
    experiments: dict[str, list[dict[str, Any]]] = {}
    for row in index.to_dict("records"):
        manifest = require(results / "train" / row["run"] / "weights.manifest.json")
        experiments.setdefault(row["experiment"], []).append(
            {
                "run": row["run"],
                "label": row["label"],
                "parameters": _parameters(row, results),
                "seeds": ", ".join(map(str, json.loads(row["seeds"]))),
                "profiles": _profiles(reports, row["run"]),
                "manifest": Path(os.path.relpath(manifest, reports)).as_posix(),
                **_outcome(tables[row["run"]], shown),
            }
        )
    return _Runs(shown, experiments, len(tables))


def _profiles(reports: Path, run: str) -> list[tuple[str, str]]:
    """Return the analysis and the link of each interactive page of a run."""
    pages = sorted((reports / "profiles").glob(f"{run}.*.html"))
    return [(page.stem.removeprefix(f"{run}."), f"profiles/{page.name}") for page in pages]


def _table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    table = read_table(path)
    missing = [name for name in columns if name not in table]
    if missing:
        raise DataError(
            f"{path} lacks the columns {', '.join(missing)}; it has "
            f"{', '.join(map(str, table.columns))}. Remake it: rm {path} && make {path}"
        )
    return table


def _parameters(row: Mapping[Any, Any], results: Path) -> dict[str, str]:
    try:
        parameters = json.loads(row["parameters"])
        return {name: str(value) for name, value in parameters.items()}
    except (TypeError, ValueError, AttributeError) as error:
        path = results / "index.parquet"
        raise DataError(
            f"{path}: the parameters of run {row['run']} are {row['parameters']!r}, not the JSON "
            f"text of a mapping; remake it: rm {path} && make {path}"
        ) from error


def _outcome(table: pd.DataFrame, metrics: list[str]) -> dict[str, Any]:
    diverged = table["diverged"].astype(bool)
    cells = []
    for name in metrics:
        values = table.loc[~diverged, name].dropna() if name in table else pd.Series(dtype=float)
        cells.append(_summary(values))
    return {"trained": len(table), "diverged": int(diverged.sum()), "metrics": cells}


def _summary(values: pd.Series) -> dict[str, str] | None:
    if values.empty:
        return None
    mean, low, high = (f"{value:.3g}" for value in (values.mean(), values.min(), values.max()))
    return {"mean": mean, "range": f"{low} to {high}" if len(values) > 1 else "one seed"}
