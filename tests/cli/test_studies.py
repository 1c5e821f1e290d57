"""Commands about study files: what they say of a study, and that what they write is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from topograph.cli.main import main
from topograph.cli.new_family import KINDS
from topograph.config.load import load_study

CONFIG = Path(__file__).parents[2] / "config"


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_a_quick_check_counts_the_jobs_and_times_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topograph.cli.studies._print_cost", lambda *_: 1 / 0)
    shown = said(capsys, "check", "--quick", CONFIG / "smoke.yaml")
    assert shown.splitlines()[-1] == (
        "jobs: 5 train, 5 landscape, 5 topology, 5 profile page, 2 spectrum, 2 baselines, "
        "1 interpolation, 1 slices, 1 topography, 1 weights, 1 similarity, "
        "2 jump-retrain, 2 embedding, 2 homology, 1 surface page, 1 table of the study, 6 figure, "
        "1 claims, 6 site; 50 in all"
    )


def tiny(tmp_path: Path, **changes: object) -> Path:
    experiment = {
        "family": "supervised",
        "data": {"target": "digits"},
        "model": {"target": "wide-resnet", "kwargs": {"depth": 10, "width": 1, "in_channels": 1}},
        "optimiser": {"name": "sgd", "learning_rate": 0.1},
        "schedule": {"epochs": 2, "batch": 32},
        "seeds": [0, 1],
        "grid": {"optimiser.learning_rate": [0.1, 0.2]},
    }
    content = {"study": "tiny", "experiments": {"digits": experiment | changes}}
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def core_hours(shown: str) -> dict[str, float]:
    rows = re.findall(r"^ +([\d.e-]+)  ([a-z].*)$", shown, flags=re.MULTILINE)
    return {stage: float(hours) for hours, stage in rows}


def test_a_cost_is_an_estimate_by_stage_that_grows_with_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = said(capsys, "check", tiny(tmp_path))
    assert "\nan estimate, from a few steps and points timed here on one core" in shown
    few = core_hours(shown)
    assert list(few) == ["train", "every job's start, and other stages", "in all"]
    assert few["in all"] == pytest.approx(sum(few.values()) - few["in all"], rel=0.02)
    more = {"epochs": 200, "batch": 32}
    many = core_hours(said(capsys, "check", tiny(tmp_path, schedule=more)))
    # A hundred times the epochs; a busy machine may blur the factor, not the order.
    assert many["train"] > 10 * few["train"]


def test_cells_whose_data_are_missing_are_named_and_the_rest_is_estimated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    grid = {"data.target": ["digits", "cifar10"]}
    shown = said(capsys, "check", tiny(tmp_path, grid=grid))
    assert core_hours(shown)["train"] > 0
    assert shown.splitlines()[-1] == (
        "without 1 of 2 cells, whose data are missing: make data/cifar10/cifar-10-binary.tar.gz"
    )


def test_what_only_building_shows_is_found_by_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tiny(tmp_path, model={"target": "torchvision.models:resnet18"})
    assert main(["check", "--quick", str(path)]) == 0
    assert main(["check", str(path)]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("model 'torchvision.models:resnet18' fails on inputs (2, 1, 8, 8)")


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_family_is_a_valid_study_with_comments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    path = tmp_path / f"my-{kind}.yaml"
    assert "next: topograph check" in said(
        capsys, "new-family", path.stem, "--kind", kind, "--out", path
    )
    printed = said(capsys, "new-family", path.stem, "--kind", kind)
    assert printed == path.read_text(encoding="utf-8")
    assert printed.count("#") > 8
    study = load_study(path)
    assert list(study.experiments) == [path.stem]
    assert study.figures
    assert "jobs: 1 train, 2 landscape" in said(capsys, "check", "--quick", path)


def test_the_grid_that_a_new_family_proposes_is_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in KINDS:
        path = tmp_path / f"try-{kind}.yaml"
        text = said(capsys, "new-family", path.stem, "--kind", kind)
        assert text.count("# grid:") == 1
        path.write_text(text.replace("# grid:", "grid:"), encoding="utf-8")
        assert "jobs: 2 train, 4 landscape" in said(capsys, "check", "--quick", path)


def test_a_file_that_is_there_is_never_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("precious")
    assert main(["new-family", "mine", "--out", str(path)]) == 1
    assert capsys.readouterr().err == f"{path} exists and is kept as it is; choose another name\n"
    assert path.read_text() == "precious"


@pytest.mark.parametrize("name", ["My Family", "../mine", "1st", ""])
def test_a_name_that_no_study_may_have_is_refused(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["new-family", name]) == 1
    assert "allowed: up to 51 small letters" in capsys.readouterr().err


def test_a_new_study_is_named_like_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.yaml"
    said(capsys, "new-family", "my-x", "--out", path)
    study = load_study(path)
    assert study.study == "other"
    assert list(study.experiments) == ["my-x"]
    assert "make study STUDY=other " in path.read_text()
    assert "jobs: 1 train, 2 landscape" in said(capsys, "check", "--quick", path)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("other.yml", "--out: received 'other.yml'; allowed: a file like config/my-family.yaml"),
        ("folder", "--out: received 'folder'; allowed: a file like config/my-family.yaml"),
        ("My File.yaml", "file: received 'My File'; allowed: up to 51 small letters"),
        ("scratch.yaml", "'scratch' names no study: reserved, "),
        ("folder.yaml", "folder.yaml exists and is kept as it is"),
        ("file/mine.yaml", "file cannot be read or written: File exists; correct the path"),
    ],
)
def test_a_file_that_no_study_can_be_written_to_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    out: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.yaml").mkdir()
    Path("file").touch()
    assert main(["new-family", "mine", "--out", out]) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith(message)
    assert shown.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder.yaml"]


def test_a_reserved_name_is_no_new_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-family", "published"]) == 1
    assert capsys.readouterr().err.startswith("'published' names no study: reserved, ")
