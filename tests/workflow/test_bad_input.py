"""Mistakes and mishaps: one clear message, a non-zero exit, and nothing lost."""

from __future__ import annotations

import signal
import subprocess
import time

import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.workflow
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
    assert "Job stats" not in done.stdout
    assert not (checkout.path / "results").joinpath("tiny").exists()


def test_a_diverging_learning_rate_is_a_result(checkout):
    write(checkout, optimiser={"name": "sgd", "learning_rate": 1.0e9})
    done = checkout.make("study", "STUDY=tiny")
    assert done.returncode == 0, done.stdout[-5000:]
    (metrics,) = checkout.path.glob("results/tiny/train/*/metrics.parquet")
    assert pd.read_parquet(metrics)["diverged"].tolist() == [1.0]
    assert "diverged" in (checkout.path / "reports/tiny/index.html").read_text()


def test_an_interrupted_run_goes_on(checkout):
    write(checkout, schedule={"epochs": 400, "batch": 128})
    command = ["make", "study", "STUDY=tiny"]
    with (checkout.path / "log").open("w") as log:
        running = subprocess.Popen(
            command, cwd=checkout.path, stdout=log, stderr=log, start_new_session=True
        )
        scratch = checkout.path / "results/tiny/scratch"
        for _ in range(600):
            if len(list(scratch.rglob("epoch-*.safetensors"))) >= 3:
                break
            time.sleep(0.2)
        # Ctrl-C at a terminal reaches the whole foreground group.
        subprocess.run(["kill", "-INT", "--", f"-{running.pid}"], check=True)
        assert running.wait(timeout=60) != 0
    finished = len(list(scratch.rglob("epoch-*.safetensors")))
    assert finished >= 3
    assert not list(checkout.path.glob("results/tiny/train/*/weights.safetensors"))
    target = next(scratch.iterdir()).name
    again = subprocess.Popen(
        ["make", f"results/tiny/train/{target}/weights.safetensors"],
        cwd=checkout.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    for _ in range(600):
        if len(list(scratch.rglob("epoch-*.safetensors"))) > finished:
            break
        time.sleep(0.2)
    subprocess.run(["kill", "-INT", "--", f"-{again.pid}"], check=True)
    output, _ = again.communicate(timeout=60)
    assert "Error: Directory cannot be locked" not in output
    assert len(list(scratch.rglob("epoch-*.safetensors"))) > finished
    assert again.returncode not in (0, -signal.SIGKILL)
