"""Mistakes and mishaps: one clear message, a non-zero exit, and nothing lost."""

from __future__ import annotations

import signal
import subprocess
import time

import pandas as pd
import pytest
import yaml

from topograph.archive.asked import Asked
from topograph.families.training import trained_state

TINY = {
    "study": "tiny",
    "experiments": {
        "digits": {
            "family": "supervised",
            "data": {"target": "digits"},
            "model": {
                "target": "wide-resnet",
                "kwargs": {"depth": 10, "width": 1, "in_channels": 1, "classes": 10},
            },
            "optimiser": {"name": "sgd", "learning_rate": 0.1},
            "schedule": {"epochs": 2, "batch": 128},
            "seeds": [0],
            "analyses": {
                "random-2d": {
                    "kind": "landscape",
                    "directions": "random",
                    "dimensions": 2,
                    "points": 3,
                    "distance": 1.0,
                    "examples": 16,
                }
            },
        }
    },
    "figures": {
        "topo-fig1": {
            "title": "Loss surfaces",
            "notebook": "tlp-fig2",
            "experiment": "digits",
            "analysis": "random-2d",
        }
    },
}


def write(checkout, **changes):
    """Write the tiny study with some keys of its experiment replaced."""
    content = yaml.safe_load(yaml.safe_dump(TINY))
    content["experiments"]["digits"] |= changes
    (checkout.path / "config/tiny.yaml").write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sedes": [0]}, ["unknown key 'sedes'", "did you mean 'seeds'", "experiments.digits"]),
        ({"model": {"target": "nowhere.models:Net"}}, ["nowhere.models:Net", "no package"]),
        ({"grid": {"optimiser.learning_rat": [0.1]}}, ["learning_rat'", "learning_rate"]),
        (
            {"optimiser": {"name": "sgd", "learning_rate": "1e-3"}},
            ["optimiser.learning_rate", "1e-3", "1.0e-3"],
        ),
    ],
)
def test_config_mistakes_stop_before_any_job(checkout, changes, expected):
    write(checkout, **changes)
    done = checkout.make("study", "STUDY=tiny")
    assert done.returncode != 0
    for text in ["config/tiny.yaml", *expected]:
        assert text in done.stdout, done.stdout
    assert "Traceback" not in done.stdout
    assert "to run" not in done.stdout
    assert not (checkout.path / "results").joinpath("tiny").exists()


def test_parts_that_are_no_number_are_one_message(checkout):
    done = checkout.make("smoke", "ARGS=--dry-run --config shards=abc")
    assert done.returncode != 0
    assert "--config shards: received 'abc'; allowed: a whole number from 1 on" in done.stdout
    assert "ValueError" not in done.stdout
    assert "Traceback" not in done.stdout


def test_an_analysis_that_a_run_does_not_have_is_named_with_those_it_has(checkout):
    members = Asked.of(checkout.path / "config/smoke.yaml").members
    run = next(member.cell.run for member in members if member.experiment == "brain")
    done = checkout.make(f"results/smoke/landscape/{run}/hessian-3d.nc")
    assert done.returncode != 0
    assert (
        f"run {run} has no analysis 'hessian-3d' (did you mean 'hessian-2d'?); allowed: "
        "hessian-2d, by config/smoke.yaml"
    ) in done.stdout, done.stdout
    assert "KeyError" not in done.stdout
    assert not (checkout.path / "results/smoke").exists()


def test_a_diverging_learning_rate_is_a_result(checkout):
    schedule = {"epochs": 1, "batch": 128}
    write(checkout, optimiser={"name": "sgd", "learning_rate": 1.0e9}, schedule=schedule)
    done = checkout.make("study", "STUDY=tiny")
    assert done.returncode == 0, done.stdout[-5000:]
    (metrics,) = checkout.path.glob("results/tiny/train/*/metrics.parquet")
    assert pd.read_parquet(metrics)["diverged"].tolist() == [1.0]
    runs = (checkout.path / "reports/tiny/runs.html").read_text()
    assert "<strong>diverged</strong>" in runs


def test_an_interrupted_run_goes_on(checkout):
    epochs = 8
    write(checkout, schedule={"epochs": epochs, "batch": 128})
    (member,) = Asked.of(checkout.path / "config/tiny.yaml").members
    weights = checkout.path / f"results/tiny/train/{member.cell.run}/weights.safetensors"
    target = str(weights.relative_to(checkout.path))
    with (checkout.path / "log").open("w") as log:
        running = subprocess.Popen(
            ["make", target],
            cwd=checkout.path,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # Ctrl-C counts also where the tests themselves run in the background.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        scratch = checkout.path / "results/tiny/scratch"
        while running.poll() is None and len(list(scratch.rglob("epoch-*.safetensors"))) < 3:
            time.sleep(0.1)
        # Ctrl-C at a terminal reaches the whole foreground group.
        subprocess.run(["kill", "-INT", "--", f"-{running.pid}"], check=True)
        assert running.wait(timeout=120) != 0
    kept = {path: path.stat().st_mtime_ns for path in scratch.rglob("epoch-*.safetensors")}
    assert 3 <= len(kept) < epochs
    assert not weights.exists()
    done = checkout.make(target)
    assert done.returncode == 0, done.stdout[-3000:]
    epoch, state = trained_state(weights, 0, "last")
    assert epoch == epochs
    assert state
