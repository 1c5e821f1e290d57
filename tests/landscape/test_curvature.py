"""Spectra of a study: those of the dense Hessian, kept when a job is killed, one row for each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.integrate import trapezoid
from torch import nn

from topograph.config.models import Spectrum
from topograph.config.runs import TRAINING, Cell
from topograph.families.training import family_of
from topograph.foundation.storage import read_dataset, read_table, read_weights, write_weights
from topograph.landscape import curvature
from topograph.landscape.analysis import state_at
from topograph.landscape.curvature import spectra, spectrum_quantities, write_spectra
from topograph.models.mlp import MLP
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten, unflatten

Trained = tuple[Cell, Path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Two networks of 13 parameters, each with weights of its own at two epochs."""
    content = {
        "family": "pinn",
        "problem": {"target": "convection", "kwargs": {"beta": 2.0}},
        "model": {"target": "mlp", "kwargs": {"inputs": 2, "outputs": 1, "width": 3, "depth": 1}},
        "optimiser": {"name": "lbfgs"},
    }
    cell = Cell("convection-run", (0, 4), TRAINING.validate_python(content))
    draw, tensors = np.random.default_rng(0), {}
    for seed, epoch in product(cell.seeds, (0, 1)):
        for name, value in MLP(2, 1, width=3, depth=1).state_dict().items():
            drawn = draw.standard_normal(tuple(value.shape))
            tensors[f"{seed}/{epoch}/{name}"] = drawn.astype(np.float32)
    weights = tmp_path_factory.mktemp("pinn") / "weights.safetensors"
    write_weights(weights, tensors, {"run": cell.run})
    return cell, weights


def analysis(**options: Any) -> Spectrum:
    return Spectrum(kind="spectrum", **{"eigenvalues": 4, "dtype": "float64", **options})


def dense(objective: Objective) -> np.ndarray:
    """The Hessian at the centre by torch.func, (N, N), and so by no product of the library."""
    placed = objective.at(torch.float64)

    def loss(flat: torch.Tensor) -> torch.Tensor:
        return placed.terms(unflatten(flat, placed.center))["loss"]

    return torch.func.jacrev(torch.func.jacrev(loss))(flatten(placed.center)).detach().numpy()


def integral(dataset: xr.Dataset, values: np.ndarray) -> float:
    return float(trapezoid(values, dataset["grid"].values))


def test_each_spectrum_is_that_of_the_dense_hessian_at_its_own_weights(trained: Trained) -> None:
    cell, weights = trained
    # A pinn has the initial weights, at 0, and the trained ones, at 1.
    asked = analysis(epochs=[0, "last"])
    dataset = spectra(cell, asked, weights)
    assert dataset["seed"].values.tolist() == [0, 4] and dataset["epoch"].values.tolist() == [0, 1]
    assert dataset["eigenvalue"].dims == ("seed", "epoch", "eigenvalue_index")
    tops = set()
    for seed in cell.seeds:
        for epoch in (0, 1):
            one = dataset.sel(seed=seed, epoch=epoch)
            state = state_at(cell, weights, seed, epoch)
            objective = family_of(cell.training).objective(cell.training, state, asked)
            hessian = dense(objective)
            values = np.linalg.eigvalsh(hessian)
            largest = values[np.argsort(-np.abs(values))][:4]
            np.testing.assert_allclose(one["eigenvalue"], largest, rtol=1e-6)
            assert (one["residual"] < 1e-3 * np.abs(largest)).all()
            assert one["trace"].item() == pytest.approx(np.trace(hessian), rel=1e-9)
            assert one["trace_error"].item() == 0  # 13 parameters are done exactly
            assert one["loss"].item() == pytest.approx(float(objective.loss(objective.center)))
            tops.add(float(largest[0]))
    assert len(tops) == 4 and min(tops) < 0 < max(tops)


