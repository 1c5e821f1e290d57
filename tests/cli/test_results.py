"""Commands about finished results: what they print, and one message for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from topograph.archive.asked import Asked
from topograph.cli.main import main
from topograph.foundation.provenance import Code, Start, write_manifest
from topograph.foundation.storage import write_table

STUDY = """
study: {name}
experiments:
  convection:
    family: pinn
    problem: {{target: convection, kwargs: {{beta: 1.0}}}}
    model: {{target: mlp, kwargs: {{inputs: 2, outputs: 1, width: 10, depth: 2}}}}
    optimiser: {{name: lbfgs}}
    seeds: {seeds}
"""


@pytest.fixture
def metrics(tmp_path, monkeypatch) -> Path:
    """The metrics of a study of one run, of which seed 0 is finished."""
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    study = Path("config/one.yaml")
    study.write_text(STUDY.format(name="one", seeds=[0]))
    (cell,) = Asked.of(study).cells.values()
    folder = Path("results/one/train") / cell.run
    weights, metrics = folder / "weights.safetensors", folder / "metrics.parquet"
    write_table(metrics, pd.DataFrame({"run": [cell.run], "seed": [0], "train_loss": [0.5]}))
    weights.write_text("weights")
    write_manifest(
        [weights, metrics],
        rule="train",
        inputs=[],
        parameters={"cell": cell.to_dict()},
        start=Start.now(Code(tuple(cell.modules), ("workflow/scripts/train.py",))),
        command=f"make {weights}",
        device="cpu",
    )
    return metrics


def test_explain_prints_the_history(metrics, capsys):
    assert main(["explain", str(metrics)]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.startswith(f"{metrics}  ")
    assert "\n  job 1: train, " in shown.out
    assert shown.out.endswith(f"\nremake it: rm {metrics} && make {metrics}\n")


def test_publish_prints_rows_and_what_is_missing(metrics, capsys):
    assert main(["publish", "config/one.yaml"]) == 0
    table = "reports/published/one/convection/metrics.csv"
    assert capsys.readouterr().out == f"{table}: 1 rows, 1 current, written\n"
    Path("config/one.yaml").write_text(STUDY.format(name="one", seeds=list(range(14))))
    assert main(["publish", "config/one.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{table}: 1 rows, 1 current, written"
    label = Asked.of("config/one.yaml").members[0].label
    assert lines[1] == f"  missing: run {metrics.parent.name}, label {label}, seed 1"
    assert lines[-1] == "  and 3 more missing, listed in its manifest"
    assert len(lines) == 12
    assert main(["publish", "config/one.yaml"]) == 0
    assert capsys.readouterr().out.startswith(f"{table}: 1 rows, 1 current, unchanged\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "results/one/none.nc"], "results/one/none.nc does not exist and no manifest"),
        (
            ["publish", "config/none.yaml"],
            "config/none.yaml does not exist; studies lie in config/",
        ),
        (["publish", "config/empty.yaml"], "nothing of empty is finished in results/empty"),
        (["crate", "config/one.yaml", "--out", "crate"], "reports/one/index.html is missing; make"),
        (["crate", "config/one.yaml", "--out", "config"], "config exists and is no crate"),
    ],
)
def test_a_mistake_is_one_line_on_standard_error(metrics, capsys, arguments, message):
    Path("config/empty.yaml").write_text(STUDY.format(name="empty", seeds=[0]))
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(message)
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize("command", ["explain", "publish", "crate"])
def test_an_unreadable_manifest_is_named(metrics, capsys, command):
    manifest = metrics.with_name("weights.manifest.json")
    manifest.write_text(json.dumps({"started": "yesterday"}))
    Path("reports/one").mkdir(parents=True)
    Path("reports/one/index.html").touch()
    subject = [str(metrics)] if command == "explain" else ["config/one.yaml"]
    out = ["--out", "crate"] if command == "crate" else []
    assert main([command, *subject, *out]) == 1
    assert capsys.readouterr().err.startswith(f"{manifest} is not a manifest")
