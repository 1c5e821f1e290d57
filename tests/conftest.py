"""A small finished study, made without training, few digits, and a browser to look with."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from topograph.data.dataset import Dataset
from topograph.data.digits import digits
from topograph.foundation.provenance import file_digest
from topograph.foundation.storage import write_json, write_table
from topograph.report.figure import publish
from topograph.report.finished import FinishedStudy, read_finished
from topograph.report.page import write_page
from topograph.report.paper_pages import write_paper
from topograph.report.papers import PAPERS
from topograph.report.site import build_site
from topograph.report.verdicts import read_claims

BODY = "<table><thead><tr><th>beta</th><th>minima</th></tr></thead><tr><td>30</td><td>4</td></tr>"
CAPTION = (
    "Sublevel sets of <b>three</b> networks & their merge trees for beta < 6. A grid of 21 points "
    "along each of three Hessian directions; what lies between the points is not seen."
)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Tiny networks on a busy machine: threads that wait for each other cost tenfold."""
    torch.set_num_threads(1)
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(autouse=True, scope="session")
def no_make_around() -> None:
    """Make hands its own options and variables on; a make that a test starts shall have none."""
    for name in ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL", "ARGS", "PROFILE"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def few_digits() -> Callable[..., Dataset]:
    """Sixty training and thirty test images in the place of all digits."""

    def few(**options: Any) -> Dataset:
        full = digits(**options)
        return dataclasses.replace(
            full,
            train_inputs=full.train_inputs[:60],
            train_targets=full.train_targets[:60],
            test_inputs=full.test_inputs[:30],
            test_targets=full.test_targets[:30],
        )

    return few


@dataclass(frozen=True)
class FakeStudy:
    """Where the study lies, which figures, interactive pages and tables of claims it has."""

    file: Path
    reports: Path
    results: Path
    figures: list[str]
    profiles: list[Path]
    papers: list[Path]
    claims: list[Path]

    def read(self, **more: Any) -> FinishedStudy:
        """Read it as the site does; ``more`` is what only some studies have."""
        return read_finished(
            "demo",
            files=[self.file],
            reports=self.reports,
            results=self.results,
            figures=self.figures,
            profiles=self.profiles,
            papers=self.papers,
            claims=self.claims,
            **more,
        )


def manifest(output: Path, *, inputs: list[Path], seconds: int, **more: Any) -> None:
    """Write an empty output and a manifest, an old one that says little unless ``more`` does."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.touch()
    started, ended = ("2025-01-01T00:00:00+00:00", f"2025-01-01T00:00:{seconds:02d}+00:00")
    content = {"started": started, "ended": ended, "outputs": {str(output): file_digest(output)}}
    content["inputs"] = {str(path): file_digest(path) for path in inputs}
    write_json(output.with_suffix(".manifest.json"), content | more)


def add_run(results: Path, run: str, metrics: dict[str, list[float]]) -> Path:
    count = len(metrics["diverged"])
    rows = pd.DataFrame({"run": run, "seed": range(count), **metrics})
    write_table(results / "train" / run / "metrics.parquet", rows)
    manifest(
        results / "train" / run / "weights.safetensors",
        inputs=[],
        seconds=20,
        rule="train",
        command=f"make results/demo/train/{run}/weights.safetensors",
        commit="0123abc",
        device="cpu",
        code={"digest": "c0de12345678", "modules": [], "scripts": []},
        data={"points": "da7a" * 16},
        parameters={"cell": {"run": run}},
        versions={"numpy": "2.0"},
        lock="10c4" * 16,
    )
    landscape = results / "landscape" / run / "hessian-3d.nc"
    weights = results / "train" / run / "weights.safetensors"
    manifest(landscape, inputs=[weights], seconds=7)
    profile = results / "topology" / run / "hessian-3d.profile.parquet"
    manifest(profile, inputs=[landscape, weights], seconds=1)
    return profile


def add_figure(folder: Path, figure: str, inputs: list[Path]) -> None:
    with matplotlib.rc_context({"figure.constrained_layout.use": True}):
        picture = Figure(figsize=(6, 3.2))
        axes = picture.subplots(1, 2)
        axes[0].plot([0, 1, 2, 3], [3, 1, 2, 0.5], marker="o")
        axes[1].hexbin(range(40), [i * i % 17 for i in range(40)], gridsize=12)
        title = f"Profiles of a physics-informed network as convection grows ({figure})"
        publish(picture, folder / figure, title=title, caption=CAPTION, values={"minima": 4})
    write_page(
        folder / f"{figure}.html",
        figure=figure,
        study="demo",
        config="config/demo.yaml",
        body=f"{BODY}</table>",
        command=f"make reports/demo/figures/{figure}.html",
    )
    manifest(folder / f"{figure}.html", inputs=inputs, seconds=3)


@pytest.fixture
def fake_study(tmp_path: Path) -> FakeStudy:
    """Two figures of three runs; the second figure uses one run, whose job is then shared."""
    return make_study(tmp_path)


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> FakeStudy:
    """The same study without claims, for tests that leave what is there as it is."""
    return make_study(tmp_path_factory.mktemp("small"))


@pytest.fixture
def tested_study(tmp_path: Path) -> FakeStudy:
    """The same study with claims tested on it."""
    return make_study(tmp_path, claims=True)


@pytest.fixture(scope="session")
def fake_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the study with claims, for tests that only look at it."""
    study = make_study(tmp_path_factory.mktemp("site"), claims=True)
    build_site(study.read())
    return study.reports


