"""Trajectories retrained as one are those retrained one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from topograph.config.runs import TRAINING, Cell
from topograph.data.dataset import Dataset
from topograph.families.training import train, trained_state
from topograph.foundation.errors import TopographError
from topograph.foundation.storage import read_json
from topograph.trajectory import stacked
from topograph.trajectory.jump_retrain import jump_and_retrain
from topograph.trajectory.offsets import read_records
from topograph.trajectory.retraining import RECORDED, Retrainer, Retraining, retraining_data
from topograph.trajectory.stacked import StackedRetrainer, how_many_together

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
CONTENT: dict[str, Any] = {
    "family": "supervised",
    "data": {"target": "digits", "kwargs": {"augment": True}},
    "model": {"target": "wide-resnet", "kwargs": {"depth": 10, "width": 1, "in_channels": 1}},
    "optimiser": {"name": "sgd", "learning_rate": 0.05, "weight_decay": 1e-3},
    "schedule": {"epochs": 1, "batch": 25},
}
ASKED = {"seeds": [5, 2], "steps": [0.25, 1.0], "epochs": 2}


@pytest.fixture(scope="module")
def trained(
    few_digits: Callable[..., Dataset], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cell, Path]]:
    cell = Cell("digits-run", (0,), TRAINING.validate_python(CONTENT))
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("topograph.data.digits.digits", few_digits)
        train(cell, folder)
        yield cell, folder / "weights.safetensors"


def jump(trained: tuple[Cell, Path], path: Path, **options: Any) -> xr.Dataset:
    return jump_and_retrain(*trained, path, **{**ASKED, **options})


@pytest.fixture
def alone(trained: tuple[Cell, Path]) -> Retrainer:
    cell, weights = trained
    how = Retraining(2, 25, 1e-3, 0.9, "stale", 0.0)
    _, state = trained_state(weights, 0, "last")
    return Retrainer(cell.training, state, how, retraining_data(cell.training, 0.0))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch_norm", ["stale", "recalibrated"])
def test_stacked_trajectories_are_those_one_by_one_to_rounding(
    trained: tuple[Cell, Path], tmp_path: Path, device: str, batch_norm: str
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU on this machine")
    options = {"batch_norm": batch_norm, "learning_rate": 0.01}
    one_by_one = jump(trained, tmp_path / "alone", **options, stacked=False)
    together = jump(trained, tmp_path / "stacked", **options, stacked=True, device=device)
    assert (one_by_one.engine, together.engine) == ("one by one", "stacked")
    for name in RECORDED:
        np.testing.assert_allclose(together[name], one_by_one[name], rtol=1e-3, atol=1e-5)
    scale = float(one_by_one["gram"].max())
    np.testing.assert_allclose(together["gram"], one_by_one["gram"], atol=1e-6 * scale)
    # The retraining moved by far more than they differ.
    moved = one_by_one["relative_distance"] - 1
    np.testing.assert_allclose(together["relative_distance"] - 1, moved, rtol=0.01, atol=1e-6)
    assert float(abs(moved.sel(epoch=2)).min()) > 1e-4


def test_a_trajectory_does_not_depend_on_what_it_is_stacked_with(
    trained: tuple[Cell, Path], tmp_path: Path
) -> None:
    four = jump(trained, tmp_path / "four", stacked=True)
    one = jump(trained, tmp_path / "one", stacked=True, seeds=[2], steps=[1.0])
    for name in RECORDED:
        np.testing.assert_allclose(one[name], four[name].sel(seed=[2], step=[1.0]), rtol=1e-4)


def test_a_killed_stacked_run_goes_on_to_the_same_bits(
    trained: tuple[Cell, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = jump(trained, tmp_path / "whole", stacked=True)
    original = StackedRetrainer.retrain

    def killed(self: StackedRetrainer, jumps: Any) -> Iterator[Any]:
        found = original(self, jumps)
        yield next(found)
        raise KeyboardInterrupt

    path = tmp_path / "killed"
    with monkeypatch.context() as patch:
        patch.setattr(StackedRetrainer, "retrain", killed)
        with pytest.raises(KeyboardInterrupt):
            jump(trained, path, stacked=True)
    xr.testing.assert_identical(jump(trained, path, stacked=True), whole)
    # Of a group that is not whole, all is made again.
    (lost,) = path.glob("*/jump-2-0.25/records.safetensors")
    lost.unlink()
    xr.testing.assert_identical(jump(trained, path, stacked=True), whole)


def test_where_memory_runs_out_fewer_are_stacked(
    trained: tuple[Cell, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = StackedRetrainer.retrain

    def small(self: StackedRetrainer, jumps: Any) -> Iterator[Any]:
        sizes.append(len(jumps))
        if len(jumps) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield from original(self, jumps)

    monkeypatch.setattr(StackedRetrainer, "retrain", small)
    jump(trained, tmp_path, stacked=True)
    assert sizes == [4, 2, 1, 1, 1, 1]
    (plan,) = tmp_path.glob("*/plan.json")
    assert read_json(plan) == {"together": 1}
    assert all(read_records(folder) for folder in plan.parent.glob("jump-*"))


class Dropped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def test_a_network_that_draws_at_random_is_retrained_one_by_one(
    few_digits: Callable[..., Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topograph.data.digits.digits", few_digits)
    monkeypatch.setattr(stacked, "SECONDS_WORTH_A_PROBE", 0.0)
    content = {**CONTENT, "model": {"target": f"{__name__}:Dropped"}}
    cell = Cell("dropped", (0,), TRAINING.validate_python(content))
    train(cell, tmp_path)
    trained = (cell, tmp_path / "weights.safetensors")
    assert jump(trained, tmp_path / "auto").engine == "one by one"
    with pytest.raises(TopographError, match="jumps from dropped cannot be retrained stacked: .*"):
        jump(trained, tmp_path / "stacked", stacked=True)


@pytest.mark.parametrize(
    ("single", "together", "cpu", "cuda"),
    [(1.0, 1.1, 0, 4), (1.0, 0.9, 0, 4), (1.0, 0.5, 4, 4), (1.0, 2.0, 0, 0)],
)
def test_a_probe_takes_what_is_not_expected_only_where_it_is_clearly_faster(
    alone: Retrainer,
    monkeypatch: pytest.MonkeyPatch,
    single: float,
    together: float,
    cpu: int,
    cuda: int,
) -> None:
    def seconds(retrainer: Any, jumps: Any) -> float:
        # Of one jump, and of all four.
        return single / 4 if len(jumps) == 1 else together

    monkeypatch.setattr(stacked, "_seconds", seconds)
    monkeypatch.setattr(stacked, "SECONDS_WORTH_A_PROBE", 0.0)
    jumps = [(seed, step) for seed in (0, 1) for step in (0.5, 1.0)]
    for name, expected in (("cpu", cpu), ("cuda", cuda)):
        assert how_many_together(alone, jumps, 1, torch.device(name)) == expected


def test_what_is_done_soon_is_not_probed(
    alone: Retrainer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    jumps = [(0, 0.5), (0, 1.0)]
    assert how_many_together(alone, jumps, 1, torch.device("cpu")) == 0
    assert "stacked" not in capsys.readouterr().err
    monkeypatch.setattr(stacked, "SECONDS_WORTH_A_PROBE", 0.0)
    how_many_together(alone, jumps, 1, torch.device("cpu"))
    assert "a step of 2 jumps: " in capsys.readouterr().err


def test_the_probe_takes_one_batch(alone: Retrainer) -> None:
    one = stacked._first(alone.dataset, 25)
    assert len(one.train_inputs) == len(one.train_targets) == 25
    assert torch.equal(one.train_inputs, alone.dataset.train_inputs[:25])
    assert len(one.test_inputs) == len(one.test_targets) == 25


def test_a_device_that_does_not_exist_is_named(trained: tuple[Cell, Path], tmp_path: Path) -> None:
    with pytest.raises(TopographError, match="device 'cuda:9' does not exist"):
        jump(trained, tmp_path, device="cuda:9")
