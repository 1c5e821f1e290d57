"""The history of a file in words: every job once, each input with its sum, what changed since."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from topograph.archive.explain import explain
from topograph.foundation.errors import DataError
from topograph.foundation.provenance import file_digest, manifest_path


def test_a_figure_is_explained_up_to_the_data_with_each_job_once(finished):
    page = "reports/tiny/figures/tlp-fig3.html"
    text = explain(page)
    rules = re.findall(r"job \d+: (\w+), 20\d\d-\d\d-\d\d \d\d:\d\d UTC", text)
    assert sorted(rules) == sorted(["figure", *2 * ["topology", "sample_landscape", "train"]])
    assert text.count("job 4, above") == 1
    for run in (0, 1):
        quantities = finished.file("topology", "hessian-3d.quantities.parquet", run)
        assert f"from {quantities}  {file_digest(quantities)[:16]}\n" in text
        assert f"cell {finished.runs[run]}, seeds 0, 1: family pinn; model mlp (" in text
    assert "problem convection (beta 6.0)" in text
    assert "figure (analysis hessian-3d, experiment convection, notebook None, " in text
    assert text.count("versions python 3.") == 1
    assert len(re.findall(r"code [0-9a-f]{12}, today's code: workflow/scripts/", text)) == 7
    assert not re.search("NOT|GONE|ALTERED|ANEW", text)
    assert text.endswith(f"remake it: rm {page} && make {page}")


def test_it_ends_with_the_sums_of_the_data(finished):
    text = explain(finished.file("homology", "jump-retrain.statistics.parquet", 2))
    data = text.partition("\ndata\n")[2]
    assert data.startswith(f"  digits  {'d161' * 16}\n")
    assert "no sum of data is recorded" in explain(finished.file("train", "metrics.parquet"))


def test_two_data_sets_of_one_name_both_keep_their_sums(finished):
    trajectory = finished.file("trajectory", "jump-retrain.nc", 2)
    finished.edit_manifest(trajectory, lambda m: m["data"].update(digits="0123" * 16))
    text = explain(trajectory)
    assert f"\ndata\n  digits  {'0123' * 16}\n  digits  {'d161' * 16}\n" in text


def test_a_downloaded_file_counts_as_data(finished):
    weights = finished.file("train", "weights.safetensors")
    finished.edit_manifest(weights, lambda m: m["inputs"].update({"data/pet/a.tar.gz": "ab" * 32}))
    text = explain(weights)
    assert f"from data/pet/a.tar.gz  {'ab' * 8}  GONE\n" in text
    assert f"\ndata\n  data/pet/a.tar.gz  {'ab' * 32}\n" in text


def test_what_became_of_each_file_is_marked(finished):
    asked = finished.file("topology", "hessian-3d.pairs.parquet")
    landscape, weights = (
        finished.file("landscape", "hessian-3d.nc"),
        finished.file("train", "weights.safetensors"),
    )
    asked.write_text("edited")
    landscape.unlink()
    then = file_digest(weights)[:16]
    weights.write_text("trained again")
    now = file_digest(weights)
    finished.edit_manifest(weights, lambda m: m["outputs"].update({str(weights): now}))
    text = explain(asked)
    assert text.splitlines()[0].endswith(f"  ALTERED since: now {file_digest(asked)[:16]}")
    assert re.search(rf"from {landscape}  [0-9a-f]{{16}}  GONE\n", text)
    assert f"from {weights}  {then}  MADE ANEW since: now {now[:16]}\n" in text


def test_other_code_and_code_that_cannot_be_compared_are_told(finished):
    landscape = finished.file("landscape", "hessian-3d.nc")
    finished.edit_manifest(landscape, lambda m: m["code"].update(digest="000000000000"))
    assert "code 000000000000, NOT today's code (" in explain(landscape)
    finished.edit_manifest(landscape, lambda m: m["code"].update(modules=["nobody.has.this"]))
    assert "which cannot be compared: no package 'nobody' is installed" in explain(landscape)
    finished.edit_manifest(landscape, lambda m: [m.pop(key) for key in ("rule", "code", "data")])
    text = explain(landscape)
    assert "code not recorded: the manifest is older than code digests" in text
    assert "job 1: hessian-3d, " in text


def test_the_manifest_itself_and_a_file_that_is_gone_can_be_asked_for(finished):
    metrics = finished.file("train", "metrics.parquet")
    weights = finished.file("train", "weights.safetensors")
    text = explain(manifest_path(weights))
    assert text.startswith(f"{weights}  {file_digest(weights)[:16]}\n  job 1: train, ")
    assert text.endswith(f"remake it: rm {weights} && make {weights}")
    metrics.unlink()
    text = explain(metrics)
    assert text.splitlines()[0].endswith("  GONE")
    assert text.endswith(f"remake it: make {metrics}")


def test_a_copy_beside_a_copy_of_its_manifest_is_compared_with_the_original(finished):
    published = Path("reports/published/tiny")
    published.mkdir(parents=True)
    for name in ("tlp-fig3.svg", "tlp-fig3.manifest.json"):
        shutil.copy(Path("reports/tiny/figures") / name, published / name)
    text = explain(published / "tlp-fig3.svg")
    first, second = text.splitlines()[:2]
    assert first.startswith("reports/published/tiny/tlp-fig3.svg  ") and "ALTERED" not in first
    assert second == "  a copy of reports/tiny/figures/tlp-fig3.svg"
    (published / "tlp-fig3.svg").write_text("retouched")
    assert "  ALTERED since: now " in explain(published / "tlp-fig3.svg").splitlines()[0]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            "reports/tiny/figures/tlp-fig4.html",
            "does not exist and no manifest names it (did you mean "
            "'reports/tiny/figures/tlp-fig3.html'?)",
        ),
        ("results/tiny", "is a folder"),
        ("config/tiny.yaml", "is the output of no job; name a result"),
    ],
)
def test_a_file_that_no_manifest_names_is_one_message(finished, file, message):
    with pytest.raises(DataError, match=re.escape(f"{file} {message}")):
        explain(file)


def test_a_broken_manifest_on_the_way_is_one_message(finished):
    broken = manifest_path(finished.file("train", "weights.safetensors"))
    broken.write_text("{")
    with pytest.raises(DataError, match=f"{broken.name} is truncated or not a JSON file"):
        explain("reports/tiny/figures/tlp-fig3.html")
