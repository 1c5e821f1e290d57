"""What would be asked of a Kubernetes cluster: no cluster is there, so no pod runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

STAND_IN = Path(__file__).with_name("stand_in_kubernetes.py")
IMAGE = "example/topograph:0.1.0"
# The store of these tests is a folder, which the storage plugin fills with rsync.
RSYNC = """#!/bin/sh
for last; do before=$previous; previous=$last; done
cp -p "$before" "$last"
"""
TRAINED = ("weights.safetensors", "history.parquet", "metrics.parquet", "predictions.nc")


def site(store: Path) -> list[str]:
    """Return what a site gives with the call, its storage being a volume that all pods mount."""
    return [
        *("--default-storage-provider", "fs", "--default-storage-prefix", str(store)),
        *("--kubernetes-persistent-volumes", f"topograph:{store}"),
        *("--container-image", IMAGE),
    ]


@pytest.fixture(autouse=True)
def rsync(tmp_path, monkeypatch):
    """A copy in the place of rsync on machines without it."""
    if shutil.which("rsync") is None:
        program = tmp_path / "bin/rsync"
        program.parent.mkdir()
        program.write_text(RSYNC)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


@pytest.fixture
def store(tmp_path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


def asked(checkout, store: Path, *options: str) -> list[dict]:
    """Return the jobs that Snakemake creates when all that are due now are submitted."""
    git = "git init -q && git add config data envs workflow Snakefile Makefile pyproject.toml"
    subprocess.run(git, shell=True, cwd=checkout.path, check=True)
    notes = store / "notes.json"
    done = checkout.run(
        *("env", f"PYTHONPATH={checkout.path}/.venv-kubernetes", ".venv/bin/python", str(STAND_IN)),
        *(str(notes), "--configfile", "config/smoke.yaml", "--cores", "1", "--retries", "0"),
        *("--workflow-profile", "workflow/profiles/default"),
        *("--profile", "workflow/profiles/kubernetes", "--seconds-between-status-checks", "1"),
        *site(store),
        *options,
    )
    assert notes.is_file() and notes.read_text() != "[]", done.stdout[-3000:]
    return json.loads(notes.read_text())


def container_of(job: dict) -> dict:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return container


def test_every_job_of_a_study_can_be_planned(with_executor, store):
    checkout = with_executor("kubernetes")
    options = " ".join([*site(store), "--dry-run"])
    done = checkout.make("smoke", "PROFILE=kubernetes", f"ARGS={options}")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "sample landscape (5): never made" in done.stdout


def test_a_training_asks_for_its_image_memory_and_core_and_gets_the_sources(with_executor, store):
    jobs = asked(with_executor("kubernetes"), store)
    assert len(jobs) == 5
    for job in jobs:
        container, pod = container_of(job), job["spec"]["template"]["spec"]
        assert container["image"] == IMAGE
        requests = container["resources"]["requests"]
        assert requests == {"cpu": "950m", "memory": "2000M", "ephemeral-storage": "4000M"}
        assert "tolerations" not in pod and pod["restartPolicy"] == "Never"
        claims = [volume.get("persistentVolumeClaim") for volume in pod["volumes"]]
        assert {"claimName": "topograph"} in claims
        assert {"name": "topograph", "mountPath": str(store)} in container["volumeMounts"]
        assert container["command"] == ["/bin/sh"] and container["args"][0] == "-c"
        command = container["args"][1]
        assert "--allowed-rules train" in command and "--configfiles 'config/smoke.yaml'" in command
        needed = {"Snakefile", "config/smoke.yaml", "workflow/topograph/landscape/sampling.py"}
        assert needed <= set(job["sources"])


def test_sampling_on_a_gpu_asks_for_one_and_for_no_more_than_it_asks(with_executor, store):
    checkout = with_executor("kubernetes")
    for run in ("convection-mlp-b144a9219c", "convection-mlp-f7606c07db"):
        for name in TRAINED:
            stored = store / "results/smoke/train" / run / name
            stored.parent.mkdir(parents=True, exist_ok=True)
            stored.touch()
    target = "reports/smoke/profiles/convection-mlp-b144a9219c.hessian-3d.html"
    options = ["--config", "device=cuda", "--", target]
    (job,) = asked(checkout, store, *options)
    command = container_of(job)["args"][1]
    assert "--allowed-rules sample_landscape " in command and "device=cuda" in command
    resources = container_of(job)["resources"]
    wanted = {"memory": "2000M", "ephemeral-storage": "4000M", "nvidia.com/gpu": "1"}
    assert resources["requests"] == {"cpu": "950m", **wanted}
    assert resources["limits"] == {"cpu": "1000m", **wanted}
    (toleration,) = job["spec"]["template"]["spec"]["tolerations"]
    assert toleration["key"] == "nvidia.com/gpu"
