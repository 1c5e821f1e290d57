"""Trace and density equal closed forms and dense Hessians within the errors that they state."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from topograph.foundation.errors import TopographError
from topograph.landscape.hessian import hessian_eigenpairs
from topograph.landscape.spectrum import Density, hessian_density, hessian_trace
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten, unflatten

ESTIMATES = [hessian_trace, hessian_density]
OUTLIERS = np.linspace(50.0, 200.0, 10)


class Mirrored(nn.Module):
    """x'Hx / 2 at x = 0: H with given eigenvalues, its basis mirrored twice out of the axes."""

    def __init__(self, eigenvalues: np.ndarray) -> None:
        super().__init__()
        draw = np.random.default_rng(0)
        self.x = nn.Parameter(torch.zeros(len(eigenvalues), dtype=torch.float64))
        self.register_buffer("eigenvalues", torch.from_numpy(np.asarray(eigenvalues, dtype=float)))
        mirrors = draw.standard_normal((2, len(eigenvalues)))
        mirrors /= np.linalg.norm(mirrors, axis=1, keepdims=True)
        self.register_buffer("mirrors", torch.from_numpy(mirrors))

    def forward(self, inputs: Tensor) -> Tensor:
        turned = self.x
        for mirror in self.mirrors:
            turned = turned - 2 * mirror * (mirror @ turned)
        return (self.eigenvalues * turned.square()).sum() / 2 + 0 * inputs.sum()


def quadratic(eigenvalues: np.ndarray) -> Objective:
    data = (torch.zeros(1, 1), torch.zeros(1))
    return Objective.from_model(Mirrored(eigenvalues).eval(), lambda outputs, _: outputs, data)


@pytest.fixture(scope="module")
def with_outliers() -> tuple[Objective, np.ndarray]:
    """2000 eigenvalues, ten of them far out: the case in which rivals stop too soon."""
    eigenvalues = np.r_[OUTLIERS, np.linspace(-0.5, 3.0, 1990)]
    return quadratic(eigenvalues), eigenvalues


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """1119 parameters, batch norm among them: more than are done exactly."""
    torch.manual_seed(0)
    layers = [nn.Linear(6, 30), nn.BatchNorm1d(30), nn.Tanh(), nn.Linear(30, 24)]
    found = nn.Sequential(*layers, nn.Tanh(), nn.Linear(24, 5))
    found(torch.randn(64, 6))
    return found.eval()


@pytest.fixture(scope="module")
def examples() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(20, 6, generator=generator), torch.arange(20) % 5


def classifier(network: nn.Module, data: object, parameters: str = "*") -> Objective:
    return Objective.from_model(network, F.cross_entropy, data, parameters=parameters)


def dense(objective: Objective) -> np.ndarray:
    """The Hessian at the centre by nested reverse differentiation, (N, N)."""
    placed = objective.at(torch.float64)

    def loss(flat: Tensor) -> Tensor:
        return placed.terms(unflatten(flat, placed.center))["loss"]

    return torch.autograd.functional.hessian(loss, flatten(placed.center)).numpy()


def moment(found: Density, power: int) -> float:
    return float(np.trapezoid(found.grid**power * found.density, found.grid))


def bump(eigenvalues: np.ndarray) -> float:
    return 0.006 * float(np.ptp(eigenvalues))


def bumps(grid: np.ndarray, eigenvalues: np.ndarray) -> np.ndarray:
    width = bump(eigenvalues)
    heights = np.exp(-(((grid - eigenvalues[:, None]) / width) ** 2) / 2)
    return heights.mean(axis=0) / (width * np.sqrt(2 * np.pi))


def test_the_trace_lies_within_three_standard_errors_for_nearly_every_seed(
    with_outliers: tuple[Objective, np.ndarray],
) -> None:
    objective, eigenvalues = with_outliers
    found = [hessian_trace(objective, seed=seed, dtype="float64") for seed in range(20)]
    errors = np.array([trace.value for trace in found]) - eigenvalues.sum()
    stated = np.array([trace.standard_error for trace in found])
    assert np.mean(np.abs(errors) < 3 * stated) >= 0.95
    # Neither too small nor too large: the stated errors are those that are made.
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(stated.mean(), rel=0.35)
    assert np.abs(errors).max() < 0.02 * eigenvalues.sum()


