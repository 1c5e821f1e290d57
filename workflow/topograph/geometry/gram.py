"""Distances and principal components from a Gram matrix, without the points themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from topograph.foundation.errors import TopographError

FloatArray = NDArray[np.float64]


def distances(gram: ArrayLike) -> FloatArray:
    """Return the Euclidean distances between points known by their inner products.

    ``gram`` is (N, N), the result (N, N) in float64 with a zero diagonal, in the units of the
    points. Points that are not finite keep distances that are not finite.
    Raises TopographError where ``gram`` is not square.
    """
    gram = _square(gram)
    norms = np.diagonal(gram)
    # G + G^T keeps the result symmetric to the last bit where a chunked product left G lopsided.
    squared = norms[:, None] + norms[None, :] - (gram + gram.T)
    result = np.sqrt(np.maximum(squared, 0.0))
    np.fill_diagonal(result, 0.0)
    return result


def centred(gram: ArrayLike) -> FloatArray:
    """Return the Gram matrix of the points after their mean is subtracted: J G J, J = I - 11ᵀ/N.

    ``gram`` and the result are (N, N), in squared units of the points.
    Raises TopographError where ``gram`` is not square.
    """
    half = _square(gram)
    half = half - half.mean(axis=0, keepdims=True)
    return half - half.mean(axis=1, keepdims=True)


def principal_scores(gram: ArrayLike, components: int = 100) -> FloatArray:
    """Return the exact principal component scores of points known by their inner products.

    ``gram`` is (N, N), the result (N, min(components, N)) in the units of the points, largest
    variance first; the entry of largest magnitude in each column is positive.
    Raises TopographError where ``gram`` is not square or not finite, or ``components`` below 1.
    Source: classical scaling (Gower 1966); for a trajectory's points, Horoi et al. 2022
    (arXiv 2102.00485), whose PHATE reads 100 scores.
    """
    gram = _square(gram)
    if components < 1:
        raise TopographError(
            f"components is {components}; allowed: 1 or more; ask for at least one score per point"
        )
    broken = int(np.count_nonzero(~np.isfinite(gram).all(axis=1)))
    if broken:
        raise TopographError(
            f"the Gram matrix has values that are not finite in {broken} of {len(gram)} rows; "
            "allowed: finite values; leave out the points of diverged trainings"
        )
    values, vectors = np.linalg.eigh(centred(gram))
    values, vectors = values[::-1][:components], vectors[:, ::-1][:, :components]
    return with_fixed_signs(vectors * np.sqrt(np.maximum(values, 0.0)))


def with_fixed_signs(columns: FloatArray) -> FloatArray:
    """Return (N, c) columns, each flipped so that its entry of largest magnitude is positive."""
    largest = np.take_along_axis(columns, np.abs(columns).argmax(axis=0)[None, :], axis=0)
    return columns * np.where(largest < 0, -1.0, 1.0)


def cosine_distances(scores: ArrayLike) -> FloatArray:
    """Return 1 - cos between the rows of ``scores``.

    ``scores`` is (N, c), the result (N, N) in [0, 2] with a zero diagonal, without unit. A zero
    row has no direction and lies at distance 1 from every other row.
    Raises TopographError where ``scores`` is not a matrix.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2:
        raise TopographError(
            f"scores have shape {scores.shape}; allowed: (N, c); pass one row per point"
        )
    norms = np.linalg.norm(scores, axis=1, keepdims=True)
    units = scores / np.where(norms == 0, 1.0, norms)
    cosines = units @ units.T
    result = np.clip(1.0 - (cosines + cosines.T) / 2, 0.0, 2.0)
    np.fill_diagonal(result, 0.0)
    return result


def _square(gram: ArrayLike) -> FloatArray:
    gram = np.asarray(gram, dtype=np.float64)
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1]:
        raise TopographError(
            f"the Gram matrix has shape {gram.shape}; allowed: (N, N); "
            "pass the inner products of every point with every point"
        )
    return gram
