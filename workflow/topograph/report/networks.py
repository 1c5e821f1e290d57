"""What figures of methods draw from: the networks of all their sources, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from topograph.report.figure import NothingToDraw
from topograph.report.results import Results


class Networks(NamedTuple):
    """Results and datasets of networks by label, and in words which are left out, if any."""

    results: dict[str, Results]
    datasets: dict[str, xr.Dataset]
    left_out: str

    @property
    def examples(self) -> str:
        """What losses are averaged over, for captions."""
        each = ", ".join(
            f"{label} {data.attrs['examples']}" for label, data in self.datasets.items()
        )
        return f"Training examples that losses are averaged over: {each}."

    @property
    def batch_norm(self) -> str:
        """Which statistics batch norm runs on, for captions."""
        asked = {data.attrs["batch_norm"] for data in self.datasets.values()}
        words = {
            "recalibrated": "takes its statistics again at every point, for the test loss from the "
            "test examples",
            "centre": "keeps the statistics of the trained network",
        }
        return (
            f"Batch norm, where there is any, {' or '.join(words[one] for one in sorted(asked))}."
        )


def networks(
    results: str | Path,
    analysis: str,
    runs: Sequence[dict[str, Any]],
    others: Mapping[str, dict[str, Any]],
    *,
    kind: str,
    needed: str,
) -> Networks:
    """Return the results of a kind of analysis, of each run of a figure's sources, a run once.

    Networks without the variable ``needed`` are left out: where trainings diverge there is none.
    Experiments may use a label twice: the id of the run then tells one from the other. Raises
    NothingToDraw where no network has the variable.
    """
    sources = [Results(results, analysis, runs)]
    sources += [Results(results, **other) for other in others.values()]
    labels: dict[str, str] = {}
    of_run: dict[str, Results] = {}
    for data in sources:
        for run, label in data.labels.items():
            labels.setdefault(run, label)
            of_run.setdefault(run, data.only(run))
    often = Counter(labels.values())
    named = {
        labels[run] + f" ({run})" * (often[labels[run]] > 1): data for run, data in of_run.items()
    }
    datasets = {label: data.any_dataset(kind) for label, data in named.items()}
    drawn = {label: data for label, data in datasets.items() if needed in data}
    missing = ", ".join(label for label in datasets if label not in drawn)
    why = f"{missing}: too few of the trainings came to a finite end."
    if not drawn:
        raise NothingToDraw(f"There is nothing to draw of {why}")
    return Networks(
        {label: named[label] for label in drawn}, drawn, f" Left out: {why}" if missing else ""
    )
