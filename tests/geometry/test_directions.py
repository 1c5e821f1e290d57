"""Directions: their norms filter by filter, their cosines, their seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from topograph.foundation.errors import TopographError
from topograph.geometry.directions import (
    NORMALIZATIONS,
    Directions,
    hessian_directions,
    random_directions,
)
from topograph.landscape.hessian import Eigenpairs, hessian_eigenpairs
from topograph.landscape.sampling import sample
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten, unflatten


@pytest.fixture
def objective() -> Objective:
    """One layer of each kind: convolution, batch norm, transposed convolution, linear."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ConvTranspose2d(3, 4, 2, 2),
        nn.Flatten(), nn.Linear(64, 5),
    )  # fmt: skip
    data = (torch.randn(4, 2, 2, 2), torch.randint(0, 5, (4,)))
    return Objective.from_model(network.eval(), F.cross_entropy, data)


@pytest.fixture
def small() -> Objective:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    return Objective.from_model(network.eval(), F.mse_loss, (torch.randn(9, 3), torch.randn(9, 2)))


def rows(directions: Directions) -> torch.Tensor:
    parts = [v.reshape(len(v), -1).double() for v in directions.vectors.values()]
    return torch.cat(parts, dim=1)


# A linear row, a convolution's output channel, a transposed convolution's output channel.
@pytest.mark.parametrize(("name", "axis"), [("4.weight", 0), ("0.weight", 0), ("2.weight", 1)])
def test_every_filter_gets_the_norm_it_has_in_the_model(
    objective: Objective, name: str, axis: int
) -> None:
    weight = objective.center[name]
    for direction in random_directions(objective, 2, seed=3).vectors[name]:
        for unit in range(weight.shape[axis]):
            found = direction.select(axis, unit).norm()
            torch.testing.assert_close(found, weight.select(axis, unit).norm())
        other = 1 - axis
        across = [direction.select(other, i).norm() for i in range(weight.shape[other])]
        wanted = [weight.select(other, i).norm() for i in range(weight.shape[other])]
        assert not torch.allclose(torch.stack(across), torch.stack(wanted), rtol=1e-3)


@pytest.mark.parametrize("normalization", ["filter", "layer"])
def test_biases_and_norm_parameters_do_not_move(objective: Objective, normalization: str) -> None:
    vectors = random_directions(objective, 2, normalization=normalization).vectors
    for name, value in objective.center.items():
        assert bool(vectors[name].any()) == (value.ndim > 1)


def test_every_layer_gets_the_norm_of_its_tensor(objective: Objective) -> None:
    vectors = random_directions(objective, 2, normalization="layer").vectors
    for name in ("0.weight", "2.weight", "4.weight"):
        norms = vectors[name].flatten(1).norm(dim=1)
        torch.testing.assert_close(norms, objective.center[name].norm().expand(2))
    filters = vectors["4.weight"][0].norm(dim=1)
    assert not torch.allclose(filters, objective.center["4.weight"].norm(dim=1), rtol=1e-2)


def test_the_whole_direction_gets_the_norm_of_the_model(objective: Objective) -> None:
    directions = random_directions(objective, 3, normalization="model")
    expected = flatten(objective.center).norm().double()
    torch.testing.assert_close(directions.norms, expected.expand(3), rtol=1e-6, atol=0)
    assert all(bool(value.any()) for value in directions.vectors.values())
    raw = random_directions(objective, 3, normalization="none")
    cosine = F.cosine_similarity(rows(raw), rows(directions))
    torch.testing.assert_close(cosine, torch.ones_like(cosine))


@pytest.mark.parametrize("seed", range(5))
def test_raw_draws_are_standard_normal_without_a_common_direction(seed: int) -> None:
    objective = Objective.from_model(
        nn.Linear(99, 100).eval(), F.mse_loss, (torch.randn(2, 99), torch.randn(2, 100))
    )
    directions = random_directions(objective, 3, normalization="none", seed=seed)
    drawn = rows(directions)
    bound = 4 / math.sqrt(drawn.shape[1])
    assert drawn.mean(dim=1).abs().max() < bound
    assert drawn.std(dim=1).sub(1).abs().max() < bound
    assert (directions.cosines - torch.eye(3)).abs().max() < bound


