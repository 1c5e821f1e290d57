"""A finished study as an RO-Crate: valid by the validator of the profiles, whole, only if done."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import requests
from requests_cache import CachedSession
from rocrate_validator import services
from urllib3 import HTTPResponse

from topograph.archive.crate import METADATA, write_crate
from topograph.foundation.errors import DataError, TopographError
from topograph.foundation.provenance import file_digest

# The terms of RO-Crate 1.1's context that a crate of ours uses. No package ships that context; any
# other term in a crate is then unknown to the validator, which refuses it.
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
SCHEMA = (
    "ComputerLanguage CreateAction CreativeWork Dataset Organization PropertyValue "
    "SoftwareApplication SoftwareSourceCode about additionalType agent author contentSize "
    "datePublished description encodingFormat endTime exampleOfWork hasPart identifier instrument "
    "license mainEntity mentions name object programmingLanguage publisher result "
    "softwareRequirements startTime subjectOf url value valueRequired version workExample"
)
TERMS = {term: f"http://schema.org/{term}" for term in SCHEMA.split()} | {
    "File": "http://schema.org/MediaObject",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache in which the validator, which may not ask the network, finds the context."""
    response = requests.Response()
    response.status_code, response.reason, response.url = 200, "OK", CONTEXT
    response.headers["Content-Type"] = "application/ld+json"
    response.request = requests.Request("GET", CONTEXT).prepare()
    response.raw = HTTPResponse(body=io.BytesIO(b""), status=200, preload_content=False)
    response._content = json.dumps({"@context": TERMS}).encode()
    with CachedSession(str(tmp_path / "contexts"), backend="sqlite", expire_after=-1) as session:
        session.cache.save_response(response)
    return tmp_path / "contexts"


def violations(crate: Path, cache: Path) -> list[str]:
    """Return what the Provenance Run Crate profile, and all that it builds on, requires in vain."""
    settings = services.ValidationSettings(
        rocrate_uri=str(crate),
        profile_identifier="provenance-run-crate",
        requirement_severity="REQUIRED",
        offline=True,
        cache_path=cache,
    )
    return [str(issue.message) for issue in services.validate(settings).get_issues()]


def entities(crate: Path) -> dict[str, dict[str, Any]]:
    graph = json.loads((crate / METADATA).read_text())["@graph"]
    return {entity["@id"]: entity for entity in graph}


def test_a_crate_is_valid_by_the_workflow_and_provenance_run_crate_profiles(finished, cache):
    crate = write_crate(finished.study, "out/crate")
    assert violations(crate, cache) == []
    profiles = {profile["@id"] for profile in entities(crate)["./"]["conformsTo"]}
    assert {
        f"https://w3id.org/ro/wfrun/{name}/0.5" for name in ("workflow", "provenance")
    } < profiles


def test_the_validator_sees_a_workflow_that_was_never_run(finished, cache):
    crate = write_crate(finished.study, "crate")
    content = json.loads((crate / METADATA).read_text())
    content["@graph"] = [entity for entity in content["@graph"] if entity["@id"] != "#run"]
    (crate / METADATA).write_text(json.dumps(content))
    assert any("mainEntity as its instrument" in message for message in violations(crate, cache))


def test_a_crate_holds_every_file_that_it_names_with_its_sum(finished):
    found = entities(write_crate(finished.study, "crate"))
    files = {name for name, entity in found.items() if "File" in entity["@type"]}
    results = {str(path) for path in Path("results").rglob("*") if path.is_file()}
    reports = {str(path) for path in Path("reports").rglob("*") if path.is_file()}
    assert results | reports <= files
    assert {"Snakefile", "config/tiny.yaml", "envs/lock.txt", "workflow/rules/train.smk"} < files
    assert "workflow/topograph/archive/crate.py" in files
    for name in files:
        assert (Path("crate") / name).is_file()
    for name in results | reports:
        if not name.endswith(".manifest.json"):
            assert found[name]["sha256"] == file_digest(name) == file_digest(Path("crate") / name)


def test_every_job_is_an_action_with_inputs_outputs_and_times(finished):
    started = "2025-01-01T00:00:00+00:00"
    landscape = str(finished.file("landscape", "hessian-3d.nc"))
    finished.edit_manifest(Path(landscape), lambda m: m.update(started=started))
    found = entities(write_crate(finished.study, "crate"))
    actions = {name: one for name, one in found.items() if one["@type"] == "CreateAction"}
    assert len(actions) == 15 + 1
    action = actions[f"#{landscape.removesuffix('.nc')}.manifest.json"]
    assert action["instrument"] == {"@id": "workflow/scripts/sample_landscape.py"}
    assert action["object"] == {"@id": str(finished.file("train", "weights.safetensors"))}
    assert action["result"] == {"@id": landscape}
    assert action["startTime"] == started < action["endTime"]
    digits = next(a for name, a in actions.items() if name.startswith("#results/tiny/train/digits"))
    assert found[digits["object"]["@id"]]["value"] == "d161" * 16
    run = actions["#run"]
    assert (run["object"], run["result"]) == (
        {"@id": "config/tiny.yaml"},
        {"@id": "reports/tiny/index.html"},
    )
    names = {found[s["@id"]]["name"] for s in found["Snakefile"]["softwareRequirements"]}
    assert {"torch", "numpy", "gudhi", "snakemake"} <= names
    assert found["./"]["license"] == {"@id": "https://spdx.org/licenses/MIT"}