def test_the_trace_has_no_bias(with_outliers: tuple[Objective, np.ndarray]) -> None:
    objective, eigenvalues = with_outliers
    found = [hessian_trace(objective, probes=2, seed=seed).value for seed in range(150)]
    error = np.mean(found) - eigenvalues.sum()
    assert abs(error) < 3 * np.std(found, ddof=1) / np.sqrt(len(found))


def test_more_probes_shrink_the_error_by_their_square_root(
    with_outliers: tuple[Objective, np.ndarray],
) -> None:
    few, many = (
        np.mean([hessian_trace(with_outliers[0], probes=p, seed=s)[1] for s in range(6)])
        for p in (20, 180)
    )
    assert few / many == pytest.approx(3, rel=0.25)


def test_the_density_has_the_moments_of_the_spectrum(
    with_outliers: tuple[Objective, np.ndarray],
) -> None:
    objective, eigenvalues = with_outliers
    means, squares = [], []
    for seed in range(12):
        found = hessian_density(objective, seed=seed, dtype="float64")
        assert moment(found, 0) == pytest.approx(1, abs=1e-6)
        means.append(moment(found, 1))
        squares.append(moment(found, 2))
    for moments, exact in (
        (means, eigenvalues.mean()),
        (squares, (eigenvalues**2).mean() + bump(eigenvalues) ** 2),
    ):
        stated = np.std(moments, ddof=1) / np.sqrt(len(moments))
        assert abs(np.mean(moments) - exact) < 3 * stated
        assert stated < 0.1 * exact


def test_the_density_lies_within_three_standard_errors_for_nearly_every_seed() -> None:
    eigenvalues = np.repeat([-2.0, 0.0, 1.0, 5.0], [50, 500, 200, 30])
    objective = quadratic(eigenvalues)
    within = []
    for seed in range(12):
        found = hessian_density(objective, seed=seed, dtype="float64")
        peaks = [np.abs(found.grid - value).argmin() for value in np.unique(eigenvalues)]
        error = (found.density - bumps(found.grid, eigenvalues))[peaks]
        within.extend(np.abs(error) < 3 * found.standard_error[peaks])
    assert np.mean(within) >= 0.95


def test_the_grid_reaches_a_little_beyond_the_extreme_eigenvalues(
    with_outliers: tuple[Objective, np.ndarray],
) -> None:
    objective, eigenvalues = with_outliers
    grid, density, error = hessian_density(objective, probes=2)
    assert grid.shape == density.shape == error.shape == (1024,)
    margin = 0.05 * np.ptp(eigenvalues)
    assert grid[0] == pytest.approx(eigenvalues.min() - margin, abs=0.1 * margin)
    assert grid[-1] == pytest.approx(eigenvalues.max() + margin, abs=0.1 * margin)
    np.testing.assert_allclose(density[[0, -1]], 0, atol=1e-6)


@pytest.mark.parametrize("eigenvalues", [[3.0, -1.0], [2.0, 2.0, 5.0], np.linspace(-1, 9, 90)])
def test_small_models_are_done_exactly(eigenvalues: np.ndarray) -> None:
    objective, values = quadratic(np.asarray(eigenvalues)), np.asarray(eigenvalues)
    trace = hessian_trace(objective, dtype="float64")
    assert trace.value == pytest.approx(values.sum(), rel=1e-12)
    assert trace.standard_error == 0
    grid, density, error = hessian_density(objective, dtype="float64")
    np.testing.assert_allclose(density, bumps(grid, values), rtol=1e-8, atol=1e-12)
    assert not error.any()


def test_a_model_of_one_parameter_has_a_trace_and_no_density() -> None:
    objective = quadratic(np.array([4.0]))
    assert hessian_trace(objective).value == pytest.approx(4)
    with pytest.raises(TopographError, match="every eigenvalue of the Hessian is 4 to rounding"):
        hessian_density(objective)