def test_the_density_integrates_to_one_and_its_mean_is_that_of_the_trace(trained: Trained) -> None:
    cell, weights = trained
    dataset = spectra(cell, analysis(), weights)
    parameters = sum(array.size for array in state_at(cell, weights, 0, 1).values())
    for seed in cell.seeds:
        one = dataset.sel(seed=seed, epoch=1)
        density, grid = one["density"].values, one["grid"].values
        assert integral(one, density) == pytest.approx(1, abs=1e-6)
        mean = integral(one, density * grid)
        assert mean * parameters == pytest.approx(one["trace"].item(), rel=1e-5)
        assert (one["density_error"] == 0).all()


def test_what_was_asked_for_stands_in_the_attributes(trained: Trained) -> None:
    cell, weights = trained
    assert spectra(cell, analysis(), weights).attrs == {
        "run": "convection-run",
        "objective": "data",
        "batch_norm": "centre",
        "dtype": "float64",
        "examples": "all",
    }


class Quadratic(nn.Module):
    """sum lambda_i x_i**2 / 2 at x = 0."""

    def __init__(self, eigenvalues: Sequence[float]) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.zeros(len(eigenvalues), dtype=torch.float64))
        self.register_buffer("eigenvalues", torch.tensor(eigenvalues, dtype=torch.float64))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return (self.eigenvalues * self.x.square()).sum() / 2 + 0 * inputs.sum()


def curved(
    eigenvalues: Sequence[float], trained: Trained, patch: pytest.MonkeyPatch, **options: Any
) -> xr.Dataset:
    """Return the spectra of a study whose losses are quadratics of these eigenvalues."""
    data = (torch.zeros(1, 1), torch.zeros(1))
    made = Objective.from_model(Quadratic(eigenvalues).eval(), lambda outputs, _: outputs, data)
    family = SimpleNamespace(objective=lambda *_: made)
    patch.setattr(curvature, "family_of", lambda _: family)
    return spectra(trained[0], analysis(**options), trained[1])


@pytest.mark.parametrize("sign", [1, -1])
def test_a_saddle_has_the_sign_of_its_top_eigenvalue_and_its_share_of_negative_mass(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, sign: int
) -> None:
    values = [sign * value for value in (-9.0, 6.0, 4.0, -3.0, 2.0, 1.0, 1.5, 2.5)]
    dataset = curved(values, trained, monkeypatch)
    table = spectrum_quantities(dataset)
    assert list(table) == [
        "run",
        "seed",
        "epoch",
        "loss",
        "top_eigenvalue",
        "top_residual",
        "trace",
        "trace_error",
        "negative_mass",
    ]
    assert table["seed"].tolist() == [0, 4] and table["epoch"].tolist() == [1, 1]
    assert set(table["run"]) == {"convection-run"} and table["loss"].tolist() == [0.0, 0.0]
    for row in table.to_dict("records"):
        assert row["top_eigenvalue"] == pytest.approx(-9.0 * sign)
        assert row["top_residual"] < 1e-3
        assert row["trace"] == pytest.approx(5.0 * sign) and row["trace_error"] == 0
        negative = 2 if sign == 1 else 6
        assert row["negative_mass"] == pytest.approx(negative / 8, abs=1e-6)
    np.testing.assert_allclose(
        dataset["eigenvalue"].sel(seed=4, epoch=1), np.array([-9, 6, 4, -3]) * sign
    )


