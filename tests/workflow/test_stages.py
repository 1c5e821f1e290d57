"""Each stage by the command line gives the files that the workflow gives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow
STUDY = "config/smoke.yaml"
LIKE_THE_RULE = ("rule", "parameters", "code", "outputs", "inputs", "data", "command", "device")


def run(checkout, *words):
    return checkout.run(".venv/bin/topograph", *words)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory, smoke, copied):
    """A copy in which a solver and a classifier were taken through all their stages.

    What else the figure and the claims are made from is the workflow's.
    """
    checkout = copied(tmp_path_factory.mktemp("by-hand") / "topograph")
    solver, classifier = (
        max(folder.name for folder in smoke.path.glob(f"results/smoke/train/{runs}-*"))
        for runs in ("convection", "digits")
    )
    for stage in ("train", "landscape", "topology", "spectrum", "embedding", "homology"):
        for folder in smoke.path.glob(f"results/smoke/{stage}/*"):
            if folder.name not in (solver, classifier):
                shutil.copytree(folder, checkout.path / folder.relative_to(smoke.path))
    # The page of a figure links those of its runs that are there.
    pages = Path("reports/smoke/profiles")
    shutil.copytree(
        smoke.path / pages, checkout.path / pages, ignore=shutil.ignore_patterns(f"{solver}*")
    )
    for words in (
        ["train", STUDY, solver, classifier],
        ["sample", STUDY, solver],
        ["topology", STUDY, solver, "--analysis", "hessian-3d"],
        ["spectrum", STUDY, solver],
        ["jump", STUDY, classifier],
        ["embed", STUDY, classifier],
        ["baselines", STUDY, classifier],
        ["figure", STUDY, "tlp-fig3"],
        ["claims", STUDY],
    ):
        done = run(checkout, *words)
        assert done.returncode == 0, done.stdout[-3000:]
    return checkout


def test_the_files_are_those_of_the_workflow(by_hand, smoke):
    ours, theirs = by_hand.results(), smoke.results()
    stages = {name.split("/")[2] for name in ours}
    assert stages >= {
        "train",
        "landscape",
        "spectrum",
        "topology",
        "trajectory",
        "embedding",
        "homology",
        "baselines",
        "claims",
        "figures",
    }
    assert ours == {name: theirs[name] for name in ours}


def test_the_manifests_are_those_of_the_rules(by_hand, smoke):
    manifests = sorted(by_hand.path.glob("re*/smoke/**/*.manifest.json"))
    assert len(manifests) >= 11
    for path in manifests:
        name = path.relative_to(by_hand.path)
        ours, theirs = (json.loads((c.path / name).read_text()) for c in (by_hand, smoke))
        assert {key: ours[key] for key in LIKE_THE_RULE} == {
            key: theirs[key] for key in LIKE_THE_RULE
        }, name


def test_a_missing_input_is_named_with_the_command_that_makes_it(checkout):
    done = run(checkout, "sample", STUDY, "brain")
    assert done.returncode == 1
    assert "weights.safetensors does not exist; make it: make results/smoke/train/" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", STUDY, "brian"], "unknown run or experiment 'brian' (did you mean 'brain'?)"),
        (["sample", STUDY, "--analysis", "hesian-3d"], "(did you mean 'hessian-3d'?)"),
        (["figure", STUDY, "tlp-fig9"], "unknown figure 'tlp-fig9'"),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest(checkout, words, expected):
    done = run(checkout, *words)
    assert done.returncode == 1
    assert expected in done.stdout
    assert done.stdout.count("\n") == 1