@pytest.mark.parametrize("size", [50, 900])
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_copies_of_one_eigenvalue_have_a_trace_and_no_density(size: int, value: float) -> None:
    objective = quadratic(np.full(size, value))
    trace = hessian_trace(objective)
    rounding = 1e-5 * size * value
    assert abs(trace.value - size * value) <= 3 * trace.standard_error + rounding
    with pytest.raises(TopographError, match=f"every eigenvalue of the Hessian is {value:g} to"):
        hessian_density(objective)


@pytest.mark.parametrize("outliers", [[7.0], [7.0, -3.0], [5.0, 5.0, 5.0, 1.0]])
def test_a_hessian_of_low_rank_has_its_trace_and_a_density_mostly_at_zero(
    outliers: list[float],
) -> None:
    objective = quadratic(np.r_[outliers, np.zeros(800)])
    trace = hessian_trace(objective, dtype="float64")
    assert trace.value == pytest.approx(sum(outliers), abs=1e-9)
    assert trace.standard_error < 1e-9
    found = hessian_density(objective, dtype="float64")
    assert moment(found, 0) == pytest.approx(1, abs=1e-6)
    assert abs(found.grid[found.density.argmax()]) < 0.01 * np.ptp(found.grid)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_with_batch_norm_agrees_with_its_dense_hessian(
    network: nn.Module, examples: tuple[Tensor, Tensor], dtype: str
) -> None:
    objective = classifier(network, examples)
    eigenvalues = np.linalg.eigvalsh(dense(objective))
    trace = hessian_trace(objective, dtype=dtype)
    assert abs(trace.value - eigenvalues.sum()) < 3 * trace.standard_error
    assert trace.standard_error < 0.05 * np.abs(eigenvalues).sum()
    found = hessian_density(objective, probes=20, dtype=dtype)
    assert abs(moment(found, 1) - eigenvalues.mean()) < 0.02 * np.abs(eigenvalues).mean()
    true = bumps(found.grid, eigenvalues)
    assert np.trapezoid(np.abs(found.density - true), found.grid) < 0.1


def test_linear_regression_has_the_trace_of_its_closed_form() -> None:
    torch.manual_seed(0)
    inputs, targets = torch.randn(40, 60), torch.randn(40, 3)

    def loss(outputs: Tensor, wanted: Tensor) -> Tensor:
        return F.mse_loss(outputs, wanted, reduction="sum")

    objective = Objective.from_model(nn.Linear(60, 3, bias=False).eval(), loss, (inputs, targets))
    squares = 2 * inputs.double().T @ inputs.double()
    found = hessian_trace(objective, dtype="float64")
    assert abs(found.value - 3 * squares.trace().item()) < 3 * found.standard_error
    # 180 parameters are fewer than 640 products: the spectrum of I x 2 X'X, exactly.
    grid, density, _ = hessian_density(objective, dtype="float64")
    exact = bumps(grid, np.linalg.eigvalsh(squares.numpy()))
    np.testing.assert_allclose(density, exact, rtol=1e-6, atol=1e-9)


def test_softmax_regression_has_the_trace_of_its_closed_form() -> None:
    torch.manual_seed(0)
    inputs, targets = torch.randn(30, 50), torch.arange(30) % 4
    model = nn.Linear(50, 4, bias=False).eval()
    objective = Objective.from_model(model, F.cross_entropy, (inputs, targets))
    with torch.no_grad():
        shares = copy.deepcopy(model).double()(inputs.double()).softmax(dim=1)
    spread = 1 - shares.square().sum(dim=1)
    exact = (spread * inputs.double().square().sum(dim=1)).mean().item()
    found = hessian_trace(objective, dtype="float64")
    assert abs(found.value - exact) < 3 * found.standard_error
    assert found.standard_error < 0.02 * exact


