"""The kind of a point, found through both ends of the spectrum, is that of its dense Hessian."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from topograph.foundation.errors import TopographError
from topograph.landscape import point
from topograph.landscape.hessian import hessian_eigenpairs
from topograph.landscape.point import (
    condition_number,
    gradient_alignment,
    gradient_norm,
    layer_blocks,
    stationary,
)
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten, unflatten


class Formula(nn.Module):
    """A loss of parameters theta (N,) and nothing else."""

    def __init__(self, function: Callable[[Tensor], Tensor], theta: object) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.from_numpy(np.array(theta, dtype=float)))
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(self.theta) + 0 * inputs.sum().to(self.theta)


def objective_of(function: Callable[[Tensor], Tensor], theta: object) -> Objective:
    data = (torch.zeros(1, 1), torch.zeros(1))
    return Objective.from_model(Formula(function, theta).eval(), lambda outputs, _: outputs, data)


def quadratic(eigenvalues: object, gradient: object = 0.0) -> Objective:
    """g'd + d'Hd / 2 with d = x - 1: a diagonal H, mirrored twice out of the axes, g with it."""
    values = np.asarray(eigenvalues, dtype=float)
    mirrors = np.random.default_rng(0).standard_normal((2, len(values)))
    mirrors = torch.from_numpy(mirrors / np.linalg.norm(mirrors, axis=1, keepdims=True))
    curvature = torch.from_numpy(values)
    slope = torch.from_numpy(np.broadcast_to(gradient, values.shape).astype(float))

    def loss(x: Tensor) -> Tensor:
        d = x - 1
        for mirror in mirrors.to(x):
            d = d - 2 * mirror * (mirror @ d)
        return slope.to(x) @ d + (curvature.to(x) * d.square()).sum() / 2

    return objective_of(loss, np.ones(len(values)))


def valley(first: float, second: float) -> Objective:
    """(w1 w2 - 1)^2 / 2: minima on the hyperbola w1 w2 = 1, a saddle at the origin."""
    return objective_of(lambda w: (w[0] * w[1] - 1).square() / 2, [first, second])


def network(width: int = 5) -> Objective:
    """A tanh network of 44 parameters in two layers, and a scale of its own."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor([1.5]))
            self.layers = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 3))

        def forward(self, inputs: Tensor) -> Tensor:
            return self.scale * self.layers(inputs)

    torch.manual_seed(0)
    data = (torch.randn(20, 4), torch.arange(20) % 3)
    return Objective.from_model(Scaled().eval(), F.cross_entropy, data)


def trained(width: int) -> Objective:
    """A tanh network after 200 steps of gradient descent, at which some directions still go down.

    The targets are random, so that it cannot fit all of them.
    """
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 3))
    data = (torch.randn(40, 4), torch.randint(3, (40,)))
    weights = list(layers.parameters())
    for _ in range(200):
        slopes = torch.autograd.grad(F.cross_entropy(layers(data[0]), data[1]), weights)
        with torch.no_grad():
            for weight, slope in zip(weights, slopes, strict=True):
                weight -= 0.3 * slope
    return Objective.from_model(layers.eval(), F.cross_entropy, data)


def dense(objective: Objective) -> tuple[np.ndarray, np.ndarray]:
    """The gradient (N,) and the Hessian (N, N) at the centre by nested reverse differentiation."""
    placed = objective.at(torch.float64)

    def loss(flat: Tensor) -> Tensor:
        return placed.terms(unflatten(flat, placed.center))["loss"]

    center = flatten(placed.center)
    gradient = torch.autograd.functional.jacobian(loss, center).numpy()
    return gradient, torch.autograd.functional.hessian(loss, center, vectorize=True).numpy()


def test_the_gradient_norm_of_a_quadratic_is_that_of_its_slope() -> None:
    objective = quadratic([1.0, -2.0, 5.0], [3.0, 0.0, 4.0])
    assert gradient_norm(objective) == pytest.approx(5, rel=1e-12)
    assert gradient_norm(objective, dtype="float32") == pytest.approx(5, rel=1e-6)
    assert gradient_norm(quadratic([1.0, -2.0])) == 0


def test_the_gradient_norm_of_a_network_is_that_of_reverse_differentiation() -> None:
    objective = network()
    assert gradient_norm(objective) == pytest.approx(np.linalg.norm(dense(objective)[0]), rel=1e-12)


