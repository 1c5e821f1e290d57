"""A landscape split over several jobs is the landscape of one job."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow


def test_a_landscape_in_parts_has_the_bytes_of_one_in_a_piece(checkout, smoke):
    whole = max(smoke.path.glob("results/smoke/landscape/convection-*/hessian-3d.nc"))
    name = str(whole.relative_to(smoke.path))
    trained = Path("results/smoke/train") / whole.parent.name
    shutil.copytree(smoke.path / trained, checkout.path / trained)
    done = checkout.make(name, "ARGS=--config shards=3")
    assert done.returncode == 0, done.stdout[-3000:]
    assert (checkout.path / name).read_bytes() == whole.read_bytes()
    vectors = name.replace(".nc", ".directions.safetensors")
    assert (checkout.path / vectors).read_bytes() == (smoke.path / vectors).read_bytes()
    logs = checkout.path.glob("results/smoke/logs/landscape/convection-*/hessian-3d.?.log")
    assert len(list(logs)) == 3
    assert not list(checkout.path.glob("results/smoke/scratch/*/parts/*.json"))


def test_every_landscape_of_a_study_is_split(checkout):
    done = checkout.make("smoke", "ARGS=--dry-run --config shards=3")
    assert done.returncode == 0, done.stdout[-3000:]
    jobs = checkout.jobs(done.stdout)
    assert (jobs["sample_part"], jobs["sample_landscape"]) == (15, 5)