def test_at_a_minimum_no_mass_is_negative(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = spectrum_quantities(curved(np.arange(1.0, 8), trained, monkeypatch))
    np.testing.assert_allclose(table["negative_mass"], 0, atol=1e-9)


def test_a_diverged_seed_is_nan_beside_the_others(trained: Trained, tmp_path: Path) -> None:
    cell, weights = trained
    tensors, header = read_weights(weights)
    tensors["4/1/0.weight"] = np.full_like(tensors["4/1/0.weight"], np.nan)
    broken = tmp_path / "weights.safetensors"
    write_weights(broken, tensors, header)
    swapped = Cell(cell.run, (4, 0), cell.training)
    dataset = spectra(swapped, analysis(epochs=[0, "last"]), broken)
    expected = spectra(cell, analysis(epochs=[0, "last"]), weights)
    for name in dataset.data_vars:
        assert dataset[name].dims == expected[name].dims
        assert dataset[name].sel(seed=4, epoch=1).isnull().all()
        assert dataset[name].sel(seed=4, epoch=0).notnull().all()
    xr.testing.assert_identical(dataset.sel(seed=0), expected.sel(seed=0))
    row = spectrum_quantities(dataset).set_index(["seed", "epoch"]).loc[(4, 1)]
    assert row.drop("run").isna().all()


class Killed(Exception):
    """Stands for a signal."""


def files_of(folder: Path) -> dict[str, Path]:
    return {
        "path": folder / "s.nc",
        "quantities": folder / "s.parquet",
        "scratch": folder / "scratch",
    }


def written(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("s.nc", "s.parquet")]


def counted(patch: pytest.MonkeyPatch, *, killed_at: int = 0) -> list[int]:
    """Return a list that grows with each spectrum; the one of a given number is killed."""
    calls: list[int] = []
    whole = curvature.hessian_density

    def density(*arguments: Any, **options: Any) -> Any:
        calls.append(len(calls) + 1)
        if calls[-1] == killed_at:
            raise Killed
        return whole(*arguments, **options)

    patch.setattr(curvature, "hessian_density", density)
    return calls


def test_killed_and_resumed_it_ends_with_the_same_bits(trained: Trained, tmp_path: Path) -> None:
    cell, weights = trained
    whole, resumed = files_of(tmp_path / "whole"), files_of(tmp_path / "resumed")
    write_spectra(cell, analysis(), weights, **whole, code="c")
    with pytest.MonkeyPatch.context() as patch:
        calls = counted(patch, killed_at=2)
        with pytest.raises(Killed):
            write_spectra(cell, analysis(), weights, **resumed, code="c")
    assert len(calls) == 2 and not resumed["path"].exists() and not resumed["quantities"].exists()
    with pytest.MonkeyPatch.context() as patch:
        calls = counted(patch)
        write_spectra(cell, analysis(), weights, **resumed, code="c")
        assert len(calls) == 1
        write_spectra(cell, analysis(), weights, **resumed, code="c")
        assert len(calls) == 1
    assert written(tmp_path / "resumed") == written(tmp_path / "whole")
    table = read_table(whole["quantities"])
    assert table[["seed", "epoch"]].to_numpy().tolist() == [[0, 1], [4, 1]]


def test_another_seed_costs_only_its_own_spectrum(trained: Trained, tmp_path: Path) -> None:
    cell, weights = trained
    files = files_of(tmp_path)
    write_spectra(Cell(cell.run, (4,), cell.training), analysis(), weights, **files, code="c")
    with pytest.MonkeyPatch.context() as patch:
        calls = counted(patch)
        write_spectra(cell, analysis(), weights, **files, code="c")
    assert len(calls) == 1
    xr.testing.assert_identical(read_dataset(files["path"]), spectra(cell, analysis(), weights))


@pytest.mark.parametrize(("code", "options"), [("new", {}), ("old", {"eigenvalues": 3})])
def test_what_older_code_or_another_analysis_left_is_not_taken_and_is_removed(
    trained: Trained, tmp_path: Path, code: str, options: dict[str, int]
) -> None:
    cell, weights = trained
    one, files = Cell(cell.run, (4,), cell.training), files_of(tmp_path)
    write_spectra(one, analysis(), weights, **files, code="old")
    (before,) = files["scratch"].iterdir()
    with pytest.MonkeyPatch.context() as patch:
        calls = counted(patch)
        write_spectra(one, analysis(**options), weights, **files, code=code)
    (after,) = files["scratch"].iterdir()
    assert len(calls) == 1 and after != before
    assert len(list(after.iterdir())) == 1
