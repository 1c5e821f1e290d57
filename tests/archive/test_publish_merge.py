"""Tables of several machines: current rows outlive stale ones, conflicts in git have a way out."""

from __future__ import annotations

import csv
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from topograph.archive.publish import publish
from topograph.foundation.errors import DataError
from topograph.foundation.provenance import file_digest, manifest_path
from topograph.foundation.storage import read_json, read_table, write_table

TABLES = Path("reports/published/tiny")
METRICS = TABLES / "convection/metrics.csv"
VARIABILITY = TABLES / "convection/hessian-3d.variability.csv"
QUALITY = TABLES / "digits/jump-retrain.quality.csv"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def current(path: Path) -> list[str]:
    return [row["current"] for row in rows(path)]


def retrain(finished, seeds: list[int], loss: float, digest: str | None = None) -> Path:
    """Leave the metrics that training the first run leaves, by other code if a digest is given."""
    weights, metrics = (
        finished.file("train", name) for name in ("weights.safetensors", "metrics.parquet")
    )
    again = read_table(metrics).iloc[[0] * len(seeds)].assign(seed=seeds, train_loss=loss)
    write_table(metrics, again)

    def change(manifest):
        manifest["outputs"][str(metrics)] = file_digest(metrics)
        manifest["code"]["digest"] = digest or manifest["code"]["digest"]

    finished.edit_manifest(weights, change)
    return metrics


def git(*arguments: str, check: bool = True) -> str:
    options = ["-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    command = ["git", *options, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=check).stdout


def test_a_current_row_is_not_replaced_by_a_stale_one(finished):
    publish(finished.study)
    before, manifest = METRICS.read_bytes(), read_json(manifest_path(METRICS))
    metrics = retrain(finished, [0, 1], 9.0, digest="000000000000")
    table = publish(finished.study)[0]
    assert table.path == METRICS and METRICS.read_bytes() == before
    assert (table.current, table.kept) == (4, 2)
    after = read_json(manifest_path(METRICS))
    assert after["data"] == {str(metrics): manifest["inputs"][str(metrics)]}
    assert str(metrics) not in after["inputs"] and len(after["inputs"]) == 1
    assert not publish(finished.study)[0].written


def test_of_a_stale_file_only_rows_that_were_not_there_are_published(finished):
    publish(finished.study)
    then = read_json(manifest_path(METRICS))["inputs"]
    finished.edit_study("seeds: [0, 1]\n    grid", "seeds: [0, 1, 2]\n    grid")
    metrics = retrain(finished, [0, 1, 2], 9.0, digest="000000000000")
    assert publish(finished.study)[0].kept == 2
    shown = [(row["seed"], row["train_loss"], row["current"]) for row in rows(METRICS)[:3]]
    assert shown == [
        ("0", "0.333333333", "true"),
        ("1", "0.25", "true"),
        ("2", "9", "false"),
    ]
    manifest = read_json(manifest_path(METRICS))
    assert manifest["data"] == {str(metrics): then[str(metrics)]}
    assert manifest["inputs"][str(metrics)] == file_digest(metrics) != then[str(metrics)]
    assert not publish(finished.study)[0].written


def test_a_stale_row_is_replaced_by_a_stale_or_a_current_one(finished):
    code = read_json(manifest_path(finished.file("train", "weights.safetensors")))["code"]["digest"]
    for loss, digest in ((7.0, "0" * 12), (8.0, "1" * 12), (9.0, code)):
        metrics = retrain(finished, [0, 1], loss, digest)
        assert publish(finished.study)[0].kept == 0
        assert [row["train_loss"] for row in rows(METRICS)[:2]] == [f"{loss:.0f}"] * 2
        assert read_json(manifest_path(METRICS))["inputs"][str(metrics)] == file_digest(metrics)
    assert current(METRICS) == ["true"] * 4


@pytest.mark.parametrize("here", [True, False])
def test_rows_over_all_seeds_are_not_current_when_seeds_are_added(finished, here):
    publish(finished.study)
    assert current(VARIABILITY) == ["true", "true"]
    if not here:
        shutil.rmtree("results")
    finished.edit_study("seeds: [0, 1]\n    grid", "seeds: [0, 1, 2, 3]\n    grid")
    found = {table.path: table for table in publish(finished.study)}
    assert current(VARIABILITY) == ["false", "false"] and found[VARIABILITY].current == 0
    assert current(METRICS) == ["true"] * 4 and len(found[METRICS].missing) == 4
    assert current(QUALITY) == ["true"]
    settings = read_json(manifest_path(VARIABILITY))["parameters"]["settings"]
    assert [settings[row["settings"]]["cell.seeds"] for row in rows(VARIABILITY)] == [[0, 1]] * 2
    finished.edit_study("seeds: [0, 1, 2, 3]", "seeds: [0, 1]")
    publish(finished.study)
    assert current(VARIABILITY) == ["true", "true"]


def test_a_row_over_seeds_that_nobody_recorded_is_not_current(finished):
    publish(finished.study)
    shutil.rmtree("results")
    manifest = manifest_path(VARIABILITY)
    finished.edit_manifest(
        VARIABILITY, lambda m: [s.pop("cell.seeds") for s in m["parameters"]["settings"].values()]
    )
    assert "cell.seeds" not in manifest.read_text()
    publish(finished.study)
    assert current(VARIABILITY) == ["false", "false"]


@pytest.mark.parametrize(
    ("join", "side"), [(["merge", "a"], "MERGE_HEAD"), (["rebase", "a"], "HEAD")]
)
def test_conflicting_tables_of_two_machines_are_resolved_as_the_message_says(
    finished, tmp_path, join, side
):
    shutil.copytree("results", tmp_path / "all")
    Path(".gitignore").write_text("results/\n")
    git("init", "-b", "main")
    git("add", ".gitignore", "config")
    git("commit", "-m", "study")
    for machine in (0, 1):
        git("checkout", "-b", "ab"[machine], "main")
        shutil.rmtree("results")
        for stage in ("train", "landscape", "topology"):
            part = finished.file(stage, "", machine)
            shutil.copytree(tmp_path / "all" / part.relative_to("results"), part)
        assert publish(finished.study)[0].rows == 2
        git("add", "reports")
        git("commit", "-m", "tables")
    git(*join, check=False)
    assert str(METRICS) in git("diff", "--name-only", "--diff-filter=U")
    with pytest.raises(DataError, match="unresolved conflict of git") as error:
        publish(finished.study)
    advised = shlex.split(str(error.value).rpartition(": git ")[2].partition(" (")[0])
    assert advised == ["checkout", "HEAD", "--", str(METRICS), str(manifest_path(METRICS))]
    git("checkout", side, *advised[2:])
    git("checkout", side, "--", str(TABLES))
    table = publish(finished.study)[0]
    assert (table.rows, table.current, table.missing) == (4, 4, [])
    git("add", "reports/published")
    assert git("diff", "--name-only", "--diff-filter=U") == ""


def test_a_conflict_in_the_manifest_alone_is_told_as_one(finished):
    publish(finished.study)
    manifest = manifest_path(METRICS)
    manifest.write_text(manifest.read_text().replace("{\n", "{\n<<<<<<< HEAD\n", 1))
    before = manifest.read_bytes()
    with pytest.raises(DataError, match=f"{METRICS} or its manifest has an unresolved conflict"):
        publish(finished.study)
    assert manifest.read_bytes() == before
