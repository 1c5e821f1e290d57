"""Jobs are read from manifests, and found again from the files that they made."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from topograph.archive.history import Makers, Sums, ancestors, producers, read_job, read_jobs
from topograph.foundation.provenance import file_digest, manifest_path


def test_a_figure_goes_back_to_every_job_before_it_once(finished):
    jobs = read_jobs(Path("results"), Path("reports"))
    figure = read_job(Path("reports/tiny/figures/tlp-fig3.manifest.json"))
    found = [job.rule for job in ancestors(figure, producers(jobs))]
    assert sorted(found) == [
        rule for rule in ("sample_landscape", "topology", "train") for _ in range(2)
    ]


def test_the_maker_of_any_output_is_found_beside_it_or_above(finished):
    makers = Makers()
    for path, rule in {
        "results/tiny/index.parquet": "index",
        str(finished.file("train", "metrics.parquet")): "train",
        str(finished.file("topology", "hessian-3d.variability.parquet", 1)): "topology",
        "reports/tiny/figures/tlp-fig3.svg": "figure",
    }.items():
        job = makers(path)
        assert job is not None and job.rule == rule
    assert makers("results/tiny/none.parquet") is None
    finished.finish("site", [Path("reports/tiny/index.html"), Path("reports/tiny/papers/a.html")])
    job = Makers()("reports/tiny/papers/a.html")
    assert job is not None and job.rule == "site"


def test_names_are_those_of_the_folder_in_which_the_manifest_lies(finished, tmp_path):
    copied = tmp_path / "copied"
    shutil.copytree("results", copied / "results")
    metrics = finished.file("train", "metrics.parquet")
    job = read_job(copied / manifest_path(finished.file("train", "weights.safetensors")))
    assert job.outputs[str(copied / metrics)] == file_digest(metrics)
    assert job.first_output == str(finished.file("train", "weights.safetensors"))


def test_a_sum_follows_the_file(tmp_path):
    sums, path = Sums(), tmp_path / "a"
    assert sums(path) is None
    path.write_text("one")
    first = sums(path)
    assert first == sums(path) == file_digest(path)
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert sums(path) == file_digest(path) != first
