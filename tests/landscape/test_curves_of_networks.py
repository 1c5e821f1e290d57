"""Curves between networks: exact ends, any data and batch norm, the same bits again."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn
from torch.nn import functional as F

from topograph.data.digits import digits
from topograph.landscape.curves import CURVES, along, connect, find_curve
from topograph.landscape.sampling import interpolate
from topograph.models.mlp import MLP
from topograph.objective.objective import Objective
from topograph.objective.pinn import pinn_objective
from topograph.problems.convection import Convection

Weights = dict[str, Tensor]
MOVING = CURVES[1:]


def weights_of(network: nn.Module) -> Weights:
    return {name: value.detach().clone() for name, value in network.named_parameters()}


def trained(seed: int, network: Callable[[], nn.Module], data: tuple[Tensor, Tensor]) -> nn.Module:
    """Return a network after a few steps of Adam on all its data."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = network().train()
    optimiser = torch.optim.Adam(made.parameters(), lr=0.02)
    for _ in range(40):
        optimiser.zero_grad()
        F.cross_entropy(made(data[0]), data[1]).backward()
        optimiser.step()
    return made.eval()


@pytest.fixture(scope="module")
def images() -> tuple[Tensor, Tensor]:
    dataset = digits()
    return dataset.train_inputs[:200], dataset.train_targets[:200]


