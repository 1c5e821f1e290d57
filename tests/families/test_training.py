"""Training by epochs: resumed runs equal uninterrupted ones, finished seeds are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

from topograph.config.runs import Cell
from topograph.families import supervised
from topograph.families.build import build_data, build_loss
from topograph.families.training import FILES, train, trained_state
from topograph.foundation.errors import DataError
from topograph.foundation.storage import read_dataset, read_table, read_weights

OPTIMISERS = {
    "momentum": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 1e-3},
    "plain": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.0},
    "adam": {"name": "adam", "learning_rate": 0.01},
}
MakeCell = Callable[..., Cell]
Contents = Callable[[Path], object]


class Killed(Exception):
    """What the operating system does to a job, as an exception."""


def kill_at_call(monkeypatch: pytest.MonkeyPatch, name: str, call: int) -> None:
    original, calls = getattr(supervised, name), iter(range(1, 100))

    def counted(*arguments: object, **options: object) -> object:
        if next(calls) == call:
            raise Killed
        return original(*arguments, **options)

    monkeypatch.setattr(supervised, name, counted)


# Calls of evaluate: one for the initial weights, then one an epoch.
@pytest.mark.parametrize(("name", "call"), [("train_epoch", 3), ("evaluate", 3)])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_run_killed_and_resumed_equals_an_uninterrupted_one(
    digits_cell: MakeCell,
    contents: Contents,
    tmp_path: Path,
    optimiser: str,
    name: str,
    call: int,
) -> None:
    cell = digits_cell(OPTIMISERS[optimiser], data={"augment": True}, milestones=[3])
    train(cell, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        kill_at_call(patch, name, call)
        with pytest.raises(Killed):
            train(cell, tmp_path / "resumed")
    assert list((tmp_path / "resumed" / "scratch").glob("*/seed-0/epoch-0001.safetensors"))
    assert not (tmp_path / "resumed" / FILES[0]).exists()
    with pytest.MonkeyPatch.context() as patch:
        kill_at_call(patch, "train_epoch", 4)  # three epochs at most are left
        train(cell, tmp_path / "resumed")
    assert contents(tmp_path / "resumed") == contents(tmp_path / "whole")


def test_weights_history_and_metrics_have_a_row_for_each_seed_and_epoch(
    digits_cell: MakeCell, tmp_path: Path
) -> None:
    cell = digits_cell(seeds=(3, 5), epochs=2)
    train(cell, tmp_path)
    tensors, header = read_weights(tmp_path / FILES[0])
    assert {name.rsplit("/", 1)[0] for name in tensors} == {
        f"{seed}/{epoch}" for seed in (3, 5) for epoch in (0, 1, 2)
    }
    assert header["run"] == "digits-run"
    history = read_table(tmp_path / FILES[1])
    assert history[["seed", "epoch"]].to_numpy().tolist() == [
        [seed, epoch] for seed in (3, 5) for epoch in (0, 1, 2)
    ]
    metrics = read_table(tmp_path / FILES[2])
    assert metrics["seed"].tolist() == [3, 5]
    assert metrics["run"].unique().tolist() == ["digits-run"]
    assert metrics["diverged"].tolist() == [0.0, 0.0]
    last = history[history["epoch"] == 2]
    assert metrics["test_accuracy"].tolist() == last["test_accuracy"].tolist()


def test_recorded_losses_are_those_of_the_stored_weights(
    digits_cell: MakeCell, tmp_path: Path
) -> None:
    cell = digits_cell(epochs=2)
    train(cell, tmp_path)
    history = read_table(tmp_path / FILES[1]).set_index("epoch")
    for epoch in (0, 2):
        _, state = trained_state(tmp_path / FILES[0], 0, epoch)
        data, loss = build_data(cell.training.data), build_loss(cell.training.loss)
        network = supervised.build_network(cell.training, data, 9)
        found = supervised.evaluate(supervised.load_state(network, state), data, loss)
        assert found == history.loc[epoch, list(found)].to_dict()


def test_keeping_the_last_epoch_keeps_only_that(digits_cell: MakeCell, tmp_path: Path) -> None:
    train(digits_cell(epochs=2, keep="last"), tmp_path)
    epoch, _ = trained_state(tmp_path / FILES[0], 0, "last")
    assert epoch == 2
    with pytest.raises(DataError, match="holds no weights under '0/1/'"):
        trained_state(tmp_path / FILES[0], 0, 1)


def test_finished_seeds_are_not_trained_again_when_seeds_are_added(
    digits_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    original = supervised.train_seed

    def recorded(training: object, seed: int, scratch: Path) -> object:
        trained.append(seed)
        return original(training, seed, scratch)

    monkeypatch.setattr(supervised, "train_seed", recorded)
    train(digits_cell(epochs=1, seeds=(0, 1)), tmp_path)
    before = read_weights(tmp_path / FILES[0], "1/")[0]
    train(digits_cell(epochs=1, seeds=(0, 1, 2)), tmp_path)
    assert trained == [0, 1, 2]
    after = read_weights(tmp_path / FILES[0], "1/")[0]
    assert all(np.array_equal(before[name], after[name]) for name in before)
    train(digits_cell(epochs=2, seeds=(0,)), tmp_path)
    assert trained == [0, 1, 2, 0]  # other settings share nothing


def test_a_finished_seed_whose_file_is_torn_is_trained_again(
    digits_cell: MakeCell, contents: Contents, tmp_path: Path
) -> None:
    cell = digits_cell(epochs=1)
    train(cell, tmp_path)
    expected = contents(tmp_path)
    (finished,) = (tmp_path / "scratch").glob("*/seed-0.safetensors")
    finished.write_bytes(finished.read_bytes()[:-1])
    train(cell, tmp_path)
    assert contents(tmp_path) == expected


def test_a_torn_checkpoint_is_named_and_resuming_without_it_ends_the_same(
    digits_cell: MakeCell, contents: Contents, tmp_path: Path
) -> None:
    cell = digits_cell(OPTIMISERS["momentum"])
    train(cell, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        kill_at_call(patch, "train_epoch", 3)
        with pytest.raises(Killed):
            train(cell, tmp_path / "torn")
    (checkpoint,) = (tmp_path / "torn").glob("scratch/*/seed-0/epoch-0002.safetensors")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"epoch-0002\.safetensors is truncated"):
        train(cell, tmp_path / "torn")
    checkpoint.unlink()
    train(cell, tmp_path / "torn")
    assert contents(tmp_path / "torn") == contents(tmp_path / "whole")


def test_seeds_train_apart_from_each_other(digits_cell: MakeCell, tmp_path: Path) -> None:
    train(digits_cell(epochs=1, seeds=(0, 1)), tmp_path / "both")
    train(digits_cell(epochs=1, seeds=(1,)), tmp_path / "one")
    both, one = (read_weights(tmp_path / name / FILES[0], "1/1/")[0] for name in ("both", "one"))
    assert all(np.array_equal(both[name], one[name]) for name in one)


def test_a_truncated_weights_file_is_named(digits_cell: MakeCell, tmp_path: Path) -> None:
    train(digits_cell(epochs=1), tmp_path)
    weights = tmp_path / FILES[0]
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"weights.safetensors is truncated or not"):
        trained_state(weights, 0, "last")


def test_segmentation_scores_equal_scikit_learns_jaccard_score(
    brain_cell: MakeCell, tmp_path: Path
) -> None:
    train(brain_cell(epochs=2), tmp_path)
    metrics = read_table(tmp_path / FILES[2]).set_index("seed")
    predictions = read_dataset(tmp_path / FILES[3])
    assert predictions.attrs["classes"] == ["background", "grey matter", "white matter"]
    assert predictions["image"].shape == predictions["target"].shape == (4, 8, 8)
    names = ["iou_background", "iou_grey_matter", "iou_white_matter"]
    truth = predictions["target"].values.ravel()
    for seed in (0, 1):
        predicted = predictions["predicted"].sel(seed=seed).values.ravel()
        expected = jaccard_score(truth, predicted, labels=[0, 1, 2], average=None, zero_division=0)
        np.testing.assert_allclose(metrics.loc[seed, names].astype(float), expected, rtol=1e-12)
        assert metrics.loc[seed, "test_accuracy"] == pytest.approx((truth == predicted).mean())