def claim(name: str, paper: str, verdict: str, value: float, **more: Any) -> dict[str, Any]:
    """Return a row of the table of claims; numbers that are not given are missing."""
    missing = dict.fromkeys(("low", "high", "p", "p_smallest", "p_holm"), float("nan"))
    return {
        "claim": name,
        "paper": paper,
        "figure": "",
        "source": "section 4",
        "sentence": f"What is said about {name}.",
        "statistic": "Kendall's tau of minima and error over cells",
        "value": value,
        **missing,
        "n": 0,
        "units": "cells",
        "rule": "supported where the interval lies above 0 and Holm's p is at most 0.05",
        "verdict": verdict,
        "note": "",
        "command": "make results/demo/claims/claims.parquet",
        **more,
    }


def add_claims(results: Path, inputs: list[Path]) -> list[Path]:
    """Write four claims of two papers, and what another connectivity and range make of them."""
    spread = {"low": 0.31234, "high": 0.81234, "p": 0.0004, "p_smallest": 1e-05, "p_holm": 0.0012}
    within = spread | {"low": -0.2, "high": 0.6, "p": 0.04, "p_smallest": 0.03125, "p_holm": 0.12}
    rows = [
        claim(
            "simpler-minima", "profiles", "supported", 0.61234, figure="tlp-fig3", n=70, **spread
        ),
        claim("deep-basins", "profiles", "inconclusive", 0.2, figure="tlp-fig3", n=5, **within)
        | {"sentence": "Basins are <b>deep</b> & few.", "note": "2 < 7 cells: <i>beta 50</i>"},
        claim("early-minima", "profiles", "not tested", float("nan"), figure="tlp-fig4"),
        claim("saddles-grow", "companion", "not supported", -1234.5, figure="topo-fig6", n=10),
    ]
    choices = [
        ("simpler-minima", "axis connectivity", "inconclusive", 0.1),
        ("simpler-minima", "as sampled", "supported", 0.61234),
        ("simpler-minima", "half the range", "not tested", float("nan")),
        ("saddles-grow", "axis connectivity", "not supported", -1100.0),
        ("saddles-grow", "as sampled", "not supported", -1234.5),
        ("saddles-grow", "half the range", "not supported", -1234.5),
    ]
    varied = pd.DataFrame(choices, columns=["claim", "choice", "verdict", "value"])
    numbers = dict.fromkeys(("low", "high", "p", "n"), float("nan"))
    paths = [results / "claims" / f"{name}.parquet" for name in ("claims", "sensitivity")]
    write_table(paths[0], pd.DataFrame(rows))
    write_table(paths[1], varied.assign(**numbers))
    manifest(paths[0], inputs=inputs, seconds=4)
    return paths


def make_study(folder: Path, *, claims: bool = False) -> FakeStudy:
    reports, results = folder / "reports" / "demo", folder / "results" / "demo"
    errors = {"relative_error": [0.01, 0.02, 0.03], "train_loss": [1e-5, 2e-5, 6e-5]}
    accuracy = {"test_accuracy": [0.95, 0.97], "train_loss": [0.1, float("nan")]}
    runs = {
        "convection-mlp-0a1b2c3d4e": {**errors, "diverged": [0.0, 0.0, 0.0]},
        "convection-mlp-5f6a7b8c9d": {**errors, "diverged": [1.0, 1.0, 1.0]},
        "digits-wide-resnet-1234567890": {**accuracy, "diverged": [0.0, 1.0]},
    }
    profiles = [add_run(results, run, metrics) for run, metrics in runs.items()]
    index = pd.DataFrame(
        {
            "experiment": ["convection", "convection", "digits"],
            "run": list(runs),
            "label": ["beta 1.0", "beta 30.0", "good"],
            "parameters": [
                json.dumps({"problem.kwargs.beta": 1.0}),
                json.dumps({"problem.kwargs.beta": 30.0}),
                json.dumps({"variant": "good"}),
            ],
            "seeds": ["[0, 1, 2]", "[0, 1, 2]", "[0, 1]"],
        }
    )
    write_table(results / "index.parquet", index)
    figures = ["tlp-fig3", "jr-fig1.a"]
    add_figure(reports / "figures", figures[0], profiles)
    add_figure(reports / "figures", figures[1], profiles[:1])
    page = reports / "profiles" / "convection-mlp-0a1b2c3d4e.hessian-3d.html"
    manifest(page, inputs=profiles[:1], seconds=2)
    file = folder / "config" / "demo.yaml"
    file.parent.mkdir()
    file.write_text("study: demo  # <b>\n")
    tables = add_claims(results, profiles) if claims else []
    papers = [reports / "papers" / f"{paper}.html" for paper in PAPERS]
    for path in papers:
        own = [name for name in PAPERS[path.stem].figures if name in figures]
        write_paper(path, path.stem, study="demo", figures=figures, claims=read_claims(tables))
        drawn = [reports / "figures" / f"{name}.html" for name in own]
        manifest(path, inputs=[*drawn, *tables], seconds=1)
    return FakeStudy(file, reports, results, figures, [page], papers, tables)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium; tests are skipped where there is none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip(
            "no chromium on this machine: browser tests not run; install Debian's package chromium"
        )
    from playwright.sync_api import sync_playwright

    # Chromium refuses its sandbox to root, and containers give it a tiny /dev/shm.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield started
        started.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """An empty page that fails the test when anything is logged as an error or cannot be loaded."""
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    problems: list[str] = []
    opened.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("requestfailed", lambda request: problems.append(request.url))
    opened.on(
        "request",
        lambda r: None if r.url.startswith(("file:", "data:")) else problems.append(r.url),
    )
    yield opened
    opened.close()
    assert problems == []
