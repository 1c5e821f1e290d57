"""Eigenpairs equal dense ones and closed forms, copies and signs included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from topograph.foundation.errors import TopographError
from topograph.landscape import hessian
from topograph.landscape.hessian import Eigenpairs, HessianProduct, hessian_eigenpairs
from topograph.models.mlp import MLP
from topograph.objective.objective import Objective
from topograph.objective.pinn import pinn_objective
from topograph.objective.vectors import flatten, unflatten
from topograph.problems.convection import Convection


class Quadratic(nn.Module):
    """x'Hx / 2 at x = 0, H with given eigenvalues in a random basis."""

    def __init__(self, eigenvalues: Sequence[float]) -> None:
        super().__init__()
        values = np.asarray(eigenvalues, dtype=float)
        draw = np.random.default_rng(0)
        basis, _ = np.linalg.qr(draw.standard_normal((len(values), len(values))))
        self.x = nn.Parameter(torch.zeros(len(values), dtype=torch.float64))
        self.register_buffer("hessian", torch.from_numpy(basis * values @ basis.T))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.x @ self.hessian @ self.x / 2 + 0 * inputs.sum()


def quadratic(eigenvalues: Sequence[float]) -> Objective:
    data = (torch.zeros(1, 1), torch.zeros(1))
    return Objective.from_model(Quadratic(eigenvalues).eval(), lambda outputs, _: outputs, data)


def dense(objective: Objective) -> np.ndarray:
    """The Hessian at the centre by nested reverse differentiation, (N, N)."""
    placed = objective.at(torch.float64)

    def loss(flat: torch.Tensor) -> torch.Tensor:
        return placed.terms(unflatten(flat, placed.center))["loss"]

    # Only attention by its plain formula has a second derivative.
    with sdpa_kernel(SDPBackend.MATH):
        return torch.autograd.functional.hessian(loss, flatten(placed.center)).numpy()


def by_magnitude(hessian: np.ndarray) -> np.ndarray:
    values = np.linalg.eigvalsh(hessian)
    return values[np.argsort(-np.abs(values))]


def exactly(objective: Objective, k: int, **options: object) -> Eigenpairs:
    return hessian_eigenpairs(objective, k, dtype="float64", tolerance=1e-12, **options)


def rows(pairs: Eigenpairs) -> np.ndarray:
    parts = [v.reshape(len(v), -1).double().numpy() for v in pairs.vectors.values()]
    return np.concatenate(parts, axis=1)