@pytest.fixture(scope="module")
def classifiers(images: tuple[Tensor, Tensor]) -> tuple[Objective, Weights, Weights]:
    """Two networks trained from other seeds, and the loss of the first on the same digits."""
    data = (images[0].flatten(1), images[1])
    size = data[0].shape[1]
    first, second = (
        trained(
            seed, lambda: nn.Sequential(nn.Linear(size, 16), nn.ReLU(), nn.Linear(16, 10)), data
        )
        for seed in (0, 1)
    )

    def right(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.one_hot(targets, 10).double().mul(outputs.argmax(1).eq(targets)[:, None]).mean(0)

    objective = Objective.from_model(first, F.cross_entropy, data, metrics={"right": right})
    return objective, weights_of(first), weights_of(second)


@pytest.mark.parametrize("engine", ["stacked", "in-place"])
@pytest.mark.parametrize("curve", CURVES)
def test_every_curve_has_the_losses_of_its_ends_to_the_last_bit(
    classifiers: tuple[Objective, Weights, Weights], curve: str, engine: str
) -> None:
    objective, *ends = classifiers
    found = connect(objective, *ends, curve=curve, points=7, pivots=2, steps=10, engine=engine)
    for end, i in zip(ends, (0, -1), strict=True):
        stacked = {name: value[None] for name, value in end.items()}
        expected = objective.evaluate(stacked, engine=engine)
        assert found["loss"].values[i] == expected["loss"].item()
        np.testing.assert_array_equal(found["right"].values[i], expected["right"][0])
    assert found["right"].dims == ("t", "right_class")
    assert found.attrs["center_loss"] == found["loss"].values[0]


@pytest.mark.parametrize("curve", MOVING)
def test_between_trained_classifiers_a_curve_stays_below_the_line(
    classifiers: tuple[Objective, Weights, Weights], curve: str
) -> None:
    objective, *ends = classifiers
    line = connect(objective, *ends, curve="line")
    found = connect(objective, *ends, curve=curve, steps=60, pivots=5)
    assert line.attrs["barrier"] > 0.1
    assert found["loss"].max() <= line["loss"].max()
    assert found.attrs["barrier"] < line.attrs["barrier"] / 2


def test_the_line_is_the_interpolation(classifiers: tuple[Objective, Weights, Weights]) -> None:
    objective, *ends = classifiers
    line = connect(objective, *ends, curve="line", points=5)
    expected = interpolate(objective, *ends, points=5)
    xr.testing.assert_equal(line.drop_vars("length"), expected)
    assert expected.attrs.items() <= line.attrs.items()
    bent = connect(objective, *ends, curve="bezier", points=5, steps=5)
    assert set(bent.attrs) == set(line.attrs)
    same = ("engine", "dtype", "device", "tile", "objective", "evaluated", "center_loss")
    assert all(bent.attrs[name] == line.attrs[name] for name in same)


@pytest.mark.parametrize("curve", MOVING)
def test_a_seed_gives_the_same_bits_and_nothing_else_is_touched(
    classifiers: tuple[Objective, Weights, Weights], curve: str
) -> None:
    objective, *ends = classifiers
    before = [{k: v.clone() for k, v in weights.items()} for weights in (*ends, objective.center)]
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    options = {"curve": curve, "points": 9, "pivots": 2, "steps": 10}
    first, again, other = (connect(objective, *ends, seed=s, **options) for s in (3, 3, 4))
    xr.testing.assert_identical(first, again)
    assert not np.array_equal(first["loss"], other["loss"])
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert random.getstate() == states[2]
    for weights, kept in zip((*ends, objective.center), before, strict=True):
        assert all(torch.equal(weights[name], kept[name]) for name in kept)


def test_other_data_are_evaluated_on_the_same_curve(images: tuple[Tensor, Tensor]) -> None:
    inputs, targets = images[0].flatten(1), images[1]
    networks = [nn.Linear(inputs.shape[1], 10) for _ in range(2)]
    ends = [weights_of(network) for network in networks]
    train, test = (
        Objective.from_model(networks[0].eval(), F.cross_entropy, (inputs[part], targets[part]))
        for part in (slice(0, 100), slice(100, 200))
    )
    curve = find_curve(train, *ends, points=5, steps=10)
    xr.testing.assert_identical(
        along(train, curve, points=5), connect(train, *ends, points=5, steps=10)
    )
    found = along(test, curve, points=5, dtype="float64")
    for t, loss in zip(found["t"].values, found["loss"].values, strict=True):
        a, theta, b = (
            {name: value[i].double() for name, value in curve.vectors.items()} for i in range(3)
        )
        point = {
            name: (1 - t) ** 2 * a[name] + 2 * t * (1 - t) * theta[name] + t**2 * b[name]
            for name in a
        }
        expected = F.cross_entropy(
            F.linear(inputs[100:].double(), point["weight"], point["bias"]), targets[100:]
        )
        assert loss == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("curve", MOVING)
def test_batch_norm_may_be_recalibrated_all_along_a_curve(
    images: tuple[Tensor, Tensor], curve: str
) -> None:
    data = (images[0][:64].reshape(64, 1, 8, 8), images[1][:64])

    def network() -> nn.Module:
        layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(144, 10))

    first, second = (trained(seed, network, data) for seed in (0, 1))
    state = {name: value.clone() for name, value in first.state_dict().items()}
    objective = Objective.from_model(first, F.cross_entropy, data, batch_norm="recalibrated")
    line, found = (
        connect(
            objective, weights_of(first), weights_of(second), curve=c, points=9, pivots=3, steps=20
        )
        for c in ("line", curve)
    )
    # At the end the buffers are those of the other network's own statistics, not the centre's.
    expected = F.cross_entropy(second.train()(data[0]), data[1]).item()
    assert found["loss"].values[-1] == pytest.approx(expected, rel=1e-4)
    assert found["loss"].values[-1] == line["loss"].values[-1]
    assert found.attrs["barrier"] < line.attrs["barrier"] / 2
    assert all(torch.equal(value, state[name]) for name, value in first.state_dict().items())


@pytest.mark.parametrize("curve", MOVING)
def test_a_curve_joins_physics_informed_networks(curve: str) -> None:
    problem = Convection(3.0)
    networks = []
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            networks.append(MLP(2, 1, width=6, depth=2).eval())
    objective = pinn_objective(problem, networks[0])
    ends = [{k: 3 * v for k, v in weights_of(network).items()} for network in networks]
    line, found = (
        connect(objective, *ends, curve=c, points=9, pivots=2, steps=15) for c in ("line", curve)
    )
    total = found["residual"] + found["initial"] + found["boundary"]
    np.testing.assert_allclose(found["loss"], total, rtol=1e-6)
    assert found["loss"].mean() < line["loss"].mean()
