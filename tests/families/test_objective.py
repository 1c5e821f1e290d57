"""A family's objective is the loss that the analysis asks for, at the weights training left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score

from topograph.config.models import Landscape
from topograph.config.runs import Cell
from topograph.families import supervised
from topograph.families.build import build, build_model
from topograph.families.result import load_state, state_arrays
from topograph.families.training import train, trained_state
from topograph.landscape.analysis import landscapes

MakeCell = Callable[..., Cell]


def asked(**options: Any) -> Landscape:
    given = {"directions": "random", "dimensions": 1, "points": 3, "distance": 0.1, **options}
    return Landscape(kind="landscape", **given)


def test_segmentation_landscapes_hold_the_overlap_of_each_class(brain_cell: MakeCell) -> None:
    training = brain_cell().training
    model = build_model(training.model, 3)
    objective = supervised.objective(training, state_arrays(model), asked())
    found = objective.metrics({k: v[None] for k, v in objective.center.items()})
    data = build("data", training.data)
    with torch.no_grad():
        predicted = model.eval()(data.train_inputs).argmax(dim=1)
    truth, labels = data.train_targets.flatten(), predicted.flatten()
    expected = jaccard_score(truth, labels, labels=[0, 1, 2], average=None)
    np.testing.assert_allclose(found["iou"][0], expected, rtol=1e-5)
    assert found["accuracy"].item() == pytest.approx((truth == labels).float().mean().item())


def test_a_regularised_landscape_adds_the_decay_that_the_optimiser_saw(
    digits_cell: MakeCell, tmp_path: Path
) -> None:
    decay = {"name": "sgd", "learning_rate": 0.05, "weight_decay": 0.01}
    cell = digits_cell(decay, epochs=1)
    train(cell, tmp_path)
    weights = tmp_path / "weights.safetensors"
    plain = landscapes(cell, asked(), weights).dataset.isel(seed=0, epoch=0)
    whole = landscapes(cell, asked(objective="regularised"), weights).dataset.isel(seed=0, epoch=0)
    np.testing.assert_allclose(whole["data_loss"], plain["loss"], rtol=1e-5)
    state = trained_state(weights, 0, "last")[1]
    model = load_state(build_model(cell.training.model, 0), state)
    norm = sum(float(p.detach().square().sum()) for p in model.parameters())
    added = float(whole["loss"].sel(alpha_1=0) - plain["loss"].sel(alpha_1=0))
    assert added == pytest.approx(0.005 * norm, rel=1e-4)
    assert whole["engine"].item() in ("stacked", "in-place")


def test_a_recalibrated_landscape_normalises_by_its_own_data(
    digits_cell: MakeCell, tmp_path: Path
) -> None:
    cell = digits_cell(epochs=1)
    train(cell, tmp_path)
    weights = tmp_path / "weights.safetensors"
    stale = landscapes(cell, asked(), weights).dataset["loss"]
    fresh = landscapes(cell, asked(batch_norm="recalibrated"), weights).dataset["loss"]
    assert abs(stale - fresh).min() > 1e-3
