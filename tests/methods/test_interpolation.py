"""Lines and curves between initial and trained weights, and between seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from topograph.config.models import Interpolation
from topograph.foundation.storage import read_dataset, read_table
from topograph.methods.interpolation import write_interpolation
from topograph.methods.subject import Subject

POINTS = 7


def test_curves_begin_and_end_at_the_networks(trained: Any, tmp_path: Path) -> None:
    asked = Interpolation(kind="interpolation", points=POINTS, steps=4)
    files = trained.files(tmp_path)
    write_interpolation(
        trained.cell, asked, trained.weights, files, scratch=tmp_path / "scratch", code="a"
    )
    found, rows = read_dataset(files["results"]), read_table(files["methods"])
    subject = Subject(trained.cell, asked, trained.weights)
    first, last = trained.epochs[0], trained.epochs[-1]
    losses = {}
    for seed in trained.cell.seeds:
        for epoch in (first, last):
            objective = subject.objective(seed, epoch)
            losses[seed, epoch] = float(objective.loss(objective.center))
        ends = found["initial_loss"].sel(seed=seed).isel(t=[0, -1])
        np.testing.assert_allclose(ends, [losses[seed, first], losses[seed, last]], rtol=1e-4)
    between = found["between_loss"].sel(pair="0-4")
    np.testing.assert_allclose(between.isel(t=0), losses[0, last], rtol=1e-4)
    np.testing.assert_allclose(between.isel(t=-1), losses[4, last], rtol=1e-4)
    straight = float(found["between_barrier"].sel(pair="0-4", curve="line"))
    chord = np.linspace(float(between[0, 0]), float(between[0, -1]), POINTS)
    assert straight == pytest.approx(float((between[0] - chord).max()), rel=1e-6)
    assert (found["between_barrier"] <= straight * (1 + 1e-6)).all()
    assert set(rows["method"]) == {"interpolation", "bezier", "nudged_elastic_band"}
    assert set(rows["part"]) == {"initial", "0-4"}
    assert rows.loc[rows["method"] == "interpolation", "evaluations"].eq(POINTS).all()


def test_only_the_first_networks_are_joined(trained: Any, tmp_path: Path) -> None:
    asked = Interpolation(kind="interpolation", points=3, curves=["line"], networks=1)
    files = trained.files(tmp_path)
    write_interpolation(
        trained.cell, asked, trained.weights, files, scratch=tmp_path / "scratch", code="a"
    )
    found = read_dataset(files["results"])
    assert "between_loss" not in found
    assert found["seed"].values.tolist() == list(trained.cell.seeds)