def test_a_seed_gives_the_same_directions_and_another_gives_others(objective: Objective) -> None:
    torch.manual_seed(99)
    before = torch.get_rng_state()
    first = random_directions(objective, 2, seed=7)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    again, other = (random_directions(objective, 2, seed=seed) for seed in (7, 8))
    assert torch.equal(rows(first), rows(again))
    assert (first.cosines[0, 1] - other.cosines[0, 1]).abs() > 1e-6


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_reported_norms_and_cosines_are_those_of_the_vectors(
    objective: Objective, normalization: str
) -> None:
    directions = random_directions(objective, 3, normalization=normalization)
    drawn = rows(directions)
    torch.testing.assert_close(directions.norms, drawn.norm(dim=1))
    expected = F.cosine_similarity(drawn[:, None], drawn[None, :], dim=2)
    torch.testing.assert_close(directions.cosines, expected)
    assert directions.cosines.dtype == torch.float64
    for name, value in objective.center.items():
        assert directions.vectors[name].shape == (3, *value.shape)


def test_eigenvectors_without_normalisation_keep_h_d_equal_lambda_d(small: Objective) -> None:
    pairs = hessian_eigenpairs(small, 4, dtype="float64", tolerance=1e-10)
    directions = hessian_directions(pairs, 3)
    center, terms, *_ = small.at(torch.float64)

    def loss(flat: torch.Tensor) -> torch.Tensor:
        return terms(unflatten(flat, center))["loss"]

    hessian = torch.autograd.functional.hessian(loss, flatten(center))
    for value, vector in zip(pairs.values, rows(directions), strict=False):
        torch.testing.assert_close(hessian @ vector, value * vector, rtol=0, atol=1e-8)
    torch.testing.assert_close(directions.norms, torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(
        directions.cosines, torch.eye(3, dtype=torch.float64), atol=1e-9, rtol=0
    )


def test_normalised_eigenvectors_have_the_filters_norms_and_say_what_angles_they_lost(
    small: Objective,
) -> None:
    pairs = hessian_eigenpairs(small, 3, dtype="float64")
    directions = hessian_directions(pairs, 3, normalization="filter")
    for name in ("0.weight", "2.weight"):
        expected = small.center[name].norm(dim=1).double().expand(3, -1)
        torch.testing.assert_close(directions.vectors[name].norm(dim=2), expected)
    drawn = rows(directions)
    expected = F.cosine_similarity(drawn[:, None], drawn[None, :], dim=2)
    torch.testing.assert_close(directions.cosines, expected)
    assert (directions.cosines - torch.eye(3)).abs().max() > 1e-3


def test_a_filter_that_an_eigenvector_does_not_touch_stays_untouched(small: Objective) -> None:
    vectors = {name: torch.zeros(1, *v.shape) for name, v in small.center.items()}
    vectors["0.weight"][0, 1] = 1.0
    values = torch.ones(1).numpy()
    pairs = Eigenpairs(values, vectors, values, 0, small)
    direction = hessian_directions(pairs, 1, normalization="filter").vectors["0.weight"][0]
    torch.testing.assert_close(direction[1].norm(), small.center["0.weight"][1].norm())
    assert not direction[[0, 2, 3]].any()


def test_rescaling_relu_layers_does_not_change_a_filter_normalised_slice() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 6, bias=False), nn.ReLU(), nn.Linear(6, 2, bias=False))
    data = (torch.randn(8, 3), torch.randn(8, 2))
    losses = []
    for factor in (1.0, 8.0):
        with torch.no_grad():
            network[0].weight *= factor
            network[2].weight /= factor
        objective = Objective.from_model(network.eval(), F.mse_loss, data)
        directions = random_directions(objective, 2, seed=0)
        losses.append(sample(objective, directions, points=3, dtype="float64")["loss"].values)
    torch.testing.assert_close(*map(torch.from_numpy, losses), rtol=1e-5, atol=0)


@pytest.mark.parametrize("n", [0, -1])
def test_fewer_than_one_random_direction_is_refused(objective: Objective, n: int) -> None:
    with pytest.raises(TopographError, match=f"n is {n}; at least one"):
        random_directions(objective, n)


def test_an_unknown_normalisation_is_answered_with_the_nearest(objective: Objective) -> None:
    with pytest.raises(TopographError, match=r"'filters' \(did you mean 'filter'\?\); allowed: f"):
        random_directions(objective, 1, normalization="filters")


