"""Published tables: rows merge by their keys, keep what they were made under, lose nothing."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from topograph.archive.publish import publish
from topograph.archive.tables import as_text, read_rows
from topograph.foundation import storage
from topograph.foundation.errors import DataError
from topograph.foundation.provenance import file_digest, manifest_path
from topograph.foundation.storage import read_json, write_table

TABLES = Path("reports/published/tiny")
METRICS = TABLES / "convection/metrics.csv"
QUANTITIES = TABLES / "convection/hessian-3d.quantities.csv"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def current(path: Path) -> list[str]:
    return [row["current"] for row in rows(path)]


def remove(finished, run: int) -> None:
    for stage in ("train", "landscape", "topology"):
        shutil.rmtree(finished.file(stage, "", run))


def test_each_experiment_has_its_tables_and_each_table_its_manifest(finished):
    found = {table.path: table for table in publish(finished.study)}
    assert {path.relative_to(TABLES).as_posix(): t.rows for path, t in found.items()} == {
        "convection/metrics.csv": 4,
        "convection/hessian-3d.quantities.csv": 8,
        "convection/hessian-3d.variability.csv": 2,
        "digits/metrics.csv": 2,
        "digits/jump-retrain.quality.csv": 1,
        "digits/jump-retrain.statistics.csv": 1,
        "digits/jump-retrain.returns.csv": 4,
    }
    for path, table in found.items():
        assert table.written and table.current == table.rows and table.missing == []
        manifest = read_json(manifest_path(path))
        assert manifest["command"] == "make publish STUDY=tiny"
        assert manifest["outputs"] == {str(path): file_digest(path)}
        assert manifest["inputs"] == {name: file_digest(name) for name in manifest["inputs"]}
        assert manifest["parameters"]["missing"] == []


def test_a_row_says_which_cell_it_is_of_and_what_it_was_made_under(finished):
    publish(finished.study)
    row = rows(METRICS)[1]
    train = read_json(manifest_path(finished.file("train", "weights.safetensors")))["code"]
    assert list(row.items()) == [
        ("run", finished.runs[0]),
        ("seed", "1"),
        ("label", "beta 1.0"),
        ("problem.kwargs.beta", "1"),
        ("diverged", "0"),
        ("train_loss", "0.25"),
        ("settings", ""),
        ("code", f"train:{train['digest']}"),
        ("commit", "c0ffee"),
        ("current", "true"),
    ]
    row = rows(QUANTITIES)[0]
    assert list(row)[:6] == ["run", "seed", "label", "problem.kwargs.beta", "epoch", "points"]
    assert (row["points"], row["smad"], row["minima"]) == ("3", "", "2")
    rules = [part.partition(":")[0] for part in row["code"].split(" ")]
    assert rules == ["topology", "sample_landscape", "train"]
    settings = read_json(manifest_path(QUANTITIES))["parameters"]["settings"][row["settings"]]
    assert (settings["points"], settings["connectivity"]) == (5, "freudenthal")


def test_trajectories_give_a_row_for_each_ray_at_the_last_epoch(finished):
    publish(finished.study)
    found = rows(TABLES / "digits/jump-retrain.returns.csv")
    assert [(row["seed"], row["ray"], row["step"]) for row in found] == [
        ("0", "0", "0.5"),
        ("0", "0", "1"),
        ("0", "1", "0.5"),
        ("0", "1", "1"),
    ]
    assert [row["cosine"] for row in found] == [f"{n / 7:.9g}" for n in (2, 5, 8, 11)]


def test_publishing_twice_changes_no_byte(finished):
    publish(finished.study)
    before = contents(TABLES)
    assert [table.written for table in publish(finished.study)] == [False] * 7
    assert contents(TABLES) == before


def test_cells_that_are_not_finished_are_listed_and_filled_in_later(finished, tmp_path):
    shutil.copytree("results", tmp_path / "all")
    remove(finished, 1)
    table = publish(finished.study)[0]
    expected = [{"run": finished.runs[1], "label": "beta 6.0", "seed": seed} for seed in (0, 1)]
    assert (table.rows, table.missing) == (2, expected)
    assert read_json(manifest_path(METRICS))["parameters"]["missing"] == expected
    shutil.copytree(tmp_path / "all", "results", dirs_exist_ok=True)
    table = publish(finished.study)[0]
    assert (table.rows, table.current, table.missing) == (4, 4, [])


def test_rows_of_cells_that_are_finished_elsewhere_stay_byte_for_byte(finished):
    publish(finished.study)
    before, sums = rows(QUANTITIES), read_json(manifest_path(QUANTITIES))["inputs"]
    remove(finished, 1)
    tables = {table.path: table for table in publish(finished.study)}
    assert rows(QUANTITIES) == before
    assert tables[QUANTITIES].missing == [] and tables[QUANTITIES].current == 8
    manifest = read_json(manifest_path(QUANTITIES))
    there, gone = (str(finished.file("topology", QUANTITIES.stem + ".parquet", n)) for n in (0, 1))
    assert manifest["inputs"] == {there: sums[there]}
    assert manifest["data"] == {gone: sums[gone]}
    assert not any(table.written for table in publish(finished.study))


def test_a_new_row_replaces_the_old_one_of_the_same_keys(finished):
    publish(finished.study)
    metrics = finished.file("train", "metrics.parquet")
    weights = finished.file("train", "weights.safetensors")
    again = pd.DataFrame({"run": finished.runs[0], "seed": [1], "train_loss": [1 / 3]})
    write_table(metrics, again)
    finished.edit_manifest(
        weights, lambda m: m["outputs"].update({str(metrics): file_digest(metrics)})
    )
    publish(finished.study)
    assert [row["train_loss"] for row in rows(METRICS)[:2]] == ["0.333333333", "0.333333333"]
    assert [row["diverged"] for row in rows(METRICS)] == ["0", "", "0", "0"]


def test_rows_made_by_other_code_are_marked_and_not_dropped(finished):
    landscape = finished.file("landscape", "hessian-3d.nc")
    finished.edit_manifest(landscape, lambda m: m["code"].update(digest="000000000000"))
    publish(finished.study)
    assert current(QUANTITIES) == ["false"] * 4 + ["true"] * 4
    assert "sample_landscape:000000000000" in rows(QUANTITIES)[0]["code"]
    assert current(METRICS) == ["true"] * 4
    remove(finished, 0)
    publish(finished.study)
    assert current(QUANTITIES) == ["false"] * 4 + ["true"] * 4


def test_other_settings_mark_rows_from_here_and_from_elsewhere(finished):
    publish(finished.study)
    before = QUANTITIES.read_bytes()
    remove(finished, 1)
    finished.edit_study("distance: 1.0", "distance: 2.0")
    publish(finished.study)
    assert current(QUANTITIES) == ["false"] * 8
    assert current(METRICS) == ["true"] * 4
    finished.edit_study("distance: 2.0", "distance: 1.0")
    publish(finished.study)
    assert QUANTITIES.read_bytes() == before


def test_an_input_made_anew_since_leaves_no_row_current(finished):
    weights = finished.file("train", "weights.safetensors")
    finished.edit_manifest(weights, lambda m: m["outputs"].update({str(weights): "0" * 64}))
    publish(finished.study)
    assert [row["code"].split(" ")[-1] for row in rows(QUANTITIES)[:1]] == ["unknown"]
    assert current(QUANTITIES) == ["false"] * 4 + ["true"] * 4


def test_a_run_that_left_the_study_stays_but_is_not_current(finished):
    publish(finished.study)
    finished.edit_study("[1.0, 6.0]", "[6.0]")
    table = publish(finished.study)[0]
    assert (table.rows, table.current, table.missing) == (4, 2, [])
    assert [row["label"] for row in rows(METRICS)] == 2 * ["beta 6.0"] + 2 * ["beta 1.0"]
    assert current(METRICS) == ["true", "true", "false", "false"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "it is cut off"),
        (lambda text: "", "no column run, seed"),
        (lambda text: text.replace("settings", "setings", 1), "no column settings"),
        (lambda text: text.replace("0.25", "0.01"), "is not what .*metrics.manifest.json says"),
    ],
)
def test_a_broken_published_table_is_an_error_and_left_as_it_is(finished, damage, message):
    publish(finished.study)
    METRICS.write_text(damage(METRICS.read_text()))
    before = contents(TABLES)
    with pytest.raises(
        DataError, match=f"metrics.csv .*{message}.*git checkout (HEAD )?-- {METRICS}"
    ):
        publish(finished.study)
    assert contents(TABLES) == before


def test_an_altered_result_is_not_published(finished):
    metrics = finished.file("train", "metrics.parquet")
    write_table(metrics, pd.DataFrame({"run": finished.runs[0], "seed": [0], "train_loss": 0.0}))
    with pytest.raises(DataError, match=f"{metrics} was altered after it was made"):
        publish(finished.study)


def test_an_interrupted_publish_costs_no_row(finished, monkeypatch):
    publish(finished.study)
    before = rows(METRICS)
    finished.edit_study("[1.0, 6.0]", "[6.0, 1.0]")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(storage.os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        publish(finished.study)
    monkeypatch.undo()
    monkeypatch.chdir(finished.root)
    assert rows(METRICS) == before
    assert publish(finished.study)[0].rows == 4
    assert not [path for path in TABLES.rglob(".*")]


def test_a_publish_that_ended_before_its_manifest_is_told_from_tampering(finished, monkeypatch):
    publish(finished.study)
    finished.edit_study("[1.0, 6.0]", "[6.0, 1.0]")

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("topograph.archive.publish.write_manifest", stop)
    with pytest.raises(KeyboardInterrupt):
        publish(finished.study)
    monkeypatch.undo()
    monkeypatch.chdir(finished.root)
    with pytest.raises(DataError, match=f"interrupted, rm {manifest_path(METRICS)} and publish"):
        publish(finished.study)
    manifest_path(METRICS).unlink()
    table = publish(finished.study)[0]
    assert (table.rows, table.current, table.written) == (4, 4, True)


def test_nothing_finished_and_nothing_published_is_one_message(finished):
    shutil.rmtree("results")
    with pytest.raises(DataError, match="nothing of tiny is finished in results/tiny .*STUDY=tiny"):
        publish(finished.study)
    assert not TABLES.exists()


def test_two_rows_of_the_same_keys_are_refused(tmp_path):
    write_table(tmp_path / "a.parquet", pd.DataFrame({"run": ["r", "r"], "seed": [0, 0]}))
    with pytest.raises(DataError, match="several rows of the same run, seed"):
        read_rows(tmp_path / "a.parquet", ("run", "seed"))
    with pytest.raises(DataError, match="has no column epoch"):
        read_rows(tmp_path / "a.parquet", ("run", "epoch"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 / 3, "0.333333333"),
        (np.float64(2.0), "2"),
        (np.int64(7), "7"),
        (True, "true"),
        (float("nan"), ""),
        (float("inf"), "inf"),
        (None, ""),
        ("a, b", "a, b"),
        ([1, 2], "[1,2]"),
    ],
)
def test_values_are_written_short_and_stable(value, text):
    assert as_text(value) == text
