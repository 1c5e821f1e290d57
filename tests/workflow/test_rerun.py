"""What a change makes due again: exactly that, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow
LIBRARY = "workflow/topograph"
# Every page of a paper shows claims.
CLAIMS_AND_PAGES = {"claims": 1, "paper_page": 4, "site": 1}


@pytest.fixture
def finished(untouched, tmp_path):
    """A copy of the finished smoke study, with Snakemake's records, that a test may change."""
    target = tmp_path / "finished"
    shutil.copytree(untouched.path, target, symlinks=True)
    # The copy's own library is the one that counts.
    return untouched._replace(path=target, variables={"PYTHONPATH": str(target / "workflow")})


def due(finished, *variables: str) -> dict[str, int]:
    """Return the jobs that would run, by rule."""
    done = finished.make("smoke", "ARGS=--dry-run", *variables)
    assert done.returncode == 0, done.stdout[-3000:]
    jobs = finished.jobs(done.stdout)
    jobs.pop("all", None)
    return jobs


def replace(finished, file: str, old: str, new: str) -> None:
    path = finished.path / file
    text = path.read_text()
    assert text.count(old) >= 1, f"{file} no longer holds {old!r}"
    path.write_text(text.replace(old, new, 1))


def append(finished, file: str, text: str) -> None:
    with (finished.path / file).open("a") as opened:
        opened.write(text)


def test_nothing_is_due_after_a_run(finished):
    assert due(finished) == {}


def test_comments_docstrings_and_formatting_make_nothing_due(finished):
    for file in ("topology/merge_tree.py", "families/supervised.py", "foundation/storage.py"):
        append(finished, f"{LIBRARY}/{file}", "\n\n# A remark.\n")
        path = finished.path / LIBRARY / file
        path.write_text(path.read_text().replace('"""', '"""Changed. ', 1))
    append(finished, "workflow/scripts/train.py", "\n# A remark.\n")
    assert due(finished) == {}


def test_a_touched_or_cloned_tree_makes_nothing_due(finished):
    for folder in ("config", "data", "workflow"):
        for path in (finished.path / folder).rglob("*"):
            if path.is_file():
                path.touch()
    (finished.path / "Snakefile").touch()
    assert due(finished) == {}


def test_another_device_makes_nothing_due(finished):
    assert due(finished, "PROFILE=gpu") == {}


def test_touched_results_make_nothing_due(finished):
    for path in (finished.path / "results").rglob("*.safetensors"):
        path.touch()
    assert due(finished) == {}


def test_an_edit_of_the_merge_tree_reruns_topology_and_later(finished):
    append(finished, f"{LIBRARY}/topology/merge_tree.py", "\nCHANGED = True\n")
    # The trees of trajectory graphs are made by the same code.
    assert due(finished) == {
        **dict.fromkeys(["topology", "profile_page"], 5),
        "homology": 2,
        "figure": 6,
        **CLAIMS_AND_PAGES,
    }


def test_an_edit_of_phate_reruns_the_maps_and_later(finished):
    append(finished, f"{LIBRARY}/embedding/phate.py", "\nCHANGED = True\n")
    assert due(finished) == {
        **dict.fromkeys(["embed", "homology", "baselines"], 2),
        **dict.fromkeys(["artificial_tree", "weights"], 1),
        "figure": 3,
        **CLAIMS_AND_PAGES,
    }


def test_an_edit_of_one_model_reruns_its_cells_alone(finished):
    append(finished, f"{LIBRARY}/models/unet.py", "\nCHANGED = True\n")
    jobs = due(finished)
    assert jobs == {
        **dict.fromkeys(["train", "sample_landscape", "topology", "profile_page"], 1),
        "figure": 1,
        **CLAIMS_AND_PAGES,
    }


def test_an_edit_of_a_claim_samples_nothing(finished):
    append(finished, f"{LIBRARY}/claims/profiles.py", "\nCHANGED = True\n")
    assert due(finished) == CLAIMS_AND_PAGES


def test_other_settings_of_a_spectrum_train_nothing(finished):
    replace(finished, "config/smoke.yaml", "eigenvalues: 3", "eigenvalues: 4")
    assert due(finished) == {"spectrum": 2, **CLAIMS_AND_PAGES}


def test_an_edited_notebook_reruns_its_figure_alone(finished):
    append(finished, "workflow/notebooks/tlp-fig4.py", "\nCHANGED = True\n")
    assert due(finished) == {"figure": 1, "paper_page": 1, "site": 1}


def test_a_new_value_on_a_grid_axis_runs_its_cell_alone(finished):
    replace(finished, "config/smoke.yaml", "beta: [1.0, 6.0]", "beta: [1.0, 6.0, 30.0]")
    assert due(finished) == {
        **dict.fromkeys(["train", "sample_landscape", "spectrum", "topology", "profile_page"], 1),
        "figure": 1,
        "index": 1,
        **CLAIMS_AND_PAGES,
    }


def test_another_analysis_trains_nothing(finished):
    replace(
        finished,
        "config/smoke.yaml",
        "      hessian-2d:\n",
        "      random-2d: {kind: landscape, directions: random, dimensions: 2, points: 5, "
        "distance: 0.01, normalization: layer, examples: 2}\n      hessian-2d:\n",
    )
    jobs = due(finished)
    assert jobs == {
        **dict.fromkeys(["sample_landscape", "topology", "profile_page", "site"], 1),
    }


def test_another_connectivity_samples_nothing(finished):
    replace(finished, "config/smoke.yaml", "distance: 2.0,", "distance: 2.0, connectivity: moore,")
    jobs = due(finished)
    assert jobs == {"topology": 2, "profile_page": 2, "figure": 1, **CLAIMS_AND_PAGES}


def test_other_settings_of_the_map_retrain_nothing(finished):
    replace(finished, "config/smoke.yaml", "maps: [phate, pca]}", "maps: [phate, pca], knn: 7}")
    assert due(finished) == {"embed": 2, "homology": 2, "figure": 3, **CLAIMS_AND_PAGES}


def test_more_seeds_train_only_the_new_ones(finished):
    (scratch,) = {
        path.parent
        for path in finished.path.glob(
            "results/smoke/scratch/brain-*/training/*/seed-0.safetensors"
        )
    }
    kept = {path: path.stat().st_mtime_ns for path in scratch.parent.rglob("seed-0.*")}
    landscapes = list(scratch.parents[1].glob("analyses/*/*/*.nc"))
    kept |= {path: path.stat().st_mtime_ns for path in landscapes}
    assert len(landscapes) == 2
    path = finished.path / "config/smoke.yaml"
    before, brain, after = path.read_text().partition("  brain:\n")
    path.write_text(before + brain + after.replace("seeds: [0]", "seeds: [0, 1]", 1))
    jobs = due(finished)
    assert jobs == {
        **dict.fromkeys(["train", "sample_landscape", "topology", "profile_page"], 1),
        "figure": 1,
        "index": 1,
        **CLAIMS_AND_PAGES,
    }
    (page,) = Path(finished.path / "reports/smoke/profiles").glob("brain-*.html")
    done = finished.make(str(page.relative_to(finished.path)))
    assert done.returncode == 0, done.stdout[-3000:]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list(scratch.glob("seed-1.safetensors"))) == 1
    assert len(list(scratch.parents[1].glob("analyses/*/*/*.nc"))) == 4
