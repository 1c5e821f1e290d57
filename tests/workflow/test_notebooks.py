"""Notebooks that no figure of the smoke study runs, on its results, without a kernel."""

from __future__ import annotations

import json
from pathlib import Path

import jupytext
import matplotlib
import pytest

from topograph.archive.asked import Asked
from topograph.config.notebooks import NOTEBOOKS, header
from topograph.config.runs import entries, sources_shown
from topograph.config.study import Figure, Source

pytestmark = pytest.mark.workflow
JUMPS = Source(experiment="digits", analysis="jump-retrain")
OTHERS = {"jr-fig2a": {"baselines": Source(experiment="digits", analysis="baselines")}}
GALLERY = {
    "lines": "interpolation",
    "curves": "interpolation",
    "slices": "slices",
    "curvature": "topography",
    "topography": "topography",
    "maps": "weights",
    "alike": "similarity",
}
SHOWN = {
    **dict.fromkeys(("jr-fig1a", "jr-fig2a", "jr-fig3b"), JUMPS),
    **{name: Source(experiment="gallery", analysis=kind) for name, kind in GALLERY.items()},
}


def run(notebook: Path, parameters: dict) -> None:
    """Execute the cells of a notebook, its parameters set after the cell that names them."""
    matplotlib.use("Agg")
    names: dict = {"display": print}
    for cell in jupytext.read(notebook, fmt="py:percent").cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, str(notebook), "exec"), names)
            if "parameters" in cell.metadata.get("tags", []):
                assert set(parameters) <= set(names)
                names |= parameters


@pytest.mark.parametrize("name", SHOWN)
def test_a_notebook_draws_what_the_smoke_study_has(smoke, name, tmp_path, monkeypatch):
    monkeypatch.chdir(smoke.path)
    study = Asked.of(Path("config/smoke.yaml"))
    assert name not in study.study.figures
    figure = Figure(title=name, **SHOWN[name].model_dump(), others=OTHERS.get(name, {}))
    sources = sources_shown(figure, entries(study.members))
    others = {key: source for key, source in sources.items() if key}
    parameters = {
        "results": "results/smoke",
        **sources[""],
        **({"others": others} if header(NOTEBOOKS / f"{name}.py").others else {}),
        "title": name,
        "output": str(tmp_path / name),
    }
    run(Path("workflow/notebooks") / f"{name}.py", parameters)
    for suffix in ("svg", "pdf"):
        assert (tmp_path / f"{name}.{suffix}").stat().st_size > 1000
    assert json.loads((tmp_path / f"{name}.values.json").read_text())["values"]
