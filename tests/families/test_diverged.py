"""A diverged training is a result: recorded, sampled as NaN, carried through every analysis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from topograph.config.models import JumpRetrain, Landscape
from topograph.config.runs import Cell
from topograph.families import training
from topograph.families.supervised import has_diverged
from topograph.families.training import FILES, train
from topograph.foundation.storage import read_dataset, read_table, read_weights, write_weights
from topograph.landscape.analysis import landscapes
from topograph.topology.analysis import landscape_topology
from topograph.trajectory.analysis import trajectory_homology
from topograph.trajectory.jump_retrain import jump_and_retrain
from topograph.trajectory.maps import trajectory_maps
from topograph.trajectory.points import points_of

MakeCell = Callable[..., Cell]
JUMPS = JumpRetrain(kind="jump-retrain", seeds=[0, 1], steps=[0.5, 1.0], epochs=1)
ABSURD = {"name": "sgd", "learning_rate": 1e6}


@pytest.fixture
def diverged(digits_cell: MakeCell, tmp_path: Path) -> tuple[Cell, Path]:
    cell = digits_cell(ABSURD)
    train(cell, tmp_path)
    return cell, tmp_path / FILES[0]


def test_it_is_recorded_and_every_file_is_written(diverged: tuple[Cell, Path]) -> None:
    folder = diverged[1].parent
    metrics = read_table(folder / FILES[2])
    assert metrics["diverged"].tolist() == [1.0]
    history = read_table(folder / FILES[1])
    assert len(history) < 5  # training stops at the divergence
    assert np.isfinite(history["train_loss"].iloc[0])
    assert not np.isfinite(history["train_loss"].iloc[-1])
    assert read_dataset(folder / FILES[3])["predicted"].shape == (1, 30)


def test_resumed_after_the_divergence_it_trains_no_further(
    diverged: tuple[Cell, Path], contents: Callable[[Path], object], tmp_path: Path
) -> None:
    cell, weights = diverged
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.SeedResult, "save", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(cell, tmp_path / "resumed")
    train(cell, tmp_path / "resumed")
    assert contents(tmp_path / "resumed") == contents(weights.parent)


@pytest.mark.parametrize("directions", ["random", "hessian"])
def test_its_landscapes_are_nan_from_the_divergence_on(
    diverged: tuple[Cell, Path], directions: str
) -> None:
    analysis = Landscape(
        kind="landscape",
        directions=directions,
        dimensions=1,
        points=3,
        distance=0.1,
        epochs=[0, 3, "last"],
        examples=5,
    )
    dataset = landscapes(diverged[0], analysis, diverged[1]).dataset
    assert dataset["epoch"].values.tolist() == [0, 3, 4]
    assert dataset["diverged"].values.tolist() == [[0, 1, 1]]
    assert np.isfinite(dataset["loss"].sel(epoch=0)).all()
    for name in ("loss", "accuracy", "center_loss", "norm"):
        assert dataset[name].sel(epoch=[3, 4]).isnull().all()
    tables = landscape_topology(dataset, "axis")
    assert tables["quantities"]["diverged"].tolist() == [0, 1, 1]
    assert tables["marks"]["epoch"].unique().tolist() == [0]


def test_a_cell_in_which_every_seed_diverged_has_a_quantities_row_and_no_marks(
    diverged: tuple[Cell, Path],
) -> None:
    analysis = Landscape(
        kind="landscape", directions="random", dimensions=2, points=3, distance=0.1
    )
    dataset = landscapes(diverged[0], analysis, diverged[1]).dataset
    assert dataset["loss"].shape == (1, 1, 3, 3)
    assert dataset["loss"].isnull().all()
    tables = landscape_topology(dataset, "axis")
    row = tables["quantities"].squeeze()
    expected = {"run": "digits-run", "seed": 0, "epoch": 4, "connectivity": "axis"}
    assert row[list(expected)].to_dict() == expected
    assert (row["points"], row["diverged"]) == (3, 1)
    assert len(tables["marks"]) == len(tables["profile"]) == len(tables["pairs"]) == 0


def test_finite_weights_with_an_infinite_loss_count_as_diverged(
    digits_cell: MakeCell, tmp_path: Path
) -> None:
    cell = digits_cell(epochs=1)
    train(cell, tmp_path)
    tensors, header = read_weights(tmp_path / FILES[0])
    tensors["0/1/norm.weight"] = np.full_like(tensors["0/1/norm.weight"], 3e38)
    write_weights(tmp_path / FILES[0], tensors, header)
    analysis = Landscape(
        kind="landscape", directions="hessian", dimensions=1, points=3, distance=0.1
    )
    dataset = landscapes(cell, analysis, tmp_path / FILES[0]).dataset
    assert dataset["diverged"].item() == 1
    assert dataset["loss"].isnull().all()


def jumps(cell: Cell, weights: Path) -> xr.Dataset:
    seeds, steps = [0, 1], [0.5, 1.0]
    path = weights.parent / "jumps"
    return jump_and_retrain(cell, weights, path, seeds=seeds, steps=steps, epochs=1)


def test_jumps_from_it_keep_losses_that_are_not_finite_and_their_trajectories_are_left_out(
    diverged: tuple[Cell, Path],
) -> None:
    dataset = jumps(*diverged)
    assert dataset["test_loss"].shape == (2, 2, 2)
    assert dataset["test_loss"].sel(epoch=0).isnull().all()
    kept = points_of(dataset.rename(seed="ray"))
    assert kept.excluded == 4 and len(kept.table) == 0


def test_jumps_from_weights_that_are_nan_have_an_empty_map_and_homology(
    diverged: tuple[Cell, Path],
) -> None:
    cell, weights = diverged
    tensors, header = read_weights(weights)
    write_weights(
        weights,
        {k: np.full_like(v, np.nan, v.dtype) if v.ndim else v for k, v in tensors.items()},
        header,
    )
    dataset = jumps(cell, weights)
    for name in ("test_loss", "gram", "relative_distance"):
        assert dataset[name].isnull().all()
    kept = points_of(dataset.rename(seed="ray"))
    points, quality, _ = trajectory_maps(kept, JUMPS)
    assert points[["x", "y"]].isna().all(axis=None)
    assert quality["excluded"].unique().tolist() == [4]
    diagram, statistics = trajectory_homology(kept, JUMPS, float("nan"))
    assert len(diagram) == 0 and "components" not in statistics


@pytest.mark.parametrize(
    ("first", "last", "diverged"),
    [
        (2.0, 1999.0, False),
        (2.0, 2001.0, True),
        (2.0, float("nan"), True),
        (2.0, float("inf"), True),
        (-0.5, -3.0, False),
        (-0.5, 1000.0, True),
        (0.5, -700.0, False),
    ],
)
def test_a_loss_beyond_a_thousand_times_the_first_has_diverged(
    first: float, last: float, diverged: bool
) -> None:
    assert has_diverged(first, last) == diverged
