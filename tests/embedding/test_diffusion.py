"""Diffusion by components and symmetric powers against plain dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from topograph.embedding.diffusion import (
    POTENTIAL_FLOOR,
    adaptive_kernel,
    component_count,
    diffusion_potential,
    von_neumann_entropy,
)

# Two long walks far apart: a kernel of two components, sparse enough for sparse products.
STEPS = np.random.default_rng(0).standard_normal((2, 250, 5))
WALKS = np.cumsum(STEPS, axis=1) + np.array([0.0, 1e4])[:, None, None]
KERNEL = adaptive_kernel(squareform(pdist(WALKS.reshape(-1, 5))), 5, decay=40)
OPERATOR = KERNEL.toarray() / KERNEL.toarray().sum(axis=1, keepdims=True)


@pytest.mark.parametrize("t", [1, 2, 3, 22, 100])
def test_the_potential_is_that_of_a_dense_power(t: int) -> None:
    assert component_count(KERNEL) == 2
    expected = -np.log(np.linalg.matrix_power(OPERATOR, t) + POTENTIAL_FLOOR)
    np.testing.assert_allclose(diffusion_potential(KERNEL, t), expected, atol=1e-9)


def test_the_entropy_is_that_of_the_singular_values() -> None:
    values = np.linalg.svd(OPERATOR, compute_uv=False)
    found = von_neumann_entropy(KERNEL)
    for power in (1, 2, 50, 100):
        shares = values**power / np.sum(values**power)
        expected = -np.sum(shares * np.log(shares + np.finfo(float).eps))
        assert found[power - 1] == pytest.approx(expected, abs=1e-6)
