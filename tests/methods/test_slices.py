"""Slices of trained networks along random directions and on the plane of their path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from topograph.config.models import Slices
from topograph.foundation.storage import read_dataset, read_table
from topograph.methods.slices import write_slices
from topograph.methods.subject import Subject


def test_slices_pass_through_the_model_and_the_path_lies_on_its_plane(
    trained: Any, tmp_path: Path
) -> None:
    asked = Slices(kind="slices", points=5, planes=2, multiple=2.0)
    files = trained.files(tmp_path, "shape")
    write_slices(
        trained.cell, asked, trained.weights, files, scratch=tmp_path / "scratch", code="a"
    )
    found, rows = read_dataset(files["results"]), read_table(files["methods"])
    subject = Subject(trained.cell, asked, trained.weights)
    for seed in trained.cell.seeds:
        objective = subject.objective(seed)
        loss = float(objective.loss(objective.center))
        one = found.sel(seed=seed)
        for name in ("line", "plane"):
            middle = {f"{name}_{axis}": 0.0 for axis in ((1,) if name == "line" else (1, 2))}
            np.testing.assert_allclose(one[f"{name}_loss"].sel(middle), loss, rtol=1e-4)
            # No slice ends below the multiple that its range was grown to, but for what the
            # range has in common with the other slices.
            assert float(one[f"{name}_loss"].max()) >= 1.9 * loss
        # The weights lie in a plane: all of the path's length is on it, and the model at its end.
        assert float(one["off_plane_length"]) == pytest.approx(0, abs=1e-6)
        assert float(one["explained"].sum()) == pytest.approx(1, abs=1e-6)
        np.testing.assert_allclose(one["path"][-1], 0, atol=1e-6)
        names, first = objective.names, subject.parameters(objective.names, seed, 0)
        length = np.sqrt(sum(float((objective.center[n] - first[n]).square().sum()) for n in names))
        start = one["path"][0].values * one["path_distance"].values
        assert np.linalg.norm(start) == pytest.approx(length, rel=1e-4)
    assert found["epoch"].values.tolist() == list(trained.epochs)
    evaluated = rows.groupby("part")["evaluations"].first()
    assert evaluated["plane"] >= 2 * 25 and evaluated["line"] >= 2 * 5
    shape = read_table(files["shape"])
    assert shape.groupby("seed").size().tolist() == [2, 2]
