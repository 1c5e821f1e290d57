"""Stages by hand: what they choose of a study, and the inputs that their manifests list."""

from __future__ import annotations

import argparse
import re
from contextlib import contextmanager
from pathlib import Path

import pytest

from topograph.cli import reporting, stages
from topograph.cli.main import main
from topograph.cli.selection import Selection
from topograph.config.models import Landscape

ROOT = Path(__file__).parents[2]
SMOKE = str(ROOT / "config" / "smoke.yaml")


def selection(command: str, *only: str, analysis: str | None = None) -> Selection:
    return Selection(
        argparse.Namespace(
            study=SMOKE, only=list(only), analysis=analysis, command=command, threads=1
        )
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["jump", SMOKE, "brain"],
            "brain: no analysis for the stage 'jump'; allowed: digits (jump-retrain) and their "
            "runs",
        ),
        (
            ["sample", SMOKE, "brain", "digits", "--analysis", "hessian-3d"],
            "brain, digits: no hessian-3d for the stage 'sample'; allowed: convection (hessian-3d) "
            "and their runs",
        ),
    ],
)
def test_names_without_such_an_analysis_are_refused(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(words) == 1
    assert capsys.readouterr() == ("", f"{message}\n")


def test_names_of_which_some_have_such_an_analysis_give_those() -> None:
    chosen = selection("sample", "brain", "convection", analysis="hessian-3d")
    found = list(chosen.analyses(Landscape))
    assert [(cell.training.family, name) for cell, name, _ in found] == [("pinn", "hessian-3d")] * 2


def test_the_help_says_that_names_come_before_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["sample", "--help"])
    assert "before any option" in " ".join(capsys.readouterr().out.split())


def test_a_study_without_claims_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    study = str(ROOT / "config" / "study.yaml")
    assert main(["claims", study]) == 1
    assert capsys.readouterr().err == f"{study} tests no claim: it has no block 'claims'\n"


def test_claims_read_the_small_tables_of_every_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "recorded", stop)
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    chosen = selection("claims")
    with pytest.raises(Stopped) as stopped:
        reporting.run_claims(chosen)
    rule, outputs, inputs = stopped.value.args
    assert rule == "claims"
    assert set(outputs) == {"claims", "sensitivity"}
    read = sorted(path.split("/", 3)[2] + "/" + Path(path).name for path in inputs.values())
    assert read == [
        *["embedding/jump-retrain.points.parquet"] * 2,
        *["embedding/jump-retrain.quality.parquet"] * 2,
        *["homology/jump-retrain.statistics.parquet"] * 2,
        *["spectrum/spectrum.quantities.parquet"] * 2,
        "topology/hessian-2d.choices.parquet",
        *["topology/hessian-3d.choices.parquet"] * 2,
        *["train/metrics.parquet"] * 5,
    ]


def test_claims_are_tested_on_finished_roles_and_the_others_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reporting, "recorded", stop)
    monkeypatch.setattr(Path, "is_file", lambda path: "hessian-3d" not in path.name)
    chosen = selection("claims")
    capsys.readouterr()
    with pytest.raises(Stopped) as stopped:
        reporting.run_claims(chosen)
    _, _, inputs = stopped.value.args
    assert inputs and not [path for path in inputs if "hessian-3d" in path]
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("2 of 4 tables are finished; claims that need it are not tested")


class Stopped(Exception):
    """Ends a stage before its work, with the inputs that its manifest would list."""


@contextmanager
def stop(study, rule, outputs, inputs, parameters, **_):
    raise Stopped(rule, outputs, inputs)
    yield


def templates_of_rule(file: str) -> set[str]:
    """Return the templates that a rules file names, and those that common.smk adds."""
    texts = [(ROOT / "workflow/rules" / name).read_text() for name in (file, "common.smk")]
    first = re.findall(r"templates=templates\((.*?)\)", texts[0], re.DOTALL)[0]
    every = re.findall(r'for name in \(("base.html".*?)\*names\)', texts[1])[0]
    return set(re.findall(r'"([^"]+)"', first + every))


def templates_in(inputs: dict[str, str]) -> set[str]:
    folder = Path("workflow/topograph/report/templates")
    return {Path(path).name for path in inputs.values() if Path(path).parent == folder}


def test_a_profile_page_lists_the_templates_of_its_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "recorded", stop)
    chosen = selection("topology", "brain")
    cell, name, analysis = next(chosen.analyses(Landscape))
    with pytest.raises(Stopped) as stopped:
        stages._profile_page(chosen, cell, name, analysis, "landscape.nc", "pairs.parquet")
    rule, outputs, inputs = stopped.value.args
    assert rule == "profile_page"
    assert outputs == {"page": f"reports/smoke/profiles/{cell.run}.{name}.html"}
    assert templates_in(inputs) == templates_of_rule("report.smk")
    assert {"landscape.nc", "pairs.parquet"} < set(inputs.values())


def test_a_figure_lists_the_templates_of_its_rule_and_the_pages_of_its_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "recorded", stop)
    monkeypatch.chdir(tmp_path)
    chosen = selection("figure")
    asked = chosen.study.figures["tlp-fig4"]
    run = next(m.cell.run for m in chosen.asked.members if m.experiment == asked.experiment)
    made = [
        Path(f"results/smoke/topology/{run}/{asked.analysis}.pairs.parquet"),
        Path(f"reports/smoke/profiles/{run}.{asked.analysis}.html"),
    ]
    for path in (*made, made[0].with_suffix(".manifest.json")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(Stopped) as stopped:
        reporting.run_figure(chosen, "tlp-fig4")
    _, _, inputs = stopped.value.args
    templates = templates_of_rule("figures.smk")
    assert templates_in(inputs) == templates
    assert set(map(str, made)) <= set(inputs.values())
    assert len(inputs) == len(templates) + len(made) + len(["notebook"])
