"""Plans and precision: which engine, device and type, and how far losses lie from float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn
from torch.nn import functional as F

from topograph.foundation.errors import TopographError
from topograph.geometry.directions import random_directions
from topograph.landscape import plan
from topograph.landscape.sampling import remeasured, sample
from topograph.objective.objective import Objective
from topograph.objective.pinn import pinn_objective
from topograph.problems.convection import Convection
from topograph.problems.through_deepxde import deepxde_data

ENGINES = ("stacked", "in-place")


@pytest.fixture(scope="module")
def classifier() -> Objective:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).eval()
    data = (torch.randn(30, 4), torch.arange(30) % 3)
    return Objective.from_model(network, F.cross_entropy, data)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("dtype", "low", "high"), [("bfloat16", 1e-6, 0.1), ("tf32", 0, 1e-5)])
def test_shorter_types_are_close_and_their_error_is_measured(
    classifier: Objective, engine: str, dtype: str, low: float, high: float
) -> None:
    directions = random_directions(classifier, 2)
    short = sample(classifier, directions, points=5, engine=engine, dtype=dtype)
    double = sample(classifier, directions, points=5, engine=engine, dtype="float64")
    np.testing.assert_allclose(short["loss"], double["loss"], rtol=high)
    assert low <= short.attrs["error_relative"] <= high
    assert short.attrs["dtype"] == dtype


def test_precision_settings_and_threads_of_torch_are_given_back(classifier: Objective) -> None:
    before = torch.backends.cudnn.allow_tf32, torch.get_num_threads(), torch.is_grad_enabled()
    sample(classifier, random_directions(classifier, 1), points=3, dtype="tf32")
    after = torch.backends.cudnn.allow_tf32, torch.get_num_threads(), torch.is_grad_enabled()
    assert after == before
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("device", ["cuda:99", "cdua", "meta"])
def test_a_device_that_does_not_exist_is_refused(classifier: Objective, device: str) -> None:
    with pytest.raises(TopographError, match=r"device '.*allowed: cpu"):
        sample(classifier, random_directions(classifier, 1), device=device)


def test_the_faster_engine_is_chosen_only_where_it_matters_and_is_clearly_faster(
    classifier: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    directions = random_directions(classifier, 1)
    cost = {"stacked": 1.0, "in-place": 0.1}
    monkeypatch.setattr(plan, "_probe", lambda _, candidate: cost[candidate.engine])
    assert sample(classifier, directions, points=19).attrs["engine"] == "stacked"
    assert sample(classifier, directions, points=21).attrs["engine"] == "in-place"
    cost["in-place"] = 0.9
    assert sample(classifier, directions, points=21).attrs["engine"] == "stacked"
    cost["in-place"] = 0.1
    assert sample(classifier, directions, points=21, engine="stacked").attrs["engine"] == "stacked"


def test_a_loss_that_cannot_be_vectorised_is_evaluated_in_place() -> None:
    def branching(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        error = F.mse_loss(outputs, targets)
        return error if error.item() > 1 else error * 2

    objective = Objective.from_model(
        nn.Linear(3, 1).eval(), branching, (torch.randn(5, 3), torch.randn(5, 1))
    )
    dataset = sample(objective, random_directions(objective, 1), points=3)
    assert dataset.attrs["engine"] == "in-place"


def test_errors_at_chosen_vertices_only_add_to_those_measured(classifier: Objective) -> None:
    directions = random_directions(classifier, 2)
    single = sample(classifier, directions, points=21)
    double = sample(classifier, directions, points=21, dtype="float64")
    every = remeasured(classifier, directions, single, np.arange(441))
    difference = float(abs(single["loss"] - double["loss"]).max())
    assert every.attrs["error_absolute"] == pytest.approx(difference, rel=1e-6)
    assert every.attrs["error_absolute"] >= single.attrs["error_absolute"] > 0
    xr.testing.assert_equal(every, single)


def test_errors_of_a_list_of_points_cannot_be_measured_on_a_grid(classifier: Objective) -> None:
    directions = random_directions(classifier, 2)
    listed = sample(classifier, directions, points=np.zeros((3, 2)))
    with pytest.raises(TopographError, match=r"the landscape lies over \('point',\)"):
        remeasured(classifier, directions, listed, np.arange(3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_points_side_by_side_in_place_have_the_bits_of_points_one_by_one(dtype: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
    ).eval()
    data = (torch.randn(5, 1, 8, 8), torch.arange(5) % 3)
    objective = Objective.from_model(network, F.cross_entropy, data)
    directions, before = random_directions(objective, 2), torch.get_num_threads()
    found = {}
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found[threads] = sample(objective, directions, points=5, dtype=dtype, engine="in-place")
            assert found[threads].attrs["tile"] == threads
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for threads in (2, 3):
        xr.testing.assert_identical(found[threads]["loss"], found[1]["loss"])


def test_a_deepxde_problem_is_never_evaluated_side_by_side() -> None:
    data = deepxde_data(Convection(1.0))
    objective = pinn_objective(data, nn.Sequential(nn.Linear(2, 1)).eval())
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert sample(objective, random_directions(objective, 1), points=3).attrs["tile"] == 1
    finally:
        torch.set_num_threads(before)


def test_measured_errors_are_the_largest_differences_to_float64(classifier: Objective) -> None:
    directions = random_directions(classifier, 1)
    # Four vertices are no more than the sample: all of them are evaluated again.
    single = sample(classifier, directions, points=4)
    double = sample(classifier, directions, points=4, dtype="float64")
    difference = abs(single["loss"] - double["loss"])
    assert single.attrs["error_absolute"] == pytest.approx(float(difference.max()), rel=1e-6)
    relative = float((difference / abs(double["loss"])).max())
    assert single.attrs["error_relative"] == pytest.approx(relative, rel=1e-6)
    assert 0 < single.attrs["error_relative"] < 1e-5
    assert double.attrs["error_absolute"] == double.attrs["error_relative"] == 0
