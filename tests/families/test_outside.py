"""Regression, a loss of one's own and a DeepXDE problem, from training to the trajectory's map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from topograph.config.models import JumpRetrain, Landscape
from topograph.config.runs import TRAINING, Cell
from topograph.families import pinn
from topograph.families.training import FILES, family_of, train
from topograph.foundation.storage import read_dataset, read_table
from topograph.landscape.analysis import landscapes
from topograph.topology.analysis import landscape_topology
from topograph.trajectory.jump_retrain import jump_and_retrain
from topograph.trajectory.maps import trajectory_maps
from topograph.trajectory.points import points_of

CODE = """
import numpy as np, torch, deepxde
from torch import nn

def line(count=40):
    x = np.linspace(-1, 1, count)[:, None]
    y = 3 * x + 1
    return x[::2], y[::2], x[1::2], y[1::2]

class Net(nn.Sequential):
    def __init__(self, outputs=1):
        super().__init__(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, outputs))

def gaussian(outputs, targets):
    mean, log_scale = outputs.split(1, dim=1)
    return (log_scale + ((targets - mean) / log_scale.exp()).square() / 2).mean()

def circle():
    # u' = -v, v' = u from (1, 0): u = cos t, v = sin t, for which no solution is handed over.
    time = deepxde.geometry.TimeDomain(0, 1)
    def equations(t, u):
        first = deepxde.grad.jacobian(u, t, i=0)
        second = deepxde.grad.jacobian(u, t, i=1)
        return [first + u[:, 1:], second - u[:, :1]]
    starts = [
        deepxde.icbc.PointSetBC(np.zeros((1, 1)), np.full((1, 1), value), component=index)
        for index, value in enumerate((1.0, 0.0))
    ]
    return deepxde.data.PDE(
        time, equations, starts, num_domain=20, num_boundary=2, train_distribution="pseudo"
    )
"""
GRID = {"kind": "landscape", "directions": "random", "dimensions": 1, "points": 3, "distance": 0.5}


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    name = f"outside_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def regression(code: str, **changes: Any) -> Cell:
    content = {
        "family": "supervised",
        "data": {"target": f"{code}:line"},
        "model": {"target": f"{code}:Net"},
        "loss": {"target": "torch.nn:MSELoss"},
        "optimiser": {"name": "adam", "learning_rate": 0.1},
        "schedule": {"epochs": 30, "batch": 10},
    }
    return Cell("line-run", (0,), TRAINING.validate_python(content | changes))


def sampled(cell: Cell, folder: Path) -> xr.Dataset:
    found = landscapes(cell, Landscape.model_validate(GRID), folder / FILES[0])
    return getattr(found, "dataset", found)


def test_a_regression_has_losses_and_outputs_but_no_accuracy(code: str, tmp_path: Path) -> None:
    cell = regression(code)
    train(cell, tmp_path)
    metrics = read_table(tmp_path / FILES[2]).iloc[0]
    assert metrics["test_loss"] < 0.05
    assert np.isnan([metrics["train_accuracy"], metrics["test_accuracy"]]).all()
    assert not [name for name in metrics.index if name.startswith("iou_")]
    predictions = read_dataset(tmp_path / FILES[3])
    assert predictions["predicted"].dims == ("seed", "example", "output_1")
    errors = predictions["predicted"].values[0] - predictions["target"].values
    assert np.mean(errors**2) == pytest.approx(metrics["test_loss"], rel=1e-5)
    dataset = sampled(cell, tmp_path)
    assert "accuracy" not in dataset
    centre = dataset["loss"].isel(seed=0, epoch=0).sel(alpha_1=0)
    assert centre.item() == pytest.approx(metrics["train_loss"], rel=1e-5)


def test_jumps_of_a_regression_return_and_are_embedded(code: str, tmp_path: Path) -> None:
    cell = regression(code)
    train(cell, tmp_path)
    jumps = JumpRetrain(
        kind="jump-retrain", seeds=[0, 1], steps=[0.5, 1.0], epochs=8, maps=["phate"]
    )
    found = jump_and_retrain(
        cell, tmp_path / FILES[0], tmp_path, seeds=[0, 1], steps=[0.5, 1.0], epochs=8
    )
    assert found["test_accuracy"].isnull().all()
    assert (found["train_loss"].isel(epoch=8) < found["train_loss"].isel(epoch=0)).all()
    points, quality, _ = trajectory_maps(points_of(found.rename(seed="ray")), jumps)
    assert np.isfinite(points[["x", "y"]]).all(axis=None)
    assert quality["excluded"].tolist() == [0]


def test_a_negative_loss_with_outputs_of_another_shape_is_trained_and_analysed(
    code: str, tmp_path: Path
) -> None:
    cell = regression(
        code,
        model={"target": f"{code}:Net", "kwargs": {"outputs": 2}},
        loss={"target": f"{code}:gaussian"},
        schedule={"epochs": 60, "batch": 10},
    )
    train(cell, tmp_path)
    metrics = read_table(tmp_path / FILES[2]).iloc[0]
    assert metrics["train_loss"] < 0
    assert metrics["diverged"] == 0
    assert read_dataset(tmp_path / FILES[3])["predicted"].shape == (1, 20, 2)
    tables = landscape_topology(sampled(cell, tmp_path), "axis")
    assert tables["quantities"]["loss_minimum"].min() < 0


def test_a_system_of_deepxde_is_trained_on_the_same_points_every_time(
    code: str, tmp_path: Path
) -> None:
    content = {
        "family": "pinn",
        "problem": {"target": f"{code}:circle"},
        "model": {
            "target": "mlp",
            "kwargs": {"inputs": 1, "outputs": 2, "width": 8, "depth": 2},
        },
        "optimiser": {"name": "lbfgs", "max_iterations": 300},
    }
    cell = Cell("circle-run", (0,), TRAINING.validate_python(content))
    problems = [pinn.build_problem(cell.training.problem) for _ in range(2)]
    assert np.array_equal(problems[0].train_x, problems[1].train_x)
    sums = family_of(cell.training).data_sums(cell.training)
    assert list(sums) == [f"{code}:circle"]
    train(cell, tmp_path)
    metrics = read_table(tmp_path / FILES[2]).iloc[0]
    assert "relative_error" not in metrics
    predictions = read_dataset(tmp_path / FILES[3])
    assert "exact" not in predictions
    t = predictions["inputs"].values
    np.testing.assert_allclose(
        predictions["predicted"].values[0], np.hstack([np.cos(t), np.sin(t)]), atol=0.02
    )
    history = read_table(tmp_path / FILES[1]).iloc[0]
    terms = ["residual_1", "residual_2", "condition_1", "condition_2"]
    assert history[terms].sum() == pytest.approx(metrics["train_loss"], rel=1e-5)
    centre = sampled(cell, tmp_path)["center_loss"].item()
    assert centre == pytest.approx(metrics["train_loss"], rel=1e-3, abs=1e-7)
