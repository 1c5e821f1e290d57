"""The job graph of every study, built without running anything."""

from __future__ import annotations

import subprocess
import sys

import pytest

EXPECTED = {
    "smoke": {
        "train": 5,
        "sample_landscape": 5,
        "spectrum": 2,
        "topology": 5,
        "profile_page": 5,
        "jump_retrain": 2,
        "baselines": 2,
        "artificial_tree": 1,
        **dict.fromkeys(("interpolation", "slices", "topography", "weights", "similarity"), 1),
        "surface_page": 1,
        "figure": 6,
        "claims": 1,
        "paper_page": 4,
        "site": 1,
    },
    "study": {
        "train": 10,
        "sample_landscape": 13,
        "profile_page": 13,
        "jump_retrain": 3,
        "figure": 6,
        "paper_page": 4,
        "site": 1,
    },
    "paper": {
        "train": 212,
        "sample_landscape": 197,
        "spectrum": 14,
        "jump_retrain": 137,
        "baselines": 122,
        "topography": 22,
        "slices": 2,
        "classify": 1,
        "claims": 1,
        "fetch_data": 3,
    },
}


@pytest.mark.parametrize("study", EXPECTED)
def test_a_fresh_clone_has_exactly_these_jobs(checkout, study):
    done = checkout.make("study", f"STUDY={study}", "ARGS=--dry-run")
    assert done.returncode == 0, done.stdout[-3000:]
    jobs = checkout.jobs(done.stdout)
    assert {rule: jobs.get(rule) for rule in EXPECTED[study]} == EXPECTED[study]


def test_a_figure_asks_only_for_what_it_shows(checkout):
    done = checkout.make("reports/study/figures/tlp-fig4.html", "ARGS=--dry-run")
    jobs = checkout.jobs(done.stdout)
    assert jobs == {
        "train": 2,
        "sample_landscape": 2,
        "topology": 2,
        "profile_page": 2,
        "figure": 1,
    }


def test_the_graph_is_built_without_torch(checkout):
    command = [".venv/bin/python", "-X", "importtime", ".venv/bin/snakemake", "--dry-run"]
    done = subprocess.run(
        [*command, "--quiet", "all", "--configfile", "config/study.yaml"],
        cwd=checkout.path,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "topograph.config.models" in imported
    assert not imported & {"torch", "deepxde", "matplotlib", "sklearn"}


@pytest.mark.parametrize("target", ["help", "why"])
def test_small_targets_run(checkout, target):
    done = checkout.make(target)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("target", ["test", "check", "smoke", "paper", "lock", "schema"])
def test_every_target_has_a_recipe(checkout, target):
    done = checkout.make("--dry-run", target)
    assert done.returncode == 0, done.stdout


def test_make_prints_the_plain_command(checkout):
    done = checkout.make("why")
    command = ".venv/bin/snakemake --workflow-profile workflow/profiles/default --configfile"
    assert command in done.stdout


def test_a_ready_environment_is_left_alone(checkout):
    done = checkout.make("--dry-run", ".venv/.ready")
    assert "setting up" not in done.stdout


def test_python_is_recent_enough():
    assert sys.version_info >= (3, 11)
