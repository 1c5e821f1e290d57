"""The same engine code on a GPU: equal to the CPU in float64, the same bits at every run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn
from torch.nn import functional as F

from topograph.geometry.directions import random_directions
from topograph.landscape.hessian import hessian_eigenpairs
from topograph.landscape.sampling import interpolate, sample
from topograph.models.mlp import MLP
from topograph.models.resnet import ResNet
from topograph.models.unet import UNet
from topograph.objective.objective import Objective
from topograph.objective.pinn import pinn_objective
from topograph.problems.convection import Convection

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine"),
]


def objective_of(kind: str) -> Objective:
    torch.manual_seed(0)
    if kind == "pinn":
        return pinn_objective(Convection(5.0), MLP(2, 1, width=20, depth=3).eval())
    if kind == "mlp":
        network: nn.Module = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
        data = (torch.randn(128, 64), torch.randint(0, 10, (128,)))
    elif kind == "unet":
        network = UNet(1, 3, width=4, depth=3)
        data = (torch.randn(2, 1, 32, 32), torch.randint(0, 3, (2, 32, 32)))
    else:
        network = ResNet(8)
        data = (torch.randn(16, 3, 32, 32), torch.randint(0, 10, (16,)))
    return Objective.from_model(network.eval(), F.cross_entropy, data)


KINDS = ("pinn", "mlp", "unet", "resnet")


@pytest.mark.parametrize("engine", ["stacked", "in-place"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_gives_the_losses_of_the_cpu(kind: str, engine: str) -> None:
    objective = objective_of(kind)
    directions = random_directions(objective, 2)
    found, expected = (
        sample(objective, directions, points=5, dtype="float64", engine=engine, device=device)
        for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-9)
    assert found.attrs["device"].startswith("cuda")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "error"), [("float32", 1e-4), ("tf32", 0.05), ("bfloat16", 0.2)])
def test_shorter_types_stay_within_their_error(kind: str, dtype: str, error: float) -> None:
    objective = objective_of(kind)
    directions = random_directions(objective, 2)
    short = sample(objective, directions, points=5, dtype=dtype, device="cuda")
    double = sample(objective, directions, points=5, dtype="float64", device="cuda")
    np.testing.assert_allclose(short["loss"], double["loss"], rtol=error)


@pytest.mark.parametrize("kind", KINDS)
def test_two_sweeps_and_a_resumed_one_have_the_same_bits(kind: str, tmp_path: Path) -> None:
    objective = objective_of(kind)
    directions = random_directions(objective, 2)
    whole = sample(objective, directions, points=7, device="cuda")
    path = tmp_path / "landscape.nc"
    for shard in ((1, 2), (0, 2)):
        resumed = sample(objective, directions, points=7, device="cuda", path=path, shard=shard)
    xr.testing.assert_identical(resumed, whole)


def test_eigenvalues_agree_with_those_of_the_cpu() -> None:
    objective = objective_of("mlp")
    found, expected = (
        hessian_eigenpairs(objective, 3, dtype="float64", tolerance=1e-8, device=device)
        for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-6)


def test_a_line_runs_on_a_gpu() -> None:
    objective = objective_of("resnet")
    end = {name: 1.1 * value for name, value in objective.center.items()}
    found, expected = (
        interpolate(objective, objective.center, end, points=3, dtype="float64", device=device)
        for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-9)
