"""Landscapes of a study: one for each seed and epoch, around the weights of that epoch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from topograph.config.models import Landscape
from topograph.config.runs import TRAINING, Cell
from topograph.families.training import train
from topograph.foundation.errors import DataError
from topograph.foundation.storage import (
    read_dataset,
    read_json,
    read_table,
    read_weights,
    write_weights,
)
from topograph.landscape.analysis import (
    landscapes,
    measured_again,
    write_landscapes,
    write_part,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cell, Path]]:
    content = {
        "family": "pinn",
        "problem": {"target": "convection", "kwargs": {"beta": 2.0}},
        "model": {"target": "mlp", "kwargs": {"inputs": 2, "outputs": 1, "width": 6, "depth": 2}},
        "optimiser": {"name": "lbfgs", "max_iterations": 20},
    }
    cell = Cell("convection-run", (0, 4), TRAINING.validate_python(content))
    folder = tmp_path_factory.mktemp("pinn")
    train(cell, folder)
    return cell, folder / "weights.safetensors"


def analysis(**options: object) -> Landscape:
    given = {"directions": "hessian", "dimensions": 2, "points": 5, "distance": 0.5, **options}
    return Landscape(kind="landscape", **given)


def test_each_seed_is_sampled_around_its_own_weights(trained: tuple[Cell, Path]) -> None:
    cell, weights = trained
    dataset = landscapes(cell, analysis(), weights).dataset
    assert dataset["loss"].dims == ("seed", "epoch", "alpha_1", "alpha_2")
    assert dataset["loss"].shape == (2, 1, 5, 5)
    assert dataset["seed"].values.tolist() == [0, 4]
    assert dataset.attrs["run"] == "convection-run"
    assert dataset.attrs["examples"] == "all"
    assert (dataset.attrs["directions"], dataset.attrs["dimensions"]) == ("hessian", 2)
    metrics = read_table(weights.parent / "metrics.parquet").set_index("seed")
    for seed in cell.seeds:
        vertex = dataset["loss"].sel(seed=seed, epoch=1, alpha_1=0, alpha_2=0).item()
        assert vertex == pytest.approx(metrics.loc[seed, "train_loss"], rel=1e-4)
        assert dataset["center_loss"].sel(seed=seed).item() == pytest.approx(vertex, rel=1e-6)
    parts = dataset["residual"] + dataset["initial"] + dataset["boundary"]
    np.testing.assert_allclose(parts, dataset["loss"], rtol=1e-5)
    assert (dataset["diverged"] == 0).all()


def test_curvature_along_the_axes_is_the_eigenvalue(trained: tuple[Cell, Path]) -> None:
    cell, weights = trained
    options = {"points": 3, "distance": 1e-3, "dtype": "float64"}
    dataset = landscapes(cell, analysis(**options), weights).dataset.isel(seed=0, epoch=0)
    loss, alpha = dataset["loss"].values, 1e-3
    for axis, line in enumerate((loss[:, 1], loss[1, :])):
        curvature = (line[0] - 2 * line[1] + line[2]) / alpha**2
        assert curvature == pytest.approx(dataset["eigenvalue"].values[axis], rel=1e-2)
    np.testing.assert_allclose(dataset["norm"], 1, rtol=1e-6)
    np.testing.assert_allclose(dataset["cosine"], np.eye(2), atol=1e-6)
    assert abs(dataset["eigenvalue"].values[0]) >= abs(dataset["eigenvalue"].values[1])


def test_by_curvature_landscapes_of_any_scale_rise_alike_on_their_axes(
    trained: tuple[Cell, Path],
) -> None:
    """To second order: the third cancels in a central difference, at a distance this small."""
    cell, weights = trained
    alpha = 2e-3
    options = {"points": 3, "distance": alpha, "dtype": "float64", "extent": "curvature"}
    dataset = landscapes(cell, analysis(**options), weights).dataset.sel(epoch=1)
    values = dataset["eigenvalue"].values
    assert dataset.attrs["extent"] == "curvature"
    np.testing.assert_allclose(dataset["norm"], np.abs(values) ** -0.5, rtol=1e-6)
    # The two networks are curved differently, so that a fixed extent would show different rises.
    assert not np.allclose(values[0], values[1], rtol=0.05)
    for seed, eigenvalues in zip(cell.seeds, values, strict=True):
        loss = dataset["loss"].sel(seed=seed).values
        for line, value in zip((loss[:, 1], loss[1, :]), eigenvalues, strict=True):
            rise = (line[0] + line[2]) / 2 - line[1]
            assert rise == pytest.approx(np.sign(value) * alpha**2 / 2, rel=1e-2)


def test_random_directions_differ_between_seeds_and_repeat(trained: tuple[Cell, Path]) -> None:
    cell, weights = trained
    options = {"directions": "random", "normalization": "filter", "points": 3}
    first, again = (landscapes(cell, analysis(**options), weights).dataset for _ in range(2))
    xr.testing.assert_identical(first, again)
    other = landscapes(cell, analysis(**options, seed=1), weights).dataset
    assert not np.array_equal(first["loss"], other["loss"])
    cosines = first["cosine"].sel(direction=0, other=1)
    assert cosines.values[0, 0] != cosines.values[1, 0]
    assert "eigenvalue" not in first


def test_a_seed_does_not_depend_on_the_others(trained: tuple[Cell, Path]) -> None:
    cell, weights = trained
    both = landscapes(cell, analysis(points=3), weights).dataset
    alone = landscapes(Cell(cell.run, (4,), cell.training), analysis(points=3), weights).dataset
    np.testing.assert_array_equal(both["loss"].sel(seed=4), alone["loss"].sel(seed=4))


def test_a_diverged_seed_is_nan_beside_the_others(
    trained: tuple[Cell, Path], tmp_path: Path
) -> None:
    cell, weights = trained
    tensors, header = read_weights(weights)
    tensors["4/1/0.weight"] = np.full_like(tensors["4/1/0.weight"], np.nan)
    write_weights(tmp_path / "weights.safetensors", tensors, header)
    dataset = landscapes(cell, analysis(points=3), tmp_path / "weights.safetensors").dataset
    assert dataset["diverged"].values.tolist() == [[0], [1]]
    for name in ("loss", "residual", "eigenvalue", "norm", "center_loss", "error_absolute"):
        assert dataset[name].sel(seed=4).isnull().all()
        assert dataset[name].sel(seed=0).notnull().all()


def test_a_truncated_weights_file_is_named(trained: tuple[Cell, Path], tmp_path: Path) -> None:
    cell, weights = trained
    torn = tmp_path / "weights.safetensors"
    torn.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(DataError, match=r"weights\.safetensors is truncated or not a safetensors"):
        landscapes(cell, analysis(), torn)


def test_weights_without_a_seed_are_named(trained: tuple[Cell, Path]) -> None:
    cell, weights = trained
    with pytest.raises(DataError, match="holds no weights under '9/'"):
        landscapes(Cell(cell.run, (9,), cell.training), analysis(), weights)


def test_errors_measured_again_at_every_vertex_are_those_of_the_whole_grid(
    trained: tuple[Cell, Path],
) -> None:
    cell, weights = trained
    short, exact = (
        landscapes(cell, analysis(directions="random", dtype=dtype), weights)
        for dtype in ("float32", "float64")
    )
    vertices = {(seed, 1): np.arange(25) for seed in cell.seeds}
    again = measured_again(cell, analysis(directions="random"), weights, short, vertices)
    # Directions are drawn in float32 for both types: the same points.
    error = np.abs(short.dataset["loss"] - exact.dataset["loss"])
    dims = ["alpha_1", "alpha_2"]
    np.testing.assert_allclose(again["error_absolute"], error.max(dims), rtol=1e-9)
    relative = (error / exact.dataset["loss"]).max(dims)
    np.testing.assert_allclose(again["error_relative"], relative, rtol=1e-9)
    assert (again["error_absolute"] >= short.dataset["error_absolute"]).all()
    xr.testing.assert_identical(again["loss"], short.dataset["loss"])


def test_another_seed_costs_only_its_own_landscapes(
    trained: tuple[Cell, Path], tmp_path: Path
) -> None:
    cell, weights = trained
    options = {
        "path": tmp_path / "a.nc",
        "directions": tmp_path / "a.directions.safetensors",
        "scratch": tmp_path / "scratch",
    }
    one = Cell(cell.run, (0,), cell.training)
    write_landscapes(one, analysis(points=3), weights, **options, code="old")
    write_landscapes(one, analysis(points=3), weights, **options, code="new")
    (work,) = options["scratch"].iterdir()
    kept = {path: path.stat().st_mtime_ns for path in work.glob("*.nc")}
    assert len(kept) == 1
    write_landscapes(cell, analysis(points=3), weights, **options, code="new")
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    assert len(list(work.glob("*.nc"))) == 2
    fresh = landscapes(cell, analysis(points=3), weights)
    xr.testing.assert_identical(read_dataset(tmp_path / "a.nc"), fresh.dataset)
    vectors, _ = read_weights(options["directions"])
    assert vectors.keys() == fresh.directions.keys()
    assert all(np.array_equal(vectors[name], fresh.directions[name]) for name in vectors)


@pytest.mark.parametrize("directions", ["random", "hessian"])
def test_parts_in_any_order_make_the_same_landscapes(
    trained: tuple[Cell, Path], tmp_path: Path, directions: str
) -> None:
    cell, weights = trained
    asked = analysis(directions=directions)
    shared = {"scratch": tmp_path / "scratch", "code": "c"}
    for i in (2, 0, 1):
        write_part(cell, asked, weights, tmp_path / f"{i}.json", shard=(i, 3), **shared)
    assert read_json(tmp_path / "1.json") == {"run": "convection-run", "shard": [1, 3]}
    (work,) = shared["scratch"].iterdir()
    kept = {path: path.stat().st_mtime_ns for path in work.iterdir()}
    target, vectors = tmp_path / "a.nc", tmp_path / "a.directions.safetensors"
    write_landscapes(cell, asked, weights, target, directions=vectors, **shared)
    assert {path: path.stat().st_mtime_ns for path in work.iterdir()} == kept
    whole = landscapes(cell, asked, weights)
    xr.testing.assert_identical(read_dataset(target), whole.dataset)
    names = read_weights(vectors)[0]
    assert all(np.array_equal(names[name], whole.directions[name]) for name in whole.directions)
