"""A finished study in miniature: its manifests are real, its results a few rows each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from topograph.archive.asked import Asked
from topograph.config.runs import Cell
from topograph.foundation import provenance
from topograph.foundation.provenance import Code, Start, manifest_path, write_manifest
from topograph.foundation.storage import read_json, write_dataset, write_json, write_table

STUDY = """
study: tiny
experiments:
  convection:
    family: pinn
    problem: {target: convection, kwargs: {beta: 1.0}}
    model: {target: mlp, kwargs: {inputs: 2, outputs: 1, width: 10, depth: 2}}
    optimiser: {name: lbfgs}
    seeds: [0, 1]
    grid: {problem.kwargs.beta: [1.0, 6.0]}
    analyses:
      hessian-3d: {kind: landscape, directions: hessian, dimensions: 3, points: 5, distance: 1.0}
  digits:
    family: supervised
    data: {target: digits}
    model: {target: wide-resnet, kwargs: {depth: 10, width: 1, in_channels: 1, classes: 10}}
    optimiser: {name: sgd, learning_rate: 0.1}
    schedule: {epochs: 2, batch: 128}
    seeds: [0, 1]
    analyses:
      jump-retrain:
        {kind: jump-retrain, weights_seeds: [0], seeds: [0, 1], steps: [0.5, 1.0], epochs: 2}
figures:
  tlp-fig3: {title: Profiles, experiment: convection, analysis: hessian-3d}
