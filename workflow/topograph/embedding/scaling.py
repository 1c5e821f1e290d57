"""Metric scaling: places in few dimensions whose distances come near given dissimilarities."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.sparse.linalg import ArpackNoConvergence, eigsh
from scipy.spatial import procrustes

from topograph.embedding.distances import FloatArray
from topograph.geometry.gram import centred, with_fixed_signs

# Potentials are at most 16: below this, dissimilarities are rounding error, not a shape to draw.
RESOLVED_DISSIMILARITY = 1e-12
LONGEST_SCALING = 3000
# Of half the squared distances, that the stress must fall by.
LEAST_GAIN = 1e-6
# From here on the few leading eigenvectors are found by iteration.
MANY_POINTS = 500


def metric_scaling(dissimilarity: FloatArray, n_components: int, seed: int = 0) -> FloatArray:
    """Return places (N, n_components), centred, turned and scaled onto the classic configuration.

    ``dissimilarity`` is (N, N), symmetric with a zero diagonal. Starts from the classic
    configuration and majorises the stress, the squared misfit of distances, until a step gains
    less than 1e-6 of half the squared distances, 3000 steps at most. Where all dissimilarities are
    rounding error, all points lie at the origin.
    Source: SMACOF, de Leeuw 1977; Borg and Groenen, Modern Multidimensional Scaling, chapter 8.
    """
    if dissimilarity.max() <= RESOLVED_DISSIMILARITY:
        return np.zeros((len(dissimilarity), n_components))
    start = classic_start(dissimilarity, n_components, seed)
    return procrustes(start, _majorised(start, dissimilarity))[1]


def classic_start(dissimilarity: FloatArray, n_components: int, seed: int = 0) -> FloatArray:
    """Return principal component scores of the doubly centred squared dissimilarities.

    Coordinates grow with the eigenvalue, not its root, as in published PHATE maps.
    """
    doubly = centred(dissimilarity**2)
    values, vectors = _leading(doubly, n_components, seed)
    return with_fixed_signs(vectors * np.abs(values))


def _leading(matrix: FloatArray, count: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return the eigenvalues of largest magnitude, in that order, and their vectors (N, count)."""
    if len(matrix) > MANY_POINTS:
        try:
            start = np.random.default_rng(seed).standard_normal(len(matrix))
            values, vectors = eigsh(matrix, count, which="LM", v0=start, tol=1e-10)
        except ArpackNoConvergence:
            values, vectors = np.linalg.eigh(matrix)
    else:
        values, vectors = np.linalg.eigh(matrix)
    order = np.argsort(-np.abs(values), kind="stable")[:count]
    return values[order], vectors[:, order]


def _majorised(start: FloatArray, dissimilarity: FloatArray) -> FloatArray:
    wanted = np.ascontiguousarray(dissimilarity)
    places = np.array(start.T, order="C")
    moved, last = np.empty_like(places), np.inf
    for step in range(LONGEST_SCALING + 1):
        stress, size = _guttman(places, wanted, moved)
        # The stress of the start itself is no step's.
        if step > 1 and (last - stress) / size < LEAST_GAIN:
            break
        if step == LONGEST_SCALING:
            break
        last = stress
        places, moved = moved, places
    return places.T


@njit(cache=True, fastmath={"reassoc", "contract", "nsz"})
def _guttman(places: FloatArray, wanted: FloatArray, moved: FloatArray) -> tuple[float, float]:
    """Write the next places (c, N) to ``moved``; return stress and half squared distances of these.

    Loops over j stand apart so that each becomes vector instructions; pairs are visited once.
    """
    dimensions, points = places.shape
    stress, size = 0.0, 0.0
    squares, ratios = np.empty(points), np.empty(points)
    moved[:] = 0.0
    for i in range(points):
        squares[:i] = 0.0
        for k in range(dimensions):
            here = places[k, i]
            for j in range(i):
                gap = here - places[k, j]
                squares[j] += gap * gap
        for j in range(i):
            length = np.sqrt(squares[j])
            miss = length - wanted[i, j]
            stress += miss * miss
            size += squares[j]
            # Points that coincide do not push each other: they have no direction to go.
            ratios[j] = wanted[i, j] / length if length > 0 else 0.0
        for k in range(dimensions):
            here, push = places[k, i], 0.0
            for j in range(i):
                pull = ratios[j] * (here - places[k, j])
                push += pull
                moved[k, j] -= pull
            moved[k, i] += push
    moved /= points
    return stress, size
