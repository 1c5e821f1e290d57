"""A stranger's package adds a classifier and a differential equation with a study file alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from topograph.foundation.provenance import file_digest

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = ROOT / "tests" / "fixtures" / "outside"
MADE = ("results", "reports", ".snakemake", ".venv")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the package beside the environment, for the processes of this test alone."""
    source, site = tmp_path / "source", tmp_path / "site"
    shutil.copytree(OUTSIDE, source)
    uv = (ROOT / ".venv" / ".uv").read_text().strip()
    command = [uv, "pip", "install", "--quiet", "--python", str(ROOT / ".venv"), "--no-deps"]
    command += ["--no-build-isolation", "--target", str(site), str(source)]
    subprocess.run(command, check=True, timeout=120)
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *([before] if before else [])]))


def tracked(folder: Path) -> dict[str, str]:
    """Return the digest of every file that no job and no study made."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    kept = (path for path in files if path.parts[0] not in MADE and "__pycache__" not in path.parts)
    return {str(path): file_digest(folder / path) for path in kept}


def add_study(checkout, old: str = "", new: str = "") -> None:
    text = (OUTSIDE / "outside.yaml").read_text(encoding="utf-8")
    assert not old or text.count(old) == 1
    (checkout.path / "config" / "outside.yaml").write_text(text.replace(old, new) if old else text)


def one(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def test_two_families_by_a_study_file_alone(checkout, installed):
    before = tracked(checkout.path)
    add_study(checkout)
    done = checkout.make("study", "STUDY=outside")
    assert done.returncode == 0, done.stdout[-5000:]
    after = tracked(checkout.path)
    assert set(after) - set(before) == {"config/outside.yaml"}
    assert {name: after[name] for name in before} == before
    results, reports = checkout.path / "results/outside", checkout.path / "reports/outside"
    check_classifier(results)
    check_equation(results)
    check_pages(results, reports)


def check_classifier(results: Path) -> None:
    """It learnt two rings with a loss of its own, and jumps started from what it learnt."""
    metrics = pd.read_parquet(one(results, "train/rings-ringnet-*/metrics.parquet"))
    assert metrics["diverged"].tolist() == [0.0, 0.0]
    assert (metrics["test_accuracy"] > 0.9).all()
    predictions = xr.open_dataset(one(results, "train/rings-ringnet-*/predictions.nc"))
    right = (predictions["predicted"] == predictions["target"]).mean("example")
    np.testing.assert_allclose(right, metrics["test_accuracy"], rtol=1e-6)
    landscape = xr.open_dataset(one(results, "landscape/rings-ringnet-*/random-2d.nc"))
    assert dict(landscape["loss"].sizes) == {"seed": 2, "epoch": 1, "alpha_1": 5, "alpha_2": 5}
    centre = landscape["loss"].sel(alpha_1=0, alpha_2=0).isel(epoch=0)
    # The focal loss, in evaluation mode: dropout would change it.
    np.testing.assert_allclose(centre, metrics["train_loss"], rtol=1e-4)
    jumps = xr.open_dataset(one(results, "trajectory/rings-ringnet-*/jumps.nc"))
    assert dict(jumps["test_loss"].sizes) == {"seed": 2, "ray": 2, "step": 2, "epoch": 12}
    assert np.isfinite(jumps["test_loss"]).all()
    assert (jumps["train_loss"].isel(epoch=0) != jumps["train_loss"].isel(epoch=-1)).all()


def check_equation(results: Path) -> None:
    """It was solved through DeepXDE, and its landscape is that of the loss that DeepXDE trained."""
    metrics = pd.read_parquet(one(results, "train/poisson-mlp-*/metrics.parquet"))
    history = pd.read_parquet(one(results, "train/poisson-mlp-*/history.parquet"))
    np.testing.assert_allclose(
        history["residual_1"] + history["condition_1"], metrics["train_loss"], rtol=1e-6
    )
    predictions = xr.open_dataset(one(results, "train/poisson-mlp-*/predictions.nc"))
    exact = np.sin(np.pi * predictions["inputs"].values)
    for seed, error in zip(predictions["seed"], metrics["relative_error"], strict=True):
        miss = predictions["predicted"].sel(seed=seed).values - exact
        assert np.linalg.norm(miss) / np.linalg.norm(exact) == pytest.approx(error, rel=1e-4)
        assert error < 0.05
    landscape = xr.open_dataset(one(results, "landscape/poisson-mlp-*/hessian-1d.nc"))
    parts = landscape["residual_1"] + landscape["condition_1"]
    np.testing.assert_allclose(parts, landscape["loss"], rtol=1e-12)
    centre = landscape["center_loss"].isel(epoch=0)
    np.testing.assert_allclose(centre, metrics["train_loss"], rtol=1e-3)


def check_pages(results: Path, reports: Path) -> None:
    """Every analysis has its interactive page, every figure its own, and the site shows them."""
    names = sorted(path.name.split(".")[1] for path in reports.glob("profiles/*.html"))
    assert names == ["hessian-1d", "random-2d"]
    site = (reports / "index.html").read_text(encoding="utf-8")
    for figure in ("rings-profiles", "poisson-profiles", "rings-jumps"):
        assert f"figures/{figure}.html" in site
        assert (reports / f"figures/{figure}.svg").stat().st_size > 1000
    values = json.loads((reports / "figures/poisson-profiles.values.json").read_text())["values"]
    pairs = pd.read_parquet(one(results, "topology/poisson-mlp-*/hessian-1d.pairs.parquet"))
    assert list(values["minima"].values()) == [pairs.groupby("seed").size().tolist()]
    page = (reports / "figures/poisson-profiles.html").read_text(encoding="utf-8")
    assert "Minima that the arithmetic resolves" in page


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "{width: 8}}\n",
            "{widht: 8}}\n",
            "model 'outside:RingNet' takes no argument 'widht'",
        ),
        ("{gamma: 2.0}", "{}", "loss 'outside.losses:focal' needs gamma"),
        ("{count: 120}", "{}", "data 'outside.data:rings' needs count"),
        ("{frequency: 1}", "{frequency: 1, speed: 2}", "takes no argument 'speed'"),
        ("outside.physics:poisson", "outside.physics:laplace", "defines no 'laplace'"),
    ],
)
def test_a_mistake_about_the_package_stops_before_any_job(
    checkout, installed, right, wrong, message
):
    add_study(checkout, right, wrong)
    done = checkout.make("why", "STUDY=outside")
    assert done.returncode != 0
    assert message in done.stdout, done.stdout
    assert "Traceback" not in done.stdout
    assert not (checkout.path / "results" / "outside").exists()
