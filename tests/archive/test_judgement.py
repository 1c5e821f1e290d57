"""Results are judged by their manifests: what differs is found, named once, and handed on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from topograph.archive.judgement import Judgement, differences, in_words, judged
from topograph.foundation.errors import ConfigError, DataError
from topograph.foundation.provenance import file_digest


def changed(found: Iterable[Judgement]) -> dict[tuple[str, str], str]:
    """Map rule and state to the reason, of all that is not current."""
    return {(item.rule, item.state): item.reason for item in found if item.state != "current"}


def states(found: Iterable[Judgement]) -> dict[str, set[str]]:
    """Map each rule to the states of its jobs that are not current."""
    grouped: dict[str, set[str]] = {}
    for item in found:
        if item.state != "current":
            grouped.setdefault(item.rule, set()).add(item.state)
    return grouped


def test_every_job_of_a_study_that_nothing_happened_to_is_current(finished):
    found = judged(finished.study)
    assert len(found) == 15
    assert changed(found) == {}
    assert {item.output for item in found if item.rule == "train"} == {
        str(finished.file("train", "weights.safetensors", run)) for run in range(3)
    }


def test_nothing_finished_is_no_mistake(finished):
    for folder in ("results", "reports"):
        shutil.rmtree(finished.root / folder)
    assert judged(finished.study) == []


def test_torch_is_not_loaded_to_judge():
    code = "import sys, topograph.archive.judgement; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_other_code_is_handed_on_to_all_that_was_made_from_it(finished):
    landscape = finished.file("landscape", "hessian-3d.nc")
    finished.edit_manifest(landscape, lambda m: m["code"].update(digest="000000000000"))
    found = judged(finished.study)
    assert states(found) == {
        "sample_landscape": {"other code"},
        "topology": {"other inputs"},
        "profile_page": {"other inputs"},
        "figure": {"other inputs"},
        "site": {"other inputs"},
    }
    reasons = changed(found)
    cause = reasons["sample_landscape", "other code"]
    assert cause.startswith("code 000000000000 -> ")
    for rule in ("topology", "figure", "site"):
        assert reasons[rule, "other inputs"] == (
            f"it goes back to {landscape}, which is made by other code: {cause}"
        )
    assert sum(item.state != "current" for item in found) == 5


def test_a_changed_setting_is_named_with_both_values_only_where_it_is_read(finished):
    finished.edit_study("distance: 1.0}", "distance: 1.0, connectivity: axis}")
    found = judged(finished.study)
    assert states(found) == {
        "topology": {"other settings"},
        "profile_page": {"other settings"},
        "figure": {"other inputs"},
        "site": {"other inputs"},
    }
    reason = changed(found)["topology", "other settings"]
    assert reason == 'analysis.connectivity: "freudenthal" -> "axis"'


def test_one_more_seed_and_a_new_title_are_other_settings(finished):
    finished.edit_study("seeds: [0, 1]\n    grid", "seeds: [0, 1, 2]\n    grid")
    finished.edit_study("title: Profiles", "title: Minima")
    reasons = changed(judged(finished.study))
    assert reasons["train", "other settings"] == "cell.seeds: [0,1] -> [0,1,2]"
    assert 'figure.title: "Profiles" -> "Minima"' in reasons["figure", "other settings"]


def test_a_run_that_the_study_no_longer_has_is_not_asked_for(finished):
    gone = finished.runs[1]
    finished.edit_study("[1.0, 6.0]", "[1.0]")
    found = judged(finished.study)
    assert {item.rule for item in found if item.state == "not asked for"} == {
        "train",
        "sample_landscape",
        "topology",
        "profile_page",
    }
    assert all(gone in item.output for item in found if item.state == "not asked for")
    assert "runs: 2 entries -> 1 entries" in changed(found)["figure", "other settings"]


def test_an_output_altered_or_removed_by_hand_is_told_from_one_made_anew(finished):
    metrics = finished.file("train", "metrics.parquet")
    metrics.write_bytes(metrics.read_bytes() + b" ")
    diagram = finished.file("homology", "jump-retrain.diagram.parquet", 2)
    diagram.unlink()
    reasons = changed(judged(finished.study))
    assert reasons["train", "altered"] == f"{metrics} was altered after it was made"
    assert reasons["homology", "missing"] == f"{diagram} is no longer there"
    assert ("train", "missing") not in reasons


def test_an_input_made_anew_is_named(finished):
    weights = finished.file("train", "weights.safetensors", 2)
    weights.write_text("trained again")
    finished.edit_manifest(
        weights, lambda m: m["outputs"].update({str(weights): file_digest(weights)})
    )
    reasons = changed(judged(finished.study))
    assert reasons["jump_retrain", "other inputs"] == f"its input {weights} has changed"
    trajectory = finished.file("trajectory", "jump-retrain.nc", 2)
    assert reasons["homology", "other inputs"] == (
        f"it goes back to {trajectory}, which is made from other inputs: "
        f"its input {weights} has changed"
    )


def test_a_data_file_that_is_not_on_this_machine_is_taken_as_unchanged(finished):
    weights = finished.file("train", "weights.safetensors")
    finished.edit_manifest(weights, lambda m: m["inputs"].update({"data/pet/a.tar.gz": "aa"}))
    assert changed(judged(finished.study)) == {}
    Path("data/pet").mkdir(parents=True)
    Path("data/pet/a.tar.gz").write_text("other")
    reasons = changed(judged(finished.study))
    assert reasons["train", "other inputs"] == "its input data/pet/a.tar.gz has changed"


def test_a_manifest_without_code_is_of_unknown_origin_and_no_crash(finished):
    weights = finished.file("train", "weights.safetensors", 2)

    def age(manifest):
        for key in ("rule", "code", "data"):
            del manifest[key]

    finished.edit_manifest(weights, age)
    found = judged(finished.study)
    assert states(found) == {
        "unknown": {"unknown"},
        "jump_retrain": {"unknown"},
        "embed": {"unknown"},
        "homology": {"unknown"},
    }


def test_a_module_that_is_not_installed_here_leaves_the_code_unknown(finished):
    weights = finished.file("train", "weights.safetensors", 2)
    finished.edit_manifest(weights, lambda m: m["code"].update(modules=["nobody.has.this"]))
    reason = changed(judged(finished.study))["train", "unknown"]
    assert reason == "its code cannot be compared: no package 'nobody' is installed"


def test_a_script_that_is_gone_is_other_code(finished):
    page = Path("reports/tiny/figures/tlp-fig3.html")
    gone = "workflow/notebooks/gone.py"
    finished.edit_manifest(page, lambda m: m["code"].update(scripts=[gone]))
    reason = changed(judged(finished.study))["figure", "other code"]
    assert reason.endswith("workflow/notebooks/gone.py is no longer there")


def test_results_copied_elsewhere_are_judged_where_they_lie(finished, tmp_path):
    for folder in ("results", "reports"):
        shutil.move(finished.root / folder, tmp_path / "elsewhere" / folder)
    places = {name: tmp_path / "elsewhere" / name for name in ("results", "reports")}
    assert len(judged(finished.study, **places)) == 15
    assert changed(judged(finished.study, **places)) == {}


def test_an_unreadable_manifest_and_a_missing_study_are_one_message(finished):
    manifest = finished.file("train", "weights.manifest.json")
    manifest.write_text("[1, 2")
    with pytest.raises(DataError, match="weights.manifest.json is truncated or not a JSON file"):
        judged(finished.study)
    manifest.write_text("[1, 2]")
    with pytest.raises(DataError, match="weights.manifest.json is not a manifest"):
        judged(finished.study)
    with pytest.raises(ConfigError, match="config/none.yaml does not exist"):
        judged("config/none.yaml")


def test_differences_name_the_deepest_key_and_many_are_counted():
    then = {"a": {"b": [1, 2], "c": 1.0}, "rows": [{"x": 1}, {"x": 2}], "same": None}
    now = {"a": {"b": [1, 3], "c": 1.0, "d": "new"}, "rows": [{"x": 1}, {"x": 5}], "same": None}
    found = differences(then, now)
    assert found == {"a.b": ([1, 2], [1, 3]), "a.d": (None, "new"), "rows.1.x": (2, 5)}
    assert in_words(found) == 'a.b: [1,2] -> [1,3]; a.d: nothing -> "new"; rows.1.x: 2 -> 5'
    many = {f"k{n}": (0, 1) for n in range(7)}
    assert in_words(many) == "k0: 0 -> 1; k1: 0 -> 1; k2: 0 -> 1; and 4 more"
