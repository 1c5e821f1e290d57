"""Figures of methods stand on the networks that have results, and say which have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from topograph.config.notebooks import NOTEBOOKS
from topograph.foundation.storage import read_json, write_dataset
from topograph.report.figure import NothingToDraw
from topograph.report.figures import make_figure
from topograph.report.networks import networks

KIND = "similarity"


def source(*runs: str, label: str = "rate 0.1") -> dict[str, Any]:
    entries = [{"run": run, "label": label, "parameters": {}, "seeds": [0, 1]} for run in runs]
    return {"analysis": "alike", "runs": entries}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results of three runs, of which every training of the last diverged."""
    one = xr.Dataset({"cka": (("model", "other"), np.eye(2))})
    for number, run in enumerate(("first-0", "second-1", "diverged-2")):
        found = one if number < 2 else xr.Dataset()
        norm = ("centre", "recalibrated")[number % 2]
        found = found.assign_attrs(run=run, examples=8 * number or "all", batch_norm=norm)
        write_dataset(tmp_path / KIND / run / "alike.nc", found)
    return tmp_path


def drawn(results: Path, own: dict[str, Any], **others: dict[str, Any]) -> Any:
    return networks(results, **own, others=others, kind=KIND, needed="cka")


def test_a_label_of_two_experiments_loses_no_network(results: Path) -> None:
    found = drawn(results, source("first-0"), other=source("second-1"))
    assert list(found.results) == ["rate 0.1 (first-0)", "rate 0.1 (second-1)"]
    assert [data.runs[0]["run"] for data in found.results.values()] == ["first-0", "second-1"]
    assert found.left_out == ""
    assert found.examples.endswith(": rate 0.1 (first-0) all, rate 0.1 (second-1) 8.")
    assert "keeps the statistics of the trained network or takes its" in found.batch_norm


def test_a_run_of_two_sources_is_shown_once_by_its_first_label(results: Path) -> None:
    found = drawn(results, source("first-0"), other=source("first-0", label="again"))
    assert list(found.results) == ["rate 0.1"]


def test_networks_without_results_are_left_out_by_name(results: Path) -> None:
    found = drawn(results, source("first-0"), other=source("diverged-2", label="too fast"))
    assert list(found.results) == list(found.datasets) == ["rate 0.1"]
    assert found.left_out == (" Left out: too fast: too few of the trainings came to a finite end.")
    with pytest.raises(NothingToDraw, match=r"nothing to draw of too fast: too few"):
        drawn(results, source("diverged-2", label="too fast"))


def test_a_figure_of_diverged_networks_alone_says_so(results: Path, tmp_path: Path) -> None:
    page = tmp_path / "figures" / "alike.html"
    make_figure(
        page,
        NOTEBOOKS / "alike.py",
        study="tiny",
        config="config/tiny.yaml",
        results=str(results),
        figure={"title": "Alike"},
        sources={"": source("diverged-2", label="too fast")},
        executed=tmp_path / "alike.ipynb",
    )
    published = read_json(page.with_suffix(".values.json"))
    assert published["caption"].startswith("There is nothing to draw of too fast")
    assert published["values"] == {}
    assert "nothing to draw of too fast" in page.read_text()
    assert page.with_suffix(".svg").is_file() and page.with_suffix(".pdf").is_file()