@pytest.mark.parametrize(("axis", "share"), [(0, 1.0), (1, 1.0), (2, 0.0), (3, 0.0)])
def test_a_gradient_along_an_eigenvector_lies_within_it_or_without(axis: int, share: float) -> None:
    objective = quadratic([9.0, -7.0, 2.0, 1.0, 0.5], 0.3 * np.eye(5)[axis])
    pairs = hessian_eigenpairs(objective, 2, tolerance=1e-10, dtype="float64")
    assert gradient_alignment(objective, pairs) == pytest.approx(share, abs=1e-9)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=5, max_size=5), st.integers(1, 4))
def test_the_alignment_is_the_share_of_the_squares_in_the_eigenbasis(
    slopes: list[float], k: int
) -> None:
    squares = np.square(slopes)
    if squares.sum() < 1e-6:
        return
    objective = quadratic([9.0, -7.0, 5.0, 3.0, 1.0], slopes)
    pairs = hessian_eigenpairs(objective, k, tolerance=1e-10, dtype="float64")
    found = gradient_alignment(objective, pairs)
    assert 0 <= found <= 1
    assert found == pytest.approx(squares[:k].sum() / squares.sum(), abs=1e-6)


def test_no_gradient_has_no_alignment_and_foreign_eigenvectors_are_refused() -> None:
    objective = quadratic([3.0, 2.0, 1.0])
    pairs = hessian_eigenpairs(objective, 1)
    assert np.isnan(gradient_alignment(objective, pairs))
    with pytest.raises(TopographError, match="the eigenvectors have the parameters .*theta"):
        gradient_alignment(network(), pairs)


def test_the_condition_number_is_the_least_that_the_errors_allow() -> None:
    assert condition_number([100.0, -4.0, 0.5], [0.0, 0.0, 0.0]) == 200
    assert condition_number([100.0, -4.0, 0.5], [1.0, 0.1, 0.5]) == 99
    assert condition_number([100.0, 0.0], [0.0, 0.1]) == 1000
    assert condition_number([100.0, 0.0], [0.0, 0.0]) == np.inf
    assert np.isnan(condition_number([1.0, 0.0], [2.0, 0.0]))
    assert np.isnan(condition_number([], []))
    with pytest.raises(TopographError, match=r"shape \(2,\) and the errors \(3,\)"):
        condition_number([1.0, 2.0], [0.0] * 3)


@pytest.mark.parametrize(("whole", "least"), [(1024, 1e4), (0, 2)])
def test_flat_directions_between_the_ends_count_where_the_whole_hessian_is_known(
    monkeypatch: pytest.MonkeyPatch, whole: int, least: float
) -> None:
    monkeypatch.setattr(point, "DENSE", whole)
    curvatures = np.r_[np.linspace(10, 6, 5), np.full(90, 1e-3), np.full(5, -5.0)]
    found = stationary(quadratic(curvatures), eigenvalues=5)
    assert found.condition == pytest.approx(least, rel=1e-3)
    assert found.condition_is_lower_bound == (whole == 0)


def test_blocks_are_those_of_the_dense_hessian_and_their_traces_add_up() -> None:
    objective = network()
    _, hessian = dense(objective)
    table = layer_blocks(objective, dtype="float64").set_index("layer")
    assert table.index.tolist() == ["scale", "layers.0", "layers.2"]
    assert table["parameters"].tolist() == [1, 25, 18]
    ends = np.cumsum([0, 1, 25, 18])
    for layer, start, end in zip(table.index, ends[:-1], ends[1:], strict=True):
        block = hessian[start:end, start:end]
        values = np.linalg.eigvalsh(block)
        row = table.loc[layer]
        assert row["top_eigenvalue"] == pytest.approx(values[np.abs(values).argmax()], rel=1e-6)
        assert row["top_residual"] <= 1e-4 * abs(row["top_eigenvalue"])
        assert row["trace"] == pytest.approx(np.trace(block), rel=1e-9)
        assert row["trace_error"] == 0
    assert table["trace"].sum() == pytest.approx(np.trace(hessian), rel=1e-9)


def test_estimated_traces_of_large_blocks_add_up_within_their_errors() -> None:
    objective = network(width=33)
    table = layer_blocks(objective)
    assert (table["trace_error"] > 0).tolist() == [False, True, True]
    difference = table["trace"].sum() - np.trace(dense(objective)[1])
    assert abs(difference) < 4 * np.hypot.reduce(table["trace_error"])