@pytest.mark.parametrize("size", [1, 7])
def test_the_batch_size_changes_nothing(
    network: nn.Module, examples: tuple[Tensor, Tensor], size: int
) -> None:
    inputs, targets = examples
    batches = list(zip(inputs.split(size), targets.split(size), strict=True))
    whole, cut = classifier(network, examples), classifier(network, batches)
    options = {"probes": 4, "dtype": "float64"}
    np.testing.assert_allclose(
        hessian_trace(cut, **options), hessian_trace(whole, **options), rtol=1e-9
    )
    one, other = hessian_density(whole, **options), hessian_density(cut, **options)
    np.testing.assert_allclose(other.grid, one.grid, rtol=1e-9)
    for power in (1, 2):
        assert moment(other, power) == pytest.approx(moment(one, power), rel=1e-6)
    # Lanczos without reorthogonalisation magnifies rounding, to less than probes differ.
    difference = np.trapezoid(np.abs(other.density - one.density), one.grid)
    assert difference < np.trapezoid(one.standard_error, one.grid)


def test_a_layer_has_the_trace_and_the_density_of_its_block(
    network: nn.Module, examples: tuple[Tensor, Tensor]
) -> None:
    block, whole = classifier(network, examples, "3.*"), classifier(network, examples)
    start = sum(p.numel() for name, p in network.named_parameters() if name < "3")
    end = start + sum(p.numel() for p in network[3].parameters())
    hessian = dense(whole)[start:end, start:end]
    trace = hessian_trace(block, dtype="float64")
    assert abs(trace.value - np.trace(hessian)) < 3 * trace.standard_error
    found = hessian_density(block, probes=20, dtype="float64")
    exact = bumps(found.grid, np.linalg.eigvalsh(hessian))
    assert np.trapezoid(np.abs(found.density - exact), found.grid) < 0.1
    first = whole.restricted("0.*")
    small = hessian_trace(first, probes=300, dtype="float64")
    expected = np.trace(dense(whole)[:210, :210])
    assert small.value == pytest.approx(expected, rel=1e-10)
    assert small.standard_error == 0


def test_frozen_parameters_are_no_part_of_it(
    network: nn.Module, examples: tuple[Tensor, Tensor]
) -> None:
    frozen = copy.deepcopy(network)
    frozen[3].requires_grad_(False)
    found = hessian_trace(classifier(frozen, examples), probes=600, dtype="float64")
    named = [*network.named_parameters()]
    kept = np.concatenate([np.full(p.numel(), not name.startswith("3.")) for name, p in named])
    expected = dense(classifier(network, examples)).diagonal()[kept].sum()
    assert found == pytest.approx((expected, 0.0), rel=1e-9)


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_a_seed_gives_the_same_bits_and_another_seed_others(
    estimate, network: nn.Module, examples: tuple[Tensor, Tensor]
) -> None:
    objective = classifier(network, examples)
    first, again, other = (estimate(objective, probes=3, seed=seed) for seed in (4, 4, 5))
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, different)


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_generators_and_the_model_come_back_unchanged(
    estimate, network: nn.Module, examples: tuple[Tensor, Tensor]
) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    estimate(classifier(network, examples), probes=2)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert not network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize("probes", [1, 0, -3])
def test_too_few_probes_are_refused(estimate, probes: int) -> None:
    with pytest.raises(TopographError, match=f"probes is {probes}; .* at least 2"):
        estimate(quadratic(np.arange(5.0)), probes=probes)


@pytest.mark.parametrize("estimate", [*ESTIMATES, lambda o, **k: hessian_eigenpairs(o, 2, **k)])
def test_an_unknown_dtype_is_answered_with_the_nearest(estimate) -> None:
    with pytest.raises(TopographError, match=r"dtype 'float' \(did you mean 'float(32|64)'\?\)"):
        estimate(quadratic(np.arange(5.0)), dtype="float")


@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize("size", [20, 900])
def test_a_hessian_that_overflows_is_refused(estimate, size: int) -> None:
    with pytest.raises(TopographError, match="the Hessian at the centre is not finite"):
        estimate(quadratic(np.full(size, 1e39)))


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_a_loss_without_gradient_is_refused(
    estimate, network: nn.Module, examples: tuple[Tensor, Tensor]
) -> None:
    def errors(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(dim=1) != targets).float().mean()

    objective = Objective.from_model(network, errors, examples)
    with pytest.raises(TopographError, match=r"does not depend on 0\.weight, 0\.bias, .* gradient"):
        estimate(objective)