"""


@dataclass(frozen=True)
class Finished:
    """A repository's folders with a finished study in them; tests run inside ``root``."""

    root: Path

    @property
    def study(self) -> Path:
        return self.root / "config" / "tiny.yaml"

    @property
    def runs(self) -> list[str]:
        """The runs of beta 1, beta 6 and the digits."""
        return list(Asked.of(self.study).cells)

    def file(self, stage: str, name: str, run: int = 0) -> Path:
        return Path("results/tiny") / stage / self.runs[run] / name

    def edit_study(self, old: str, new: str) -> None:
        text = self.study.read_text()
        assert old in text
        self.study.write_text(text.replace(old, new))

    def edit_manifest(self, output: Path, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the manifest of a job as if it had been written so."""
        content = read_json(manifest_path(output))
        change(content)
        write_json(manifest_path(output), content)

    def finish(
        self,
        rule: str,
        outputs: Iterable[Path],
        inputs: Iterable[Path] = (),
        data: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> None:
        """Write the manifest that the job of a rule writes; make the outputs that are not there."""
        listed = list(outputs)
        for path in listed:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{rule} {path}")
        cell = parameters.get("cell")
        modules = tuple(Cell.from_dict(cell).modules) if cell else ()
        write_manifest(
            listed,
            rule=rule,
            inputs=inputs,
            parameters=parameters,
            start=Start.now(Code(modules, (f"workflow/scripts/{rule}.py",))),
            command=f"make {listed[0]}",
            device="cpu",
            data=data,
        )


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished study, made once."""
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(provenance, "git_commit", lambda _: "c0ffee")
        (root / "config").mkdir()
        (root / "config" / "tiny.yaml").write_text(STUDY)
        made = Finished(root)
        for run in (0, 1):
            _landscape(made, run)
        _jumps(made)
        _reports(made)
    return root


@pytest.fixture
def finished(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Finished:
    """A copy of the finished study, and the current folder in it."""
    root = tmp_path / "repository"
    shutil.copytree(template, root)
    monkeypatch.chdir(root)
    return Finished(root)


def _asked(made: Finished, output: Path) -> dict[str, Any]:
    found = Asked.of(made.study).parameters(output.as_posix())
    assert found is not None
    return found


def _train(made: Finished, run: int, data: Mapping[str, str] | None = None) -> Path:
    weights, metrics = (
        made.file("train", name, run) for name in ("weights.safetensors", "metrics.parquet")
    )
    seeds = _asked(made, weights)["cell"]["seeds"]
    losses = [1 / (3 + seed) for seed in seeds]
    rows = {"run": made.runs[run], "seed": seeds, "diverged": 0.0, "train_loss": losses}
    write_table(metrics, pd.DataFrame(rows))
    made.finish("train", [weights, metrics], data=data, **_asked(made, weights))
    return weights


def _landscape(made: Finished, run: int) -> None:
    weights, key = _train(made, run), {"run": made.runs[run], "epoch": 1}
    landscape = made.file("landscape", "hessian-3d.nc", run)
    asked = _asked(made, landscape)
    asked["analysis"].pop("connectivity")
    made.finish("sample_landscape", [landscape], [weights], **asked)
    tables = {
        name: made.file("topology", f"hessian-3d.{name}.parquet", run)
        for name in ("pairs", "quantities", "choices", "variability")
    }
    quantities = [
        {"seed": seed, "points": points, **key, "minima": 2.0 + run, "smad": float("nan")}
        for seed in (0, 1)
        for points in (5, 3)
    ]
    write_table(tables["quantities"], pd.DataFrame(quantities))
    choices = [{"seed": seed, "choice": "as sampled", **key, "minima": 2.0} for seed in (0, 1)]
    write_table(tables["choices"], pd.DataFrame(choices))
    write_table(
        tables["variability"], pd.DataFrame([{"measure": "bottleneck", "mean": 0.1, **key}])
    )
    asked = _asked(made, tables["pairs"])
    made.finish("topology", tables.values(), [weights, landscape], **asked)
    page = Path(f"reports/tiny/profiles/{made.runs[run]}.hessian-3d.html")
    asked = {key: value for key, value in _asked(made, page).items() if key != "cell"}
    made.finish("profile_page", [page], [landscape, tables["pairs"]], **asked)


def _jumps(made: Finished) -> None:
    weights = _train(made, 2, data={"digits": "d161" * 16})
    trajectory = made.file("trajectory", "jump-retrain.nc", 2)
    axes = {"seed": [0], "ray": [0, 1], "step": [0.5, 1.0], "epoch": [0, 1, 2]}
    values = np.arange(12.0).reshape(1, 2, 2, 3) / 7
    found = {name: (tuple(axes), values) for name in ("cosine", "test_loss")}
    found |= {"gram": (("seed", "point", "other"), np.eye(12)[None])}
    found |= {"diverged": (("seed", "ray", "step"), np.zeros((1, 2, 2)))}
    write_dataset(trajectory, xr.Dataset(found, coords=axes))
    asked = _asked(made, trajectory)
    made.finish("jump_retrain", [trajectory], [weights], **asked)
    analysis = {"analysis": asked["analysis"]}
    points, quality = (
        made.file("embedding", f"jump-retrain.{name}.parquet", 2) for name in ("points", "quality")
    )
    key = {"run": made.runs[2]}
    phate = {"seed": 0, "method": "phate", "trustworthiness": 0.9}
    write_table(quality, pd.DataFrame([{**key, **phate}]))
    made.finish("embed", [points, quality], [trajectory], **analysis)
    diagram, statistics = (
        made.file("homology", f"jump-retrain.{name}.parquet", 2)
        for name in ("diagram", "statistics")
    )
    mode = {"seed": 0, "mode": "paper-text", "filtration": "test loss"}
    write_table(statistics, pd.DataFrame([{**key, **mode, "cycles": 3}]))
    made.finish("homology", [diagram, statistics], [trajectory], **analysis)


def _reports(made: Finished) -> None:
    page, svg = (Path(f"reports/tiny/figures/tlp-fig3.{kind}") for kind in ("html", "svg"))
    inputs = [
        made.file("topology", f"hessian-3d.{name}.parquet", run)
        for run in (0, 1)
        for name in ("pairs", "quantities")
    ]
    made.finish("figure", [page, svg], inputs, **_asked(made, page))
    index = Path("results/tiny/index.parquet")
    made.finish("index", [index], **_asked(made, index))
    made.finish("site", [Path("reports/tiny/index.html")], [page, index])
