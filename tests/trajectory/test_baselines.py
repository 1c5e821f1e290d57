"""Grid and rays: where their points lie, and that nothing was retrained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from topograph.config.models import Around, Baselines
from topograph.config.runs import TRAINING, Cell
from topograph.data.dataset import Dataset
from topograph.families.build import build_model
from topograph.families.result import load_state
from topograph.families.training import family_of, train, trained_state
from topograph.foundation.errors import TopographError
from topograph.foundation.seeds import derive_seed
from topograph.foundation.storage import read_table
from topograph.geometry.directions import random_directions
from topograph.trajectory.baselines import baselines, grid, rays, write_baselines


def test_640_points_are_a_grid_of_8_by_8_by_10_or_32_rays_of_20() -> None:
    on_grid = grid(640)
    assert [len(np.unique(column)) for column in on_grid.T] == [8, 8, 10]
    assert len(np.unique(on_grid, axis=0)) == 640 and np.abs(on_grid).max() == 1
    np.testing.assert_allclose(on_grid.sum(axis=0), 0, atol=1e-12)
    on_rays = rays(640)
    assert on_rays.shape == (640, 32)
    assert (np.count_nonzero(on_rays, axis=1) == 1).all()
    assert sorted(set(on_rays[on_rays > 0])) == pytest.approx(np.arange(1, 21) / 20)


@pytest.mark.parametrize("points", [24, 27, 176, 1000])
def test_other_counts_are_used_up(points: int) -> None:
    assert len(grid(points)) == len(rays(points)) == points


@pytest.mark.parametrize("points", [1, 13, 26])
def test_points_that_make_no_grid_are_refused(points: int) -> None:
    with pytest.raises(TopographError, match=f"{points} points make no 3-D grid"):
        grid(points)


def test_losses_are_those_of_the_moved_weights(
    few_digits: Callable[..., Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {
        "family": "supervised",
        "data": {"target": "digits"},
        "model": {"target": "wide-resnet", "kwargs": {"depth": 10, "width": 1, "in_channels": 1}},
        "optimiser": {"name": "sgd", "learning_rate": 0.05},
        "schedule": {"epochs": 1, "batch": 20},
    }
    cell = Cell("digits-run", (0,), TRAINING.validate_python(content))
    monkeypatch.setattr("topograph.data.digits.digits", few_digits)
    train(cell, tmp_path)
    weights = tmp_path / "weights.safetensors"
    asked = Baselines(kind="baselines", points=8)
    found = baselines(cell, weights, asked, work=tmp_path)
    assert found["kind"].tolist() == ["grid"] * 8 + ["rays"] * 8
    assert np.isfinite(found[["loss", "accuracy", "distance", "x", "y"]]).all(axis=None)
    of_grid, of_rays = (found.loc[found["kind"] == kind, "distance"] for kind in ("grid", "rays"))
    # The corners of a cube whose edges are not quite at right angles.
    state = trained_state(weights, 0, "last")[1]
    objective = family_of(cell.training).objective(cell.training, state, Around())
    drawn = random_directions(objective, 3, seed=derive_seed(0, "grid"))
    rows = torch.cat([v.flatten(1) for v in drawn.vectors.values()], dim=1).double()
    moved = torch.from_numpy(grid(8)) @ rows
    lengths = (moved.norm(dim=1) / drawn.norms.mean()).numpy()
    np.testing.assert_allclose(of_grid, lengths, rtol=1e-5)
    assert of_rays.to_numpy() == pytest.approx(np.arange(1, 9) / 8)
    again = baselines(cell, weights, asked)
    file = tmp_path / "points.parquet"
    files = {"points": str(file), "summary": str(tmp_path / "summary.parquet")}
    write_baselines(cell, asked, weights, files, scratch=tmp_path / "scratch")
    pd.testing.assert_frame_equal(read_table(file).drop(columns=["run", "seed"]), found)
    summary = read_table(files["summary"]).set_index(["kind", "quantile"])
    middle = found.groupby("kind")["loss"].median()
    assert summary.loc[("rays", 0.5), "loss"] == middle["rays"]
    pd.testing.assert_frame_equal(found, again)
    other = baselines(cell, weights, asked.model_copy(update={"seed": 1}))
    assert not np.array_equal(found["loss"], other["loss"])
    near = baselines(cell, weights, asked.model_copy(update={"distance": 1e-6}))
    model = load_state(build_model(cell.training.model, 0), trained_state(weights, 0, "last")[1])
    data = few_digits()
    with torch.no_grad():
        expected = F.cross_entropy(model.eval()(data.train_inputs), data.train_targets).item()
    assert near["loss"].to_numpy() == pytest.approx(np.full(16, expected), rel=1e-3)
