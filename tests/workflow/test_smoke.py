"""The smoke study from end to end, run again, and run after something was deleted or broken."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr

from topograph.foundation.provenance import file_digest

pytestmark = pytest.mark.workflow
JUMPS = ("jr-fig1b", "jr-fig2d", "jr-fig3a")
FIGURES = ("tlp-fig3", "tlp-fig4", "topo-fig1", *JUMPS)


def one(path: Path, pattern: str) -> Path:
    return sorted(path.glob(pattern))[0]


def test_the_site_shows_every_figure(smoke):
    site = (smoke.path / "reports/smoke/index.html").read_text()
    for figure in FIGURES:
        assert f"figures/{figure}.html" in site
        for suffix in ("html", "svg", "pdf", "values.json", "manifest.json"):
            assert (smoke.path / f"reports/smoke/figures/{figure}.{suffix}").is_file()
        assert (smoke.path / f"results/smoke/logs/figures/{figure}.ipynb").is_file()


def test_every_output_has_a_manifest_whose_digests_hold(smoke):
    manifests = list((smoke.path / "results/smoke").rglob("*.manifest.json"))
    assert len(manifests) > 20
    listed = set()
    for manifest in manifests:
        content = json.loads(manifest.read_text())
        for name, digest in content["outputs"].items():
            assert file_digest(smoke.path / name) == digest
        listed |= set(content["outputs"])
    kept = {".nc", ".parquet", ".safetensors"}
    stages = ("train", "landscape", "spectrum", "topology", "trajectory", "embedding", "homology")
    for stage in (*stages, "baselines", "claims"):
        for path in (smoke.path / "results/smoke" / stage).rglob("*"):
            if path.suffix in kept:
                assert str(path.relative_to(smoke.path)) in listed


def test_results_have_the_stated_form(smoke):
    results = smoke.path / "results/smoke"
    landscape = xr.open_dataset(one(results, "landscape/convection-*/hessian-3d.nc"))
    assert landscape["loss"].dims == ("seed", "epoch", "alpha_1", "alpha_2", "alpha_3")
    centre = landscape["loss"].sel(alpha_1=0, alpha_2=0, alpha_3=0)
    assert centre.values == pytest.approx(landscape["center_loss"].values, rel=1e-12)
    for path in results.rglob("*.parquet"):
        table = pd.read_parquet(path)
        keys = {"claims": "claim", "smoke": "run" if path.stem == "index" else "method"}
        key = keys.get(path.parent.name, "run")
        assert key in table.columns or table.empty, path
    assert not list((results / "scratch").rglob("jump-*.safetensors"))


def test_the_objective_at_the_centre_is_the_loss_of_the_training(smoke):
    results = smoke.path / "results/smoke"
    for metrics in results.glob("train/convection-*/metrics.parquet"):
        trained = pd.read_parquet(metrics)["train_loss"].to_numpy()
        landscape = results / "landscape" / metrics.parent.name / "hessian-3d.nc"
        centre = xr.open_dataset(landscape)["center_loss"].values[:, 0]
        assert centre == pytest.approx(trained, rel=1e-4)


def test_a_second_run_does_nothing(smoke):
    done = smoke.make("smoke")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout
    assert "Nothing to be done" in smoke.make("why").stdout


def test_touching_sources_reruns_nothing(smoke):
    for path in (smoke.path / "workflow").rglob("*.py"):
        if "notebooks" not in path.parts:
            path.touch()
    assert "Nothing to be done" in smoke.make("why").stdout


def test_a_deleted_output_is_remade_with_what_depends_on_it(smoke):
    lost = one(smoke.path, "results/smoke/topology/brain-*/hessian-2d.pairs.parquet")
    before = lost.read_bytes()
    lost.unlink()
    jobs = smoke.jobs(smoke.make("why").stdout)
    assert jobs == {
        **dict.fromkeys(["topology", "profile_page", "figure", "claims"], 1),
        "paper_page": 4,
        "site": 1,
    }
    assert smoke.make(str(lost.relative_to(smoke.path))).returncode == 0
    assert lost.read_bytes() == before
    # With the same bytes in it again, what depends on it is as good as new.
    assert "Nothing to be done" in smoke.make("why").stdout


@pytest.mark.parametrize("name", ["figures/tlp-fig3.svg", "figures/jr-fig3a.html", "report.pdf"])
def test_a_deleted_page_is_due_though_the_site_is_there(smoke, name):
    lost = smoke.path / "reports/smoke" / name
    kept = lost.rename(lost.with_suffix(".kept"))
    jobs = smoke.jobs(smoke.make("why").stdout)
    kept.rename(lost)
    assert jobs == (
        {"site": 1} if name == "report.pdf" else {"figure": 1, "paper_page": 1, "site": 1}
    )


def test_a_truncated_weights_file_is_named_and_costs_nothing_else(smoke):
    weights = one(smoke.path, "results/smoke/train/digits-*/weights.safetensors")
    run = weights.parent.name
    landscape = smoke.path / f"results/smoke/landscape/{run}/random-2d.nc"
    content, name = weights.read_bytes(), str(weights.relative_to(smoke.path))
    weights.write_bytes(content[: len(content) // 2])
    landscape.unlink()
    try:
        done = smoke.make(str(landscape.relative_to(smoke.path)))
        assert done.returncode != 0
        assert f"{name} is truncated" in done.stdout
        assert f"make {name}" in done.stdout
        assert "Traceback" not in done.stdout
    finally:
        weights.unlink()
    assert smoke.make(str(landscape.relative_to(smoke.path))).returncode == 0
    assert weights.read_bytes() == content
    assert "Nothing to be done" in smoke.make("why").stdout
