"""Diffusion on the kernel graph of points: its pieces, the time it should run, its potential."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from scipy.sparse.csgraph import connected_components

from topograph.embedding.distances import FloatArray

KERNEL_THRESHOLD = 1e-4
LONGEST_DIFFUSION = 100
POTENTIAL_FLOOR = 1e-7
# Sparse products of fuller matrices are slower than dense ones.
FULL = 0.05


def adaptive_kernel(distances: FloatArray, knn: int, *, decay: float) -> csr_array:
    """Return the symmetric kernel (N, N): exp(-(d / bandwidth) ** decay), small entries left out.

    ``distances`` is (N, N) with a zero diagonal; the bandwidth of a point is the distance of its
    knn-th neighbour. Source: Moon et al. 2019 (doi 10.1038/s41587-019-0336-3).
    """
    # The zero on the diagonal sorts first, so position knn is the knn-th neighbour other than self.
    bandwidth = np.partition(distances, knn, axis=1)[:, knn, None]
    # A point with knn duplicates has bandwidth 0; the limit connects it to its duplicates alone.
    bandwidth = np.maximum(bandwidth, np.finfo(np.float64).eps)
    # Powers are slow, and nearly all would be below the threshold; the margin is for rounding.
    reach = (-np.log(KERNEL_THRESHOLD)) ** (1 / decay) * (1 + 1e-9)
    rows, columns = np.nonzero(distances <= reach * bandwidth)
    values = np.exp(-((distances[rows, columns] / bandwidth[rows, 0]) ** decay))
    kept = values >= KERNEL_THRESHOLD
    kernel = csr_array((values[kept], (rows[kept], columns[kept])), shape=distances.shape)
    return csr_array((kernel + kernel.T) / 2)


def component_count(kernel: csr_array) -> int:
    """Return the number of connected components of a kernel's graph."""
    return int(connected_components(kernel, directed=False)[0])


def von_neumann_entropy(kernel: csr_array) -> FloatArray:
    """Return the entropy (100,) of the singular values of the diffusion operator's powers 1 to 100.

    The operator is the kernel with rows that sum to 1; its singular values are those of its
    components, taken from products with the transpose, so that small ones hold to 1e-8.
    """
    found = []
    for _, block, sums in _components(kernel):
        operator = csr_array(block / sums[:, None])
        squares = np.linalg.eigvalsh((operator @ operator.T).toarray())
        found.append(np.sqrt(np.maximum(squares, 0.0)))
    values = np.concatenate(found)
    entropy = np.empty(LONGEST_DIFFUSION)
    weights = np.ones_like(values)
    for power in range(LONGEST_DIFFUSION):
        # Singular values may exceed 1: normalising at each power keeps the product finite.
        weights = weights * values
        weights /= weights.sum()
        shares = weights + np.finfo(np.float64).eps
        entropy[power] = -np.sum(shares * np.log(shares))
    return entropy


def knee(entropy: FloatArray) -> int:
    """Return the time at which two straight lines through the entropy leave the least |residual|.

    Entry 0 is the entropy of power 1, but the time found is used as the power, as published.
    """
    times = np.arange(len(entropy))
    errors = []
    for time in times[1:-1]:
        before = _residuals(times[: time + 1], entropy[: time + 1])
        # The reference implementation fits this line one point early and scores it without that
        # point; least squares from the knee itself would move t by one on some data.
        after = _residuals(times[time - 1 :], entropy[time - 1 :])[1:]
        errors.append(np.abs(before).sum() + np.abs(after).sum())
    return 1 + int(np.argmin(errors))


def diffusion_potential(kernel: csr_array, t: int) -> FloatArray:
    """Return -ln(P^t + 1e-7), (N, N), P being the kernel with rows that sum to 1.

    Points of other components are never reached and have the largest potential, 16.118.
    """
    potential = np.full(kernel.shape, -np.log(POTENTIAL_FLOOR))
    for members, block, sums in _components(kernel):
        root = np.sqrt(sums)
        # P is similar to a symmetric matrix, whose squares cost half as much. All its entries are
        # positive, so that no digit is lost on the way there and back.
        step = csr_array(block / root[:, None] / root)
        reached = _power(step, t) * (root / root[:, None])
        potential[np.ix_(members, members)] = -np.log(reached + POTENTIAL_FLOOR)
    return potential


def _components(
    kernel: csr_array,
) -> Iterator[tuple[NDArray[np.int64], csr_array, FloatArray]]:
    """Return the members of each component, the kernel among them, and the sums of its rows."""
    count, labels = connected_components(kernel, directed=False)
    sums = np.asarray(kernel.sum(axis=1))
    for label in range(count):
        members = np.flatnonzero(labels == label)
        yield members, kernel[members][:, members], sums[members]


def _power(step: csr_array, t: int) -> FloatArray:
    """Return a power of a symmetric matrix, dense, by squaring."""
    power = step
    for bit in f"{t:b}"[1:]:
        if issparse(power) and power.nnz > FULL * power.shape[0] ** 2:
            power = power.toarray()
        power = power @ power.T
        if bit == "1":
            power = step @ power
    return power.toarray() if issparse(power) else power


def _residuals(x: NDArray[np.int64], y: FloatArray) -> FloatArray:
    x = x - x.mean()
    y = y - y.mean()
    return y - x * (x @ y) / (x @ x)