@pytest.fixture(scope="module")
def classifier() -> Objective:
    """A network of 59 parameters with batch norm."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 4))
    return Objective.from_model(
        network.eval(), F.cross_entropy, (torch.randn(20, 4), torch.arange(20) % 4)
    )


@pytest.mark.parametrize("kind", ["classifier", "mse_loss", "attention", "pinn"])
def test_eigenpairs_equal_the_dense_ones(kind: str, classifier: Objective) -> None:
    torch.manual_seed(1)
    objective = classifier
    if kind == "mse_loss":
        data = (torch.randn(9, 3), torch.randn(9, 2))
        network = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2)).eval()
        objective = Objective.from_model(network, F.mse_loss, data)
    elif kind == "attention":
        layer = nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0, batch_first=True)
        data = (torch.randn(6, 3, 4), torch.randn(6, 3, 4))
        objective = Objective.from_model(layer.eval(), F.mse_loss, data)
    elif kind == "pinn":
        objective = pinn_objective(Convection(3.0), MLP(2, 1, width=5, depth=2).eval())
    hessian = dense(objective)
    pairs = exactly(objective, 6)
    np.testing.assert_allclose(pairs.values, by_magnitude(hessian)[:6], rtol=1e-9)
    vectors = rows(pairs)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(6), atol=1e-9)
    np.testing.assert_allclose(
        vectors @ hessian, pairs.values[:, None] * vectors, atol=1e-7 * abs(pairs.values[0])
    )


def test_float32_finds_the_same_values_to_its_tolerance(classifier: Objective) -> None:
    pairs = hessian_eigenpairs(classifier, 4)
    np.testing.assert_allclose(pairs.values, by_magnitude(dense(classifier))[:4], rtol=1e-3)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_linear_regression_has_the_hessian_of_its_closed_form(reduction: str) -> None:
    torch.manual_seed(0)
    inputs, targets = torch.randn(10, 4), torch.randn(10, 3)

    def loss(outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(outputs, wanted, reduction=reduction)

    network = nn.Linear(4, 3, bias=False).eval()
    objective = Objective.from_model(network, loss, (inputs, targets))
    x = inputs.double().numpy()
    scale = 2.0 if reduction == "sum" else 2.0 / 30
    expected = by_magnitude(np.kron(np.eye(3), scale * x.T @ x))
    np.testing.assert_allclose(exactly(objective, 11).values, expected[:11], rtol=1e-9)


def test_softmax_regression_has_the_hessian_of_its_closed_form() -> None:
    torch.manual_seed(0)
    inputs, targets = torch.randn(12, 3), torch.arange(12) % 4
    network = nn.Linear(3, 4, bias=False).eval()
    objective = Objective.from_model(network, F.cross_entropy, (inputs, targets))
    with torch.no_grad():
        shares = network.double()(inputs.double()).softmax(dim=1).numpy()
    expected = np.zeros((12, 12))
    for p, x in zip(shares, inputs.double().numpy(), strict=True):
        expected += np.kron(np.diag(p) - np.outer(p, p), np.outer(x, x)) / 12
    np.testing.assert_allclose(exactly(objective, 8).values, by_magnitude(expected)[:8], rtol=1e-8)


@pytest.mark.parametrize("k", [3, 10, 12])
def test_every_copy_of_a_tenfold_eigenvalue_is_found(k: int) -> None:
    others = np.linspace(0.1, 3.0, 30)
    pairs = exactly(quadratic([*[5.0] * 10, *others]), k)
    expected = np.sort(np.r_[np.full(10, 5.0), others])[::-1][:k]
    np.testing.assert_allclose(pairs.values, expected, rtol=1e-9)
    np.testing.assert_allclose(rows(pairs) @ rows(pairs).T, np.eye(k), atol=1e-7)


def test_values_keep_their_sign_and_are_sorted_by_magnitude() -> None:
    eigenvalues = [-163.0, 120.0, -100.0, 90.0, *np.linspace(-5, 5, 21)]
    np.testing.assert_allclose(exactly(quadratic(eigenvalues), 4).values, eigenvalues[:4])


@pytest.mark.parametrize(
    "eigenvalues",
    [
        np.arange(1.0, 31),
        -np.arange(1.0, 31),
        np.arange(-14.0, 15),
        np.r_[[2.0] * 4, np.arange(3, 20)],
    ],
    ids=["positive", "negative", "mixed", "multiple"],
)
def test_largest_and_smallest_are_the_ends_of_the_spectrum(eigenvalues: np.ndarray) -> None:
    objective = quadratic(eigenvalues)
    ascending = np.sort(eigenvalues)
    smallest = exactly(objective, 4, which="smallest")
    np.testing.assert_allclose(smallest.values, ascending[:4], rtol=1e-8)
    largest = exactly(objective, 4, which="largest")
    np.testing.assert_allclose(largest.values, ascending[::-1][:4], rtol=1e-8)
    for pairs in (smallest, largest):
        np.testing.assert_allclose(rows(pairs) @ rows(pairs).T, np.eye(4), atol=1e-7)


def test_a_hessian_of_low_rank_has_zeros_after_its_rank() -> None:
    pairs = exactly(quadratic([7.0, -3.0, *[0.0] * 20]), 5)
    np.testing.assert_allclose(pairs.values, [7, -3, 0, 0, 0], atol=1e-9)


def test_the_result_does_not_depend_on_the_batch_size(classifier: Objective) -> None:
    torch.manual_seed(0)
    network = nn.Linear(4, 3).eval()
    inputs, targets = torch.randn(20, 4), torch.arange(20) % 3
    found = []
    for size in (20, 7, 1):
        batches = list(zip(inputs.split(size), targets.split(size), strict=True))
        found.append(exactly(Objective.from_model(network, F.cross_entropy, batches), 5).values)
    np.testing.assert_allclose(found[1:], [found[0]] * 2, rtol=1e-9)


def test_residuals_are_those_of_the_vectors_and_products_are_counted(
    classifier: Objective,
) -> None:
    hessian = dense(classifier)
    rough = hessian_eigenpairs(classifier, 3, dtype="float64", tolerance=1e-2)
    found = np.linalg.norm(rows(rough) @ hessian - rough.values[:, None] * rows(rough), axis=1)
    np.testing.assert_allclose(rough.residuals, found, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(rows(rough), axis=1), 1, rtol=1e-9)
    fine = exactly(classifier, 3)
    assert fine.residuals.max() < 1e-8
    assert 3 < rough.products <= fine.products


def test_a_seed_gives_the_same_bits(classifier: Objective) -> None:
    first, second = (hessian_eigenpairs(classifier, 3, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(rows(first), rows(second))


@pytest.mark.parametrize("k", [0, -1, 5, 6])
def test_k_out_of_range_is_refused_with_the_range(k: int) -> None:
    with pytest.raises(TopographError, match=f"k is {k}; allowed: 1 to 4"):
        hessian_eigenpairs(quadratic(range(1, 6)), k)


def test_all_but_one_eigenvalue_can_be_asked_for() -> None:
    for which, expected in (("magnitude", [5, 4, 3, 2]), ("smallest", [1, 2, 3, 4])):
        found = exactly(quadratic(range(1, 6)), 4, which=which).values
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_rounding_below_zero_is_not_followed_through_a_null_space(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    product, lanczos = HessianProduct.__call__, hessian._lanczos
    searches: list[object] = []

    def noisy(self: HessianProduct, vector: np.ndarray) -> np.ndarray:
        # Each search finds a value a little below the last, as float32 did on some processors.
        return product(self, vector) - 1e-7 * len(searches) * vector

    def counted(*given: Any) -> tuple[np.ndarray, np.ndarray]:
        searches.append(given)
        return lanczos(*given)

    monkeypatch.setattr(HessianProduct, "__call__", noisy)
    monkeypatch.setattr(hessian, "_lanczos", counted)
    found = hessian_eigenpairs(quadratic([0.0, 0.0, 0.0, 4.25]), 1, which="smallest")
    assert abs(found.values[0]) < 1e-6
    assert len(searches) == 2


def test_an_unknown_end_is_answered_with_the_nearest() -> None:
    with pytest.raises(TopographError, match=r"unknown which 'larges' \(did you mean 'largest'"):
        hessian_eigenpairs(quadratic([1.0, 2.0, 3.0]), 1, which="larges")


def test_a_hessian_that_overflows_is_refused() -> None:
    objective = quadratic(np.full(20, 1e39))
    with pytest.raises(TopographError, match="the Hessian at the centre is not finite"):
        hessian_eigenpairs(objective, 2, dtype="float32")


class HalfUsed(nn.Module):
    """A linear layer whose bias the loss sees, beside parameters that it never sees."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(3, 2), nn.Linear(2, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.used(inputs)


def test_parameters_without_curvature_have_zeros() -> None:
    generator = torch.Generator().manual_seed(0)
    batch = (torch.randn(5, 3, generator=generator), torch.randn(5, 2, generator=generator))
    curved = Objective.from_model(HalfUsed().eval(), F.mse_loss, batch)
    pairs = exactly(curved, 9)
    assert np.count_nonzero(pairs.values > 1e-9) == 8
    assert float(abs(pairs.vectors["unused.weight"][:8]).max()) < 1e-9

    flat = Objective.from_model(HalfUsed().eval(), lambda outputs, _: outputs.mean(), batch)
    with pytest.raises(TopographError, match="no curvature at the centre"):
        hessian_eigenpairs(flat, 1)


def test_a_block_has_the_eigenpairs_of_its_part_of_the_dense_hessian(
    classifier: Objective,
) -> None:
    first = sum(v.numel() for name, v in classifier.center.items() if name.startswith("0."))
    pairs = exactly(classifier.restricted("0.*"), 5)
    assert list(pairs.vectors) == ["0.weight", "0.bias"]
    expected = by_magnitude(dense(classifier)[:first, :first])[:5]
    np.testing.assert_allclose(pairs.values, expected, rtol=1e-9)