def test_a_layer_of_dead_units_has_no_curvature() -> None:
    layers = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1)).eval()
    with torch.no_grad():
        layers[0].bias.fill_(-100)
    objective = Objective.from_model(layers, F.mse_loss, (torch.randn(5, 3), torch.ones(5, 1)))
    table = layer_blocks(objective).set_index("layer")
    assert table.loc["0", ["top_eigenvalue", "top_residual", "trace"]].tolist() == [0, 0, 0]
    # Only the bias of the last layer still moves the output: (b - 1)^2.
    assert table.loc["2", "top_eigenvalue"] == pytest.approx(2)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.05, 20), st.sampled_from([-1.0, 1.0]))
def test_a_valley_curves_across_and_not_along_its_floor(first: float, sign: float) -> None:
    first *= sign
    found = stationary(valley(first, 1 / first), eigenvalues=2)
    expected = [first**2 + first**-2, 0]
    np.testing.assert_allclose(found.top, expected, atol=1e-12 * expected[0])
    np.testing.assert_allclose(found.bottom, expected[::-1], atol=1e-12 * expected[0])
    assert (found.index, found.index_is_lower_bound) == (0, False)
    assert found.condition > 1e14 and found.condition_is_lower_bound


def test_the_origin_of_the_valley_is_a_saddle_of_index_one() -> None:
    found = stationary(valley(0.0, 0.0), eigenvalues=2)
    np.testing.assert_allclose(found.bottom, [-1, 1])
    assert (found.loss, found.gradient_norm, found.relative_step) == (0.5, 0, 0)
    assert (found.index, found.index_is_lower_bound) == (1, False)
    assert np.isnan(found.alignment)


def test_both_ends_of_a_network_are_those_of_its_dense_hessian() -> None:
    objective = network()
    gradient, hessian = dense(objective)
    values, vectors = np.linalg.eigh(hessian)
    found = stationary(objective, eigenvalues=6)
    np.testing.assert_allclose(found.bottom, values[:6], atol=1e-10)
    np.testing.assert_allclose(found.top, values[::-1][:6], atol=1e-10)
    assert found.loss == pytest.approx(float(objective.loss(objective.center)), rel=1e-6)
    assert found.gradient_norm == pytest.approx(np.linalg.norm(gradient), rel=1e-10)
    share = np.square(gradient @ vectors[:, -6:]).sum() / np.square(gradient).sum()
    assert found.alignment == pytest.approx(share, rel=1e-9)
    assert found.parameters == len(values)
    length = float(flatten(objective.at(torch.float64).center).norm())
    expected = found.gradient_norm / (np.abs(values).max() * length)
    assert found.relative_step == pytest.approx(expected, rel=1e-9)
    assert found.index == min(6, np.count_nonzero(values < -1e-12))
    sizes, rounding = np.abs(values), 10 * np.finfo(float).eps * np.abs(values).max()
    least = (sizes.max() - rounding) / (sizes.min() + rounding)
    assert found.condition == pytest.approx(least, rel=0.2 if sizes.min() < rounding else 1e-5)
    exact = stationary(objective, eigenvalues=len(values))
    np.testing.assert_allclose(exact.top, exact.bottom[::-1])


CROWD = np.r_[np.zeros(130), np.linspace(1e-7, 1e-2, 150)]


