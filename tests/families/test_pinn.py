"""Training through DeepXDE: the true loss, the learning rate, the generators."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from topograph.config.models import Landscape
from topograph.config.runs import Cell
from topograph.families import pinn
from topograph.families.training import FILES, train, trained_state
from topograph.foundation.storage import read_dataset, read_table
from topograph.problems.convection import Convection

MakeCell = Callable[..., Cell]
TERMS = ["residual", "initial", "boundary"]


def generators() -> tuple[object, ...]:
    numpy_state = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().tolist(), numpy_state[1].tolist(), random.getstate()


def by_hand(model: nn.Module, problem: Convection) -> list[float]:
    """Compute the three terms with plain autograd, sharing no code with the package."""
    dtype = next(model.parameters()).dtype
    initial, values, left, right, collocation = (
        torch.from_numpy(array).to(dtype) for array in problem.points()
    )
    inner = collocation.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(inner).sum(), inner)
    terms = [
        gradient[:, 1] + problem.beta * gradient[:, 0],
        model(initial) - values,
        model(left) - model(right),
    ]
    return [(term**2).mean().item() for term in terms]


def trained_model(cell: Cell, folder: Path) -> nn.Module:
    _, state = trained_state(folder / FILES[0], cell.seeds[0], "last")
    return pinn.load_state(pinn.build_model(cell.training.model, 0), state)


def test_both_losses_equal_one_written_by_hand(pinn_cell: MakeCell, tmp_path: Path) -> None:
    cell = pinn_cell(beta=3.0)
    train(cell, tmp_path)
    model = trained_model(cell, tmp_path)
    expected = by_hand(model, Convection(3.0))
    row = read_table(tmp_path / FILES[1]).iloc[0]
    np.testing.assert_allclose(row[TERMS].astype(float), expected, rtol=1e-4)
    total = read_table(tmp_path / FILES[2])["train_loss"].item()
    assert total == pytest.approx(sum(expected), rel=1e-4)

    analysis = Landscape(
        kind="landscape", directions="hessian", dimensions=1, points=3, distance=1.0
    )
    _, state = trained_state(tmp_path / FILES[0], 0, "last")
    objective = pinn.objective(cell.training, state, analysis)
    for dtype, rtol in ((torch.float32, 1e-4), (torch.float64, 1e-10)):
        placed = objective.at(dtype)
        terms = placed.terms(placed.center)
        exact = by_hand(model.to(dtype), Convection(3.0))
        np.testing.assert_allclose([float(terms[name]) for name in TERMS], exact, rtol=rtol)
        assert terms["loss"].item() == pytest.approx(sum(exact), rel=rtol)


def test_training_lowers_the_loss_and_is_measured_on_the_whole_grid(
    pinn_cell: MakeCell, tmp_path: Path
) -> None:
    cell = pinn_cell()
    train(cell, tmp_path)
    _, initial = trained_state(tmp_path / FILES[0], 0, 0)
    start = pinn.load_state(pinn.build_model(cell.training.model, 0), initial)
    metrics = read_table(tmp_path / FILES[2]).iloc[0]
    assert metrics["train_loss"] < 0.2 * sum(by_hand(start, Convection(1.0)))
    assert metrics["diverged"] == 0
    assert 1 < metrics["iterations"] <= 50
    predictions = read_dataset(tmp_path / FILES[3])
    assert predictions["predicted"].dims == ("seed", "x", "t")
    error = predictions["predicted"].sel(seed=0) - predictions["exact"]
    x, t = np.meshgrid(predictions["x"], predictions["t"], indexing="ij")
    np.testing.assert_allclose(predictions["exact"], np.sin(x - t), atol=1e-12)
    assert metrics["absolute_error"] == pytest.approx(float(abs(error).mean()), rel=1e-6)
    relative = np.linalg.norm(error) / np.linalg.norm(np.sin(x - t))
    assert metrics["relative_error"] == pytest.approx(relative, rel=1e-6)


def test_the_learning_rate_reaches_the_optimiser(pinn_cell: MakeCell, tmp_path: Path) -> None:
    losses, weights = [], []
    for rate in (1.0, 1e-4):
        cell, folder = pinn_cell(learning_rate=rate), tmp_path / str(rate)
        train(cell, folder)
        losses.append(read_table(folder / FILES[2])["train_loss"].item())
        weights.append(trained_state(folder / FILES[0], 0, "last")[1]["0.weight"])
    assert not np.array_equal(*weights)
    assert losses[0] != losses[1]


def test_training_is_reproducible_and_touches_no_global_generator(
    pinn_cell: MakeCell, contents: Callable[[Path], object], tmp_path: Path
) -> None:
    cell = pinn_cell(max_iterations=10)
    train(cell, tmp_path / "one")
    before = generators()
    train(cell, tmp_path / "two")
    assert generators() == before
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_seeds_start_from_different_weights_and_epoch_0_holds_them(
    pinn_cell: MakeCell, tmp_path: Path
) -> None:
    cell = pinn_cell(max_iterations=2, seeds=(0, 1))
    train(cell, tmp_path)
    first, second = (trained_state(tmp_path / FILES[0], seed, 0)[1] for seed in (0, 1))
    assert not np.array_equal(first["0.weight"], second["0.weight"])
    fresh = pinn.build_model(cell.training.model, 1).state_dict()
    for name, value in second.items():
        np.testing.assert_array_equal(value, fresh[name].numpy())


def test_a_loss_that_is_not_finite_is_recorded_as_diverged(
    pinn_cell: MakeCell, tmp_path: Path
) -> None:
    cell = pinn_cell(beta=1e30, max_iterations=2)
    train(cell, tmp_path)
    metrics = read_table(tmp_path / FILES[2]).iloc[0]
    assert metrics["diverged"] == 1
    assert read_dataset(tmp_path / FILES[3])["predicted"].shape == (1, 256, 100)
