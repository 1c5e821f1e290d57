"""Jumps lie where the ray says, share what they must share, and survive a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch.nn import functional as F

from topograph.config.models import JumpRetrain
from topograph.config.runs import TRAINING, Cell
from topograph.data.dataset import Dataset
from topograph.data.digits import digits
from topograph.families.build import build_model
from topograph.families.result import load_state
from topograph.families.training import train, trained_state
from topograph.foundation.errors import TopographError
from topograph.foundation.storage import read_dataset, read_table, read_weights
from topograph.geometry.directions import random_directions
from topograph.objective.objective import Objective
from topograph.trajectory import retraining
from topograph.trajectory.jump_retrain import jump_and_retrain, write_trajectories
from topograph.trajectory.offsets import offset_file
from topograph.trajectory.retraining import RECORDED, Retrainer

SEEDS, STEPS, EPOCHS = [5, 2], [1.0, 0.25, 0.5], 2


@pytest.fixture(scope="module")
def trained(
    few_digits: Callable[..., Dataset], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cell, Path]]:
    """A WideResNet-10-1 after two epochs on sixty digits, which stand in for all of them."""
    content = {
        "family": "supervised",
        "data": {"target": "digits", "kwargs": {"augment": True}},
        "model": {"target": "wide-resnet", "kwargs": {"depth": 10, "width": 1, "in_channels": 1}},
        "optimiser": {"name": "sgd", "learning_rate": 0.05, "weight_decay": 1e-3},
        "schedule": {"epochs": 2, "batch": 20},
    }
    cell = Cell("digits-run", (0, 1), TRAINING.validate_python(content))
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("topograph.data.digits.digits", few_digits)
        train(cell, folder)
        yield cell, folder / "weights.safetensors"


def jump(trained: tuple[Cell, Path], path: Path, **options: Any) -> xr.Dataset:
    given = {"seeds": SEEDS, "steps": STEPS, "epochs": EPOCHS, "stacked": False, **options}
    return jump_and_retrain(*trained, path, **given)


@pytest.fixture(scope="module")
def jumped(
    trained: tuple[Cell, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[xr.Dataset, np.ndarray]:
    """The dataset and the offsets (seed, step, epoch, parameter) that its files hold."""
    path = tmp_path_factory.mktemp("jumps")
    dataset = jump(trained, path)
    return dataset, offsets_in(path)


def offsets_in(path: Path) -> np.ndarray:
    (folder,) = path.iterdir()
    return np.array(
        [
            [
                [
                    read_weights(offset_file(folder / f"jump-{seed}-{step}", epoch))[0]["offset"]
                    for epoch in range(EPOCHS + 1)
                ]
                for step in STEPS
            ]
            for seed in SEEDS
        ]
    )


def center(trained: tuple[Cell, Path]) -> dict[str, torch.Tensor]:
    cell, weights = trained
    _, state = trained_state(weights, 0, "last")
    model = load_state(build_model(cell.training.model, 0), state)
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def parts(offset: np.ndarray, like: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    pieces = torch.from_numpy(offset).split([value.numel() for value in like.values()])
    return {name: p.reshape(v.shape) for (name, v), p in zip(like.items(), pieces, strict=True)}


def test_a_jump_moves_each_filter_by_step_times_its_norm_and_nothing_else(
    trained: tuple[Cell, Path], jumped: tuple[xr.Dataset, np.ndarray]
) -> None:
    origin = center(trained)
    for seed in range(2):
        for step, offset in zip(STEPS, jumped[1][seed, :, 0], strict=True):
            for name, moved in parts(offset, origin).items():
                weight = origin[name]
                if weight.ndim == 1:
                    assert not moved.any()
                else:
                    found, norms = moved.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1)
                    torch.testing.assert_close(found, step * norms, rtol=1e-5, atol=1e-6)


def test_the_length_of_a_jump_is_step_times_the_norm_of_all_filters(
    trained: tuple[Cell, Path], jumped: tuple[xr.Dataset, np.ndarray]
) -> None:
    filters = [v.double().square().sum() for v in center(trained).values() if v.ndim > 1]
    dataset = jumped[0]
    squares = dataset["gram"].values.diagonal().reshape(2, 3, 3)[:, :, 0]
    expected = np.array(STEPS) ** 2 * float(sum(filters))
    np.testing.assert_allclose(squares, [expected, expected], rtol=1e-6)


def test_the_steps_of_a_seed_lie_on_one_ray_and_seeds_on_different_ones(
    jumped: tuple[xr.Dataset, np.ndarray],
) -> None:
    starts = jumped[1][:, :, 0].astype(float)
    whole = starts[:, 0]
    for index, step in enumerate(STEPS):
        np.testing.assert_allclose(starts[:, index], step * whole, atol=1e-6)
    cosine = whole[0] @ whole[1] / np.linalg.norm(whole[0]) / np.linalg.norm(whole[1])
    assert abs(cosine) < 0.05


def test_the_ray_is_a_filter_normalised_random_direction(
    trained: tuple[Cell, Path],
    jumped: tuple[xr.Dataset, np.ndarray],
    few_digits: Callable[..., Dataset],
) -> None:
    cell, weights = trained
    model = load_state(build_model(cell.training.model, 0), trained_state(weights, 0, "last")[1])
    data = few_digits()
    objective = Objective.from_model(
        model.eval(), F.cross_entropy, (data.train_inputs[:1], data.train_targets[:1])
    )
    drawn = random_directions(objective, 1, seed=retraining.derive_seed(SEEDS[0], "jump"))
    moved = parts(jumped[1][0, 0, 0], objective.center)
    for name, vector in drawn.vectors.items():
        origin = objective.center[name]
        assert torch.equal(moved[name], (origin + STEPS[0] * vector[0]) - origin)


def test_the_steps_of_a_seed_share_the_order_of_the_data(
    trained: tuple[Cell, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[tuple[int, int]] = []
    original = retraining.train_epoch

    def recorded(*arguments: object, batch: int, seed: int) -> None:
        orders.append((batch, seed))
        original(*arguments, batch=batch, seed=seed)

    monkeypatch.setattr(retraining, "train_epoch", recorded)
    jump(trained, tmp_path)
    by_seed = np.array(orders)[:, 1].reshape(2, 3, EPOCHS)
    assert (by_seed == by_seed[:, :1]).all()
    assert len(np.unique(by_seed)) == 2 * EPOCHS
    assert {batch for batch, _ in orders} == {20}  # the training's
    orders.clear()
    jump(trained, tmp_path, batch=30, seeds=[5], steps=[1.0])
    assert {batch for batch, _ in orders} == {30}


def test_every_step_retrains_with_a_new_optimiser_and_the_decay_of_the_training(
    trained: tuple[Cell, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[dict[str, Any]] = []
    original = retraining.train_epoch

    def recorded(
        model: object, optimiser: torch.optim.Optimizer, *rest: Any, **options: Any
    ) -> None:
        groups.append({**optimiser.param_groups[0], "state": len(optimiser.state)})
        original(model, optimiser, *rest, **options)

    monkeypatch.setattr(retraining, "train_epoch", recorded)
    jump(trained, tmp_path, seeds=[5], learning_rate=0.003)
    assert [bool(group["state"]) for group in groups] == [False, True] * 3
    for group in groups:
        assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.003, 0.9, 1e-3)


def test_the_gram_matrix_holds_the_inner_products_of_the_offsets(
    jumped: tuple[xr.Dataset, np.ndarray],
) -> None:
    dataset, offsets = jumped
    flat = offsets.reshape(18, -1).astype(float)
    np.testing.assert_allclose(dataset["gram"], flat @ flat.T, rtol=1e-10)
    np.testing.assert_array_equal(dataset["gram"], dataset["gram"].T)


def test_recorded_losses_are_those_of_the_recorded_points(
    trained: tuple[Cell, Path],
    jumped: tuple[xr.Dataset, np.ndarray],
    few_digits: Callable[..., Dataset],
) -> None:
    cell, weights = trained
    model = load_state(build_model(cell.training.model, 0), trained_state(weights, 0, "last")[1])
    dataset, offsets = jumped
    origin, data = center(trained), few_digits()
    for index, step in enumerate(STEPS):  # at the jump, batch norm is still the trained model's
        moved = parts(offsets[1, index, 0], origin)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(origin[name] + moved[name])
            outputs = model.eval()(data.test_inputs)
        row = dataset.sel(seed=SEEDS[1], step=step, epoch=0)
        expected = F.cross_entropy(outputs, data.test_targets).item()
        assert row["test_loss"].item() == pytest.approx(expected, rel=1e-4)
        accuracy = (outputs.argmax(1) == data.test_targets).float().mean().item()
        assert row["test_accuracy"].item() == pytest.approx(accuracy)


def test_coordinates_keep_the_order_of_seeds_and_steps(
    jumped: tuple[xr.Dataset, np.ndarray],
) -> None:
    dataset = jumped[0]
    assert dataset["seed"].values.tolist() == SEEDS
    assert dataset["step"].values.tolist() == STEPS
    assert dataset["epoch"].values.tolist() == [0, 1, 2]
    assert dataset["gram"].shape == (18, 18)
    assert dataset.attrs["run"] == "digits-run"
    for name in RECORDED:
        assert dataset[name].dims == ("seed", "step", "epoch")


def test_return_statistics_are_1_at_the_jump_and_follow_the_offsets(
    jumped: tuple[xr.Dataset, np.ndarray],
) -> None:
    dataset, offsets = jumped
    for name in ("relative_distance", "cosine", "radial"):
        np.testing.assert_allclose(dataset[name].sel(epoch=0), 1, rtol=1e-12)
    norms = np.linalg.norm(offsets.astype(float), axis=-1)
    np.testing.assert_allclose(dataset["relative_distance"], norms / norms[:, :, :1], rtol=1e-6)


def test_a_jump_of_no_length_stays_at_the_minimum(
    trained: tuple[Cell, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = jump(trained, tmp_path, seeds=[5], steps=[0.0], epochs=1)
    told = capsys.readouterr().err
    assert "jumps from digits-run: a step of 0 is no jump" in told and "along one ray" in told
    assert dataset["gram"].values[0, 0] == 0
    assert dataset["relative_distance"].isnull().all()
    history = read_table(trained[1].parent / "history.parquet")
    minimum = history[(history["seed"] == 0) & (history["epoch"] == 2)]["test_loss"].item()
    assert dataset["test_loss"].sel(epoch=0).item() == dataset["minimum_test_loss"].item()
    assert dataset["minimum_test_loss"].item() == pytest.approx(minimum, rel=1e-5)


def test_a_restart_repeats_no_finished_trajectory_and_changes_no_bit(
    trained: tuple[Cell, Path],
    jumped: tuple[xr.Dataset, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jump(trained, tmp_path, seeds=[SEEDS[0]])
    jump(trained, tmp_path, seeds=[SEEDS[1]], steps=[STEPS[2]])
    retrained: list[int] = []
    original = Retrainer.retrain

    def recorded(self: Retrainer, jumps: Any) -> Any:
        yield from original(self, jumps)
        retrained.extend(seed for seed, _ in jumps)

    monkeypatch.setattr(Retrainer, "retrain", recorded)
    xr.testing.assert_identical(jump(trained, tmp_path), jumped[0])
    assert retrained == [SEEDS[1]] * 2
    xr.testing.assert_identical(jump(trained, tmp_path), jumped[0])
    assert len(retrained) == 2


def test_a_torn_file_of_a_trajectory_is_made_again(
    trained: tuple[Cell, Path], jumped: tuple[xr.Dataset, np.ndarray], tmp_path: Path
) -> None:
    jump(trained, tmp_path)
    (file,) = tmp_path.glob(f"*/jump-{SEEDS[1]}-{STEPS[1]}/epoch-0001.safetensors")
    file.write_bytes(file.read_bytes()[:-5])
    xr.testing.assert_identical(jump(trained, tmp_path), jumped[0])


def test_other_settings_and_other_weights_share_no_file(
    trained: tuple[Cell, Path], tmp_path: Path
) -> None:
    few_options = {"seeds": [5], "steps": [1.0], "epochs": 1}
    first = jump(trained, tmp_path, **few_options)
    others = (
        {"batch": 30},
        {"learning_rate": 0.01},
        {"momentum": 0.5},
        {"batch_norm": "recalibrated"},
        {"held_out": 0.1},
        {"weights_seed": 1},
    )
    for options in others:
        other = jump(trained, tmp_path, **few_options, **options)
        assert not other.identical(first)
    assert len(list(tmp_path.glob("*/jump-5-1.0"))) == 7
    again = jump(trained, tmp_path, **few_options, batch=20)
    xr.testing.assert_identical(again, first)
    assert len(list(tmp_path.glob("*/jump-5-1.0"))) == 7


def test_a_trajectory_that_diverges_is_kept_and_marked(
    trained: tuple[Cell, Path], tmp_path: Path
) -> None:
    dataset = jump(trained, tmp_path, seeds=[5], steps=[0.25, 1.0], learning_rate=1e30)
    assert dataset["diverged"].values.tolist() == [[1, 1]]
    assert np.isfinite(dataset["train_loss"].sel(epoch=0)).all()


@pytest.mark.parametrize(
    "options", [{"seeds": []}, {"steps": []}, {"steps": [-0.5]}, {"epochs": 0}]
)
def test_nothing_to_do_is_refused(
    trained: tuple[Cell, Path], tmp_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(TopographError, match="jumps from digits-run with .*; allowed: at least"):
        jump(trained, tmp_path, **options)


def test_a_family_without_epochs_is_refused(trained: tuple[Cell, Path], tmp_path: Path) -> None:
    content = {
        "family": "pinn",
        "problem": {"target": "convection", "kwargs": {"beta": 1.0}},
        "model": {"target": "mlp", "kwargs": {"inputs": 2, "outputs": 1, "width": 3, "depth": 1}},
        "optimiser": {"name": "lbfgs"},
    }
    cell = Cell("pinn-run", (0,), TRAINING.validate_python(content))
    with pytest.raises(TopographError, match="pinn-run is of family pinn; allowed: supervised"):
        jump((cell, trained[1]), tmp_path)


def test_several_processes_change_no_bit(
    trained: tuple[Cell, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Processes of their own read all digits: what this one puts in their place is not there.
    monkeypatch.setattr("topograph.data.digits.digits", digits)
    options = {"seeds": [5, 2], "steps": [1.0], "epochs": 1}
    alone = jump(trained, tmp_path / "alone", **options)
    together = jump(trained, tmp_path / "together", **options, workers=2)
    xr.testing.assert_identical(alone, together)


def test_retraining_is_that_of_the_plain_network_to_rounding(
    trained: tuple[Cell, Path],
    jumped: tuple[xr.Dataset, np.ndarray],
    few_digits: Callable[..., Dataset],
) -> None:
    cell, weights = trained
    state, data = trained_state(weights, 0, "last")[1], few_digits(augment=True)
    model = load_state(build_model(cell.training.model, 0), state)
    for parameter, moved in zip(
        model.parameters(), parts(jumped[1][0, 1, 0], center(trained)).values(), strict=True
    ):
        parameter.data += moved
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-3)
    for epoch in range(1, EPOCHS + 1):
        order = retraining.derive_seed(SEEDS[0], "retrain", epoch)
        retraining.train_epoch(model, optimiser, data, F.cross_entropy, batch=20, seed=order)
        with torch.no_grad():
            loss = F.cross_entropy(model.eval()(data.train_inputs), data.train_targets).item()
        found = jumped[0]["train_loss"].sel(seed=SEEDS[0], step=STEPS[1], epoch=epoch).item()
        assert found == pytest.approx(loss, rel=1e-4)


def test_the_file_holds_the_trajectories_from_every_training_seed(
    trained: tuple[Cell, Path], tmp_path: Path
) -> None:
    asked = {"seeds": [5], "steps": [1.0], "epochs": 1}
    path = tmp_path / "jump-retrain.nc"
    analysis = JumpRetrain(kind="jump-retrain", **asked)
    write_trajectories(*trained[:1], analysis, trained[1], path, scratch=tmp_path / "scratch")
    found = read_dataset(path)
    assert found["train_loss"].dims == ("seed", "ray", "step", "epoch")
    assert found["gram"].dims == ("seed", "point", "other")
    assert found["seed"].values.tolist() == [0, 1] and found["ray"].values.tolist() == [5]
    for seed in (0, 1):
        alone = jump(trained, tmp_path / "alone", **asked, weights_seed=seed)
        np.testing.assert_array_equal(found["gram"].sel(seed=seed), alone["gram"])
        assert found["minimum_test_loss"].sel(seed=seed) == alone["minimum_test_loss"]
    assert not (tmp_path / "scratch").exists()