@pytest.mark.parametrize("n", [0, 3])
def test_more_eigenvectors_than_computed_are_refused(small: Objective, n: int) -> None:
    pairs = hessian_eigenpairs(small, 2)
    with pytest.raises(TopographError, match=f"n is {n}; 2 eigenvectors were computed"):
        hessian_directions(pairs, n)


class Quadratic(nn.Module):
    """sum lambda_i x_i**2 / 2 at x = 0, in two tensors."""

    def __init__(self, eigenvalues: list[float]) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.rest = nn.Parameter(torch.zeros(len(eigenvalues) - 2, 1, dtype=torch.float64))
        self.register_buffer("eigenvalues", torch.tensor(eigenvalues, dtype=torch.float64))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.first, self.rest[:, 0]])
        return (self.eigenvalues * x.square()).sum() / 2 + 0 * inputs.sum()


def known_eigenpairs(eigenvalues: list[float]) -> Eigenpairs:
    """Return the eigenpairs of the quadratic, which are the axes."""
    data = (torch.zeros(1, 1), torch.zeros(1))
    module = Quadratic(eigenvalues).eval()
    objective = Objective.from_model(module, lambda outputs, _: outputs, data)
    axes = torch.eye(len(eigenvalues), dtype=torch.float64)
    vectors = {"first": axes[:, :2], "rest": axes[:, 2:, None]}
    values = np.array(eigenvalues)
    return Eigenpairs(values, vectors, np.zeros(len(values)), 0, objective)


def test_by_curvature_the_loss_rises_or_falls_alike_along_every_axis() -> None:
    values = [2500.0, -40.0, 3.0, -0.07]
    pairs = known_eigenpairs(values)
    directions = hessian_directions(pairs, 3, extent="curvature")
    lengths = torch.tensor(values[:3], dtype=torch.float64).abs().rsqrt()
    torch.testing.assert_close(directions.norms, lengths, rtol=1e-14, atol=0)
    assert torch.equal(directions.cosines, hessian_directions(pairs, 3).cosines)
    options = {"points": 5, "distance": 2.0, "dtype": "float64"}
    dataset = sample(pairs.objective, directions, **options)
    for i, value in enumerate(values[:3]):
        others = {f"alpha_{j + 1}": 0 for j in range(3) if j != i}
        line = dataset["loss"].sel(others).values
        expected = np.sign(value) * np.linspace(-2, 2, 5) ** 2 / 2
        np.testing.assert_allclose(line, expected, rtol=1e-14, atol=1e-15)


def test_curvature_changes_lengths_and_no_angle(small: Objective) -> None:
    pairs = hessian_eigenpairs(small, 3, dtype="float64")
    unit, scaled = (hessian_directions(pairs, 3, extent=one) for one in ("fixed", "curvature"))
    torch.testing.assert_close(scaled.cosines, unit.cosines, rtol=0, atol=1e-12)
    lengths = torch.from_numpy(np.abs(pairs.values) ** -0.5)
    torch.testing.assert_close(scaled.norms, lengths, rtol=1e-9, atol=0)
    torch.testing.assert_close(rows(scaled), rows(unit) * lengths[:, None])
    plain = hessian_directions(pairs, 3)
    assert torch.equal(rows(unit), rows(plain))


def test_an_unknown_extent_is_answered_with_the_nearest() -> None:
    pairs = known_eigenpairs([1.0, 2.0, 3.0])
    with pytest.raises(
        TopographError, match=r"'curvatur' \(did you mean 'curvature'\?\); allowed: curvature"
    ):
        hessian_directions(pairs, 1, extent="curvatur")


@pytest.mark.parametrize("normalization", ["filter", "layer", "model"])
def test_a_normalisation_would_undo_the_curvature(normalization: str) -> None:
    pairs = known_eigenpairs([1.0, 2.0, 3.0])
    message = f"extent curvature came with normalization '{normalization}'.*allowed: none"
    with pytest.raises(TopographError, match=message):
        hessian_directions(pairs, 1, extent="curvature", normalization=normalization)


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_an_axis_without_curvature_has_no_length_by_it(value: float) -> None:
    pairs = known_eigenpairs([1.0, 2.0, value])
    with pytest.raises(TopographError, match="an extent by curvature needs them other than 0"):
        hessian_directions(pairs, 3, extent="curvature")
    # Only those that are asked for count.
    assert hessian_directions(pairs, 2, extent="curvature").norms[0] == 1
