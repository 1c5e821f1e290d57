"""Manifests that the workflow itself wrote: judged, explained, published, packed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

JUDGE = """
from topograph.archive.judgement import judged
for found in judged("config/smoke.yaml"):
    print(found.rule, found.state, found.output, found.reason, sep=" | ")
"""


@pytest.fixture
def done(untouched, tmp_path) -> object:
    """A copy of the finished smoke study, without Snakemake's records, that a test may change."""
    copied = tmp_path / "topograph"
    ignored = shutil.ignore_patterns("crates", ".snakemake")
    shutil.copytree(untouched.path, copied, symlinks=True, ignore=ignored)
    shutil.rmtree(copied / "reports/published/smoke", ignore_errors=True)
    return untouched._replace(path=copied)


def lines(done, *command: str) -> list[str]:
    ran = done.run(*command)
    assert ran.returncode == 0, ran.stdout
    return ran.stdout.splitlines()


def test_results_without_snakemakes_records_are_judged_as_they_are(done):
    found = [line.split(" | ") for line in lines(done, ".venv/bin/python", "-c", JUDGE)]
    assert [line for line in found if line[1] != "current"] == []
    manifests = [
        path
        for top in ("results", "reports")
        for path in (done.path / top / "smoke").rglob("*.manifest.json")
    ]
    assert len(found) == len(manifests) > 30
    study = done.path / "config/smoke.yaml"
    study.write_text(study.read_text().replace("directions: random", "seed: 3, directions: random"))
    found = [line.split(" | ") for line in lines(done, ".venv/bin/python", "-c", JUDGE)]
    sampled = [line for line in found if line[0] == "sample_landscape" and line[1] != "current"]
    assert [line[1] for line in sampled] == ["other settings"] * 2
    assert all("random-2d" in line[2] and line[3] == "analysis.seed: 0 -> 3" for line in sampled)
    assert {line[0] for line in found if line[1] == "other settings"} >= {"topology"}
    assert not [line for line in found if line[0] == "train" and line[1] != "current"]


def test_a_figure_is_explained_up_to_its_training(done):
    text = "\n".join(
        lines(done, ".venv/bin/topograph", "explain", "reports/smoke/figures/jr-fig3a.svg")
    )
    for rule in ("figure", "jump_retrain", "embed", "homology", "train"):
        assert f": {rule}, 20" in text
    assert "ALTERED" not in text and "NOT today's code" not in text
    svg = "reports/smoke/figures/jr-fig3a.svg"
    assert text.endswith(f"remake it: rm {svg} && make {svg}")


@pytest.mark.parametrize(
    ("made", "rules"),
    [
        ("results/smoke/claims/sensitivity.parquet", ["claims", "spectrum", "topology", "train"]),
        ("reports/smoke/papers/profiles.html", ["paper_page", "figure", "claims", "train"]),
    ],
)
def test_claims_and_the_page_of_a_paper_are_explained_up_to_training(done, made, rules):
    text = "\n".join(lines(done, ".venv/bin/topograph", "explain", made))
    for rule in rules:
        assert f": {rule}, 20" in text
    assert "ALTERED" not in text and "NOT today's code" not in text
    assert text.endswith(f"remake it: rm {made} && make {made}")


def test_make_publish_and_make_crate_take_the_finished_study(done):
    shown = "\n".join(lines(done, "make", "publish"))
    assert "reports/published/smoke/convection/metrics.csv: 4 rows, 4 current, written" in shown
    assert "missing" not in shown
    tables = sorted((done.path / "reports/published/smoke").rglob("*.csv"))
    assert len(tables) == 25
    assert {"claims.csv", "spectrum.quantities.csv"} <= {path.name for path in tables}
    assert all(",false\n" not in table.read_text() for table in tables)
    again = "\n".join(lines(done, "make", "publish"))
    assert again.count("unchanged") == 25 and "written" not in again
    lines(done, "make", "crate")
    graph = json.loads((done.path / "reports/crates/smoke/ro-crate-metadata.json").read_text())
    actions = [entity for entity in graph["@graph"] if entity["@type"] == "CreateAction"]
    assert len(actions) > 30
    assert (done.path / "reports/crates/smoke" / Path("reports/smoke/index.html")).is_file()