def test_a_crate_may_be_a_zip_and_replaces_only_a_crate(finished):
    write_crate(finished.study, "crate.zip")
    with zipfile.ZipFile("crate.zip") as archive:
        assert {METADATA, "Snakefile", "reports/tiny/index.html"} <= set(archive.namelist())
    crate = write_crate(finished.study, "crate")
    (crate / "stray.txt").write_text("of an earlier crate")
    write_crate(finished.study, "crate")
    assert not (crate / "stray.txt").exists()
    with pytest.raises(TopographError, match="config exists and is no crate, so it was left"):
        write_crate(finished.study, "config")
    assert finished.study.is_file()


@pytest.mark.parametrize("name", ["backup.zip", "notes.zip", "cut.zip", "crate"])
def test_what_is_no_crate_is_left_whatever_its_name(finished, name):
    target = Path(name)
    if name == "backup.zip":
        target.mkdir()
        (target / "thesis.txt").write_text("years of work")
    elif name == "cut.zip":
        target.write_bytes(b"PK\x03\x04 cut off")
    else:
        # A folder does not replace a file, even one that is a packed crate.
        content = METADATA if name == "crate" else f"inside/{METADATA}"
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr(content, "{}")
    before = {path: path.read_bytes() for path in (target, *target.rglob("*")) if path.is_file()}
    with pytest.raises(TopographError, match=f"{name} exists and is no crate, so it was left"):
        write_crate(finished.study, name)
    assert before and {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("earlier", ["crate", "crate.zip"])
def test_a_zip_replaces_a_crate_that_is_a_folder_or_a_zip(finished, earlier):
    write_crate(finished.study, earlier)
    if earlier == "crate":
        Path(earlier).rename("crate.zip")
    else:
        with zipfile.ZipFile(earlier, "a") as archive:
            archive.writestr("stray.txt", "of an earlier crate")
    write_crate(finished.study, "crate.zip")
    with zipfile.ZipFile("crate.zip") as archive:
        assert METADATA in archive.namelist() and "stray.txt" not in archive.namelist()


def test_a_missing_result_is_one_message_that_says_what_to_make(finished):
    quality = finished.file("embedding", "jump-retrain.quality.parquet", 2)
    quality.unlink()
    with pytest.raises(DataError, match=f"{quality} is missing; make it first: make study STUDY="):
        write_crate(finished.study, "crate")
    shutil.rmtree("reports")
    with pytest.raises(DataError, match="make it first: make study STUDY=tiny"):
        write_crate(finished.study, "crate")
    assert not Path("crate").exists()


def test_a_result_without_manifest_is_one_message(finished):
    for path in Path("reports").rglob("*.manifest.json"):
        path.unlink()
    page = "reports/tiny/figures/tlp-fig3.html"
    with pytest.raises(DataError, match=f"{page} has no manifest; make it anew: rm {page}"):
        write_crate(finished.study, "crate")


def test_a_result_of_other_code_is_not_packed_as_if_it_were_todays(finished):
    page = Path("reports/tiny/figures/tlp-fig3.html")
    finished.edit_manifest(page, lambda m: m["code"].update(digest="000000000000"))
    with pytest.raises(DataError, match=r"tlp-fig3.html \(figure\) is not current: other code: .*"):
        write_crate(finished.study, "crate")


def test_a_run_that_left_the_study_is_left_out(finished):
    gone = finished.runs[1]
    finished.edit_study(
        "beta: [1.0, 6.0]}\n    analyses:\n      hessian-3d",
        "beta: [1.0]}\n    analyses:\n      hessian-3d",
    )
    finished.edit_study(
        "  tlp-fig3: {title: Profiles, experiment: convection, analysis: hessian-3d}", ""
    )
    finished.edit_study("figures:\n", "")
    index = Path("results/tiny/index.parquet")
    finished.edit_manifest(index, lambda m: m["parameters"]["rows"].pop(1))
    site = Path("reports/tiny/index.html")
    finished.finish("site", [site], [index])
    found = entities(write_crate(finished.study, "crate"))
    assert not [name for name in found if gone in name or "figures/tlp-fig3" in name]
    assert f"results/tiny/train/{finished.runs[0]}/metrics.parquet" in found