@pytest.fixture
def by_lanczos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small models are looked at as large ones are."""
    monkeypatch.setattr(point, "DENSE", 0)


@pytest.mark.usefixtures("by_lanczos")
def test_lanczos_finds_the_ends_that_the_dense_hessian_has() -> None:
    objective = trained(width=24)
    gradient, hessian = dense(objective)
    values, vectors = np.linalg.eigh(hessian)
    assert values[0] < -1e-3 and len(values) == 195
    found = stationary(objective, eigenvalues=6)
    lowest, highest = values[:6], values[::-1][:6]
    np.testing.assert_allclose(found.top, highest, rtol=1e-5)
    np.testing.assert_allclose(found.bottom, lowest, atol=2e-5 * values[-1])
    assert (np.abs(found.top - highest) <= found.top_errors).all()
    assert (np.abs(found.bottom - lowest) <= found.bottom_errors).all()
    share = np.square(gradient @ vectors[:, -6:]).sum() / np.square(gradient).sum()
    assert found.alignment == pytest.approx(share, abs=1e-4)


@pytest.mark.usefixtures("by_lanczos")
@pytest.mark.parametrize(
    ("lowest", "index"),
    [([], 0), ([-3.0, -3.0, -3.0, -1.0], 4), ([-0.2, -0.1], 2)],
    ids=["none", "copies", "shallow"],
)
def test_few_directions_down_are_found_below_a_crowd_around_zero(
    lowest: list[float], index: int
) -> None:
    objective = quadratic(np.r_[100.0, 60.0, 30.0, 20.0, 10.0, 5.0, lowest, CROWD])
    found = stationary(objective, eigenvalues=5)
    assert (found.index, found.index_is_lower_bound) == (index, False)
    np.testing.assert_allclose(found.bottom[:index], lowest, atol=1e-6)
    np.testing.assert_allclose(found.bottom[index:], 0, atol=1e-3)
    np.testing.assert_allclose(found.top, [100, 60, 30, 20, 10], rtol=1e-6)
    assert (np.abs(found.bottom[:index] - lowest) <= found.bottom_errors[:index]).all()


@pytest.mark.parametrize("whole", [0, 1024])
def test_more_directions_down_than_were_asked_for_are_a_lower_bound(
    whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(point, "DENSE", whole)
    found = stationary(quadratic(np.r_[9, 8, 7, 6, -5, -4, -3, -2, np.zeros(40)]), eigenvalues=3)
    assert (found.index, found.index_is_lower_bound) == (3, True)
    np.testing.assert_allclose(found.bottom, [-5, -4, -3], rtol=1e-4)


@pytest.mark.parametrize("whole", [0, 1024])
@pytest.mark.parametrize("curvature", [4.0, -4.0])
def test_a_bowl_and_a_hill_have_one_curvature_in_every_direction(
    curvature: float, whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(point, "DENSE", whole)
    found = stationary(quadratic(np.full(30, curvature)), eigenvalues=3)
    np.testing.assert_allclose([*found.top, *found.bottom], curvature)
    assert found.condition == pytest.approx(1)
    assert found.index == (3 if curvature < 0 else 0)
    assert found.index_is_lower_bound == (curvature < 0)


def test_a_slope_without_curvature_is_infinitely_far_from_a_stationary_point() -> None:
    flat = objective_of(lambda x: x.sum() + 0 * x.square().sum(), [1.0, 2.0])
    found = stationary(flat, eigenvalues=2)
    assert np.isnan(found.condition) and found.relative_step == np.inf
    assert found.index == 0


@pytest.mark.usefixtures("by_lanczos")
def test_a_lower_end_that_lanczos_does_not_find_is_said_to_be_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(point, "LANCZOS_VECTORS", 12)
    monkeypatch.setattr(point, "LANCZOS_RESTARTS", 1)
    # Wide apart at the upper end, which has restarts enough, and a crowd at the lower.
    spectrum = np.r_[np.geomspace(1e3, 1, 8), np.linspace(-999, -900, 200)]
    with pytest.raises(TopographError, match="did not find the 5 smallest eigenvalues: .* fewer"):
        stationary(quadratic(spectrum), eigenvalues=5)


@pytest.mark.usefixtures("by_lanczos")
def test_a_seed_gives_the_same_bits_and_the_generators_come_back_unchanged() -> None:
    objective = quadratic(np.r_[9.0, 7.0, 5.0, -4.0, np.zeros(100)], 1e-3)
    state = torch.get_rng_state()
    first, again = (stationary(objective, eigenvalues=2, seed=3) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    one, other = (layer_blocks(objective, seed=3) for _ in range(2))
    assert one.equals(other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("eigenvalues", [0, -1, 4])
def test_eigenvalues_out_of_range_are_refused_with_the_range(eigenvalues: int) -> None:
    with pytest.raises(
        TopographError, match=f"eigenvalues is {eigenvalues}; allowed: 1 to 3, the number"
    ):
        stationary(quadratic([1.0, 2.0, 3.0]), eigenvalues=eigenvalues)


@pytest.mark.parametrize("find", [stationary, layer_blocks])
def test_weights_that_are_not_finite_and_unknown_types_are_refused(
    find: Callable[..., object],
) -> None:
    broken = objective_of(lambda x: x.square().sum(), np.full(12, np.nan))
    steep = objective_of(lambda x: x.abs().pow(1.5).sum(), np.zeros(12))
    with pytest.raises(TopographError, match="the Hessian at the centre is not finite"):
        find(steep)
    for function in (find, gradient_norm):
        with pytest.raises(TopographError, match="parameters that are not finite"):
            function(broken)
        with pytest.raises(TopographError, match="unknown dtype 'float46' .*float64"):
            function(network(), dtype="float46")


def test_a_loss_without_gradient_is_refused() -> None:
    objective = objective_of(lambda x: (x > 0).double().mean().to(x), [1.0, 2.0])
    with pytest.raises(TopographError, match=r"does not depend on theta, .* gradient"):
        gradient_norm(objective)
