"""What each method of a study cost and how good it is: its values, and its part of the overview."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from topograph.foundation.storage import write_json
from topograph.report.cells import TrainedCell, by_experiment, read_columns, rounded
from topograph.report.finished import Figure, FinishedStudy
from topograph.report.methods import PARTS, SHOWN, Shown

_COLUMNS = ("run", "method", "seed", "part", "seconds", "evaluations")


@dataclass(frozen=True)
class Quality:
    """A number that tells how good a map is."""

    key: str
    words: str
    higher_is_better: bool
    meaning: str


QUALITY = (
    Quality(
        "trustworthiness",
        "Trustworthiness",
        True,
        "1 where all that are near on the map are near in weight space too",
    ),
    Quality(
        "continuity",
        "Continuity",
        True,
        "1 where all that are near in weight space stay near on the map",
    ),
    Quality(
        "overlap",
        "Overlap",
        True,
        "the share of each point's nearest that are its nearest on the map too",
    ),
    Quality(
        "shepard",
        "Shepard",
        True,
        "the rank correlation of all distances with those on the map",
    ),
    Quality(
        "stress",
        "Stress",
        False,
        "the error of all distances on the map; 0 where they are in proportion",
    ),
    Quality(
        "reconstruction",
        "Reconstruction",
        False,
        "the distance between weights and what the map makes of them again, over that to their "
        "mean; only maps with a way back have it",
    ),
    Quality(
        "reconstruction_held_out",
        "Held out",
        False,
        "the same for weights that the map was made without, a quarter at a time; 1 is no better "
        "than their mean",
    ),
    Quality(
        "trajectory_preservation",
        "Path kept",
        True,
        "the share of each training's steps that are short on the map",
    ),
    Quality(
        "seed_spread",
        "Spread",
        False,
        "how far maps from other random numbers differ, 0 to 1; 0 where nothing is left to chance",
    ),
)
# In units that differ between experiments: no mean over these.
LOSSES = {
    "barrier": ("Mean barrier between seeds", "in units of the loss"),
    "standard_error": ("Mean standard error", "in units of the estimate"),
}


def gallery_values(study: FinishedStudy) -> dict[str, dict[str, Any]]:
    """Return seconds, evaluations, quality and experiments of each method of ``SHOWN``, by id.

    ``seconds`` and ``evaluations`` are totals, NaN where no row has them. An experiment has the
    number of its ``networks``, ``seconds_per_network``, ``evaluations_per_network`` and the means
    of what tells how good a method is; the qualities of a method are the means over experiments.
    """
    tables = [read_columns(path, _COLUMNS) for path in study.methods]
    measures = [*(quality.key for quality in QUALITY), *LOSSES]
    rows = pd.concat(tables).reindex(columns=[*_COLUMNS, *measures])
    rows[["evaluations", *measures]] = rows[["evaluations", *measures]].astype("float64")
    rows["method"] = rows["method"].replace(PARTS)
    # A wall on the way of a training is none between two networks.
    rows["barrier"] = rows["barrier"].mask(rows["part"] == "initial")
    return {
        shown.id: _values(rows[rows["method"] == shown.id], by_experiment(study.cells))
        for shown in SHOWN
    }


def write_values(study: FinishedStudy) -> list[Path]:
    """Write ``values.json`` with ``gallery_values``, where the study has methods; return its path.

    What is missing, and what is not finite, is null.
    """
    if not study.methods:
        return []
    path = study.reports / "values.json"
    write_json(path, gallery_values(study))
    return [path]


def _values(rows: pd.DataFrame, experiments: Mapping[str, list[TrainedCell]]) -> dict[str, Any]:
    found = {}
    for name, cells in experiments.items():
        runs = dict(iter(rows.groupby("run")))
        networks = {c.run: _looked_at(runs[c.run], c) for c in cells if c.run in runs}
        if networks:
            own = rows[rows["run"].isin(networks)]
            found[name] = _of_experiment(own, sum(networks.values()))
    each = pd.DataFrame.from_records(list(found.values()), columns=[q.key for q in QUALITY])
    return {**_totals(rows), **_means(each), "experiments": found}


def _looked_at(rows: pd.DataFrame, cell: TrainedCell) -> int:
    """Return of how many networks of a cell rows tell: of each, of pairs, or of all together."""
    seeds = {*rows["seed"][rows["seed"] >= 0]}
    for pair in rows["part"].str.extract(r"^(\d+)-(\d+)$").dropna().astype(int).to_numpy():
        seeds |= {*pair}
    return len(seeds) or len(cell.seeds)


def _of_experiment(rows: pd.DataFrame, networks: int) -> dict[str, Any]:
    each = {f"{key}_per_network": value / networks for key, value in _totals(rows).items()}
    means = _means(rows[[*(quality.key for quality in QUALITY), *LOSSES]])
    return {"networks": networks, **each, **means}


def _totals(rows: pd.DataFrame) -> dict[str, float]:
    """Return the sums of what was counted; NaN, not 0, where nothing was."""
    return {key: float(rows[key].sum(min_count=1)) for key in ("seconds", "evaluations")}


def _means(columns: pd.DataFrame) -> dict[str, float]:
    return {str(key): float(value) for key, value in columns.mean().items()}


def gallery_of(study: FinishedStudy) -> dict[str, Any] | None:
    """Return what gallery.html tells of each method and of all maps; None without methods."""
    if not study.methods:
        return None
    values = gallery_values(study)
    return {
        "sections": [_section(study, shown, values[shown.id]) for shown in SHOWN],
        "maps": _maps(values),
        "qualities": QUALITY,
    }


def is_drawn_there(figure: Figure) -> bool:
    """Say whether the sections of methods show a figure."""
    return figure.notebook in {shown.notebook for shown in SHOWN}


def _section(study: FinishedStudy, shown: Shown, values: dict[str, Any]) -> dict[str, Any]:
    costs = values["experiments"]
    losses = [key for key in LOSSES if any(pd.notna(cost[key]) for cost in costs.values())]
    return {
        "shown": shown,
        "seconds": _range([cost["seconds_per_network"] for cost in costs.values()]),
        "evaluations": _range([cost["evaluations_per_network"] for cost in costs.values()]),
        "total": {key: _text(values[key]) for key in ("seconds", "evaluations")},
        "losses": [LOSSES[key] for key in losses],
        "costs": [
            {
                "experiment": name,
                "networks": cost["networks"],
                "numbers": [
                    _text(cost[key])
                    for key in ("seconds_per_network", "evaluations_per_network", *losses)
                ],
            }
            for name, cost in costs.items()
        ],
        "pictures": [figure for figure in study.figures if figure.notebook == shown.notebook],
        "beside": [other for other in SHOWN if other.notebook == shown.notebook and other != shown],
        "surfaces": _surfaces(study) if shown.kind == "slices" else [],
    }


def _surfaces(study: FinishedStudy) -> list[tuple[str, str]]:
    """Return label and address of each interactive surface."""
    return [
        (
            f"{', '.join(dict.fromkeys((cell.experiment, cell.label)))} ({analysis})",
            Path(os.path.relpath(page, study.reports)).as_posix(),
        )
        for cell in study.cells
        for analysis, page in study.surfaces_of(cell.run)
    ]


def _maps(values: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return for each experiment its maps, with the qualities of each and which are best."""
    maps = [shown for shown in SHOWN if shown.kind == "weights"]
    names = dict.fromkeys(name for shown in maps for name in values[shown.id]["experiments"])
    found = []
    for name in names:
        measured = {
            shown: values[shown.id]["experiments"][name]
            for shown in maps
            if name in values[shown.id]["experiments"]
        }
        columns = [_column([one[q.key] for one in measured.values()], q) for q in QUALITY]
        rows = zip(measured, zip(*columns, strict=True), strict=True)
        found.append({"experiment": name, "rows": list(rows)})
    return found


def _column(values: Sequence[float], quality: Quality) -> list[tuple[str, bool]]:
    """Return each value as text and whether none is better; alone, none is compared."""
    known = [value for value in values if pd.notna(value)]
    best = _text((max if quality.higher_is_better else min)(known, default=float("nan")))
    return [(_text(value), len(known) > 1 and _text(value) == best) for value in values]


def _range(values: Sequence[float]) -> str:
    known = [value for value in values if pd.notna(value)]
    ends = [_text(end(known, default=float("nan"))) for end in (min, max)]
    return " to ".join(dict.fromkeys(ends))


def _text(value: float) -> str:
    """Return a number for readers, nothing where there is none."""
    return rounded(value) if pd.notna(value) else ""
