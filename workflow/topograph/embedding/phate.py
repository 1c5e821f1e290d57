"""PHATE on precomputed distances: a diffusion potential, and a map of it by metric scaling."""

from __future__ import annotations

from numbers import Integral
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from topograph.embedding.diffusion import (
    adaptive_kernel,
    component_count,
    diffusion_potential,
    knee,
    von_neumann_entropy,
)
from topograph.embedding.distances import FloatArray, checked_distances
from topograph.embedding.scaling import metric_scaling
from topograph.foundation.errors import TopographError, unknown_name
from topograph.geometry.gram import cosine_distances
from topograph.geometry.gram import distances as distances_of

# -ln(1e-7) = 16.118 is the potential of a point that diffusion does not reach.
SATURATED_POTENTIAL = 16.1
# Of the squared norms: below it a squared distance by inner products has lost too many digits.
NEAR = 1e-6


class Diffusion(NamedTuple):
    """The potential (N, N) of diffusion on the kernel graph, and what to print beside it.

    ``t`` is the diffusion time, ``entropy`` (100,) the curve whose knee it is unless it was given;
    ``components`` counts the connected components of the kernel graph, ``saturation`` is the share
    of potential entries that diffusion does not reach.
    """

    potential: FloatArray
    t: int
    entropy: FloatArray
    components: int
    saturation: float


class Phate(NamedTuple):
    """A PHATE map: coordinates (N, c), and the fields of its `Diffusion`."""

    coordinates: FloatArray
    potential: FloatArray
    t: int
    entropy: FloatArray
    components: int
    saturation: float


def phate(
    distances: ArrayLike,
    *,
    n_components: int = 2,
    knn: int = 5,
    decay: float = 40,
    t: int | Literal["auto"] = "auto",
    mds_distance: Literal["euclidean", "cosine"] = "euclidean",
    seed: int = 0,
) -> Phate:
    """Return the PHATE map of points known by their distances.

    ``distances`` is (N, N), symmetric, of any unit; coordinates are (N, n_components), centred,
    of norm at most 1 and without a scale of their own. Nothing is random but the vector, drawn from
    ``seed``, that an iteration for eigenvectors of many points starts from. Where all potentials
    agree, all points lie at the origin.
    Raises TopographError for distances that are not square, symmetric, finite or are negative,
    and for options outside their range.
    Source: Moon et al. 2019 (doi 10.1038/s41587-019-0336-3); cosine ``mds_distance``: Horoi et
    al. 2022 (arXiv 2102.00485).
    """
    found = diffuse(distances, knn=knn, decay=decay, t=t)
    _check_components(len(found.potential), n_components)
    dissimilarity = _dissimilarity(found.potential, mds_distance)
    return Phate(metric_scaling(dissimilarity, n_components, seed), *found)


def diffuse(
    distances: ArrayLike, *, knn: int = 5, decay: float = 40, t: int | Literal["auto"] = "auto"
) -> Diffusion:
    """Return the potential of ``phate`` and what belongs to it, without a map.

    Raises TopographError as ``phate`` does.
    """
    distances = checked_distances(distances)
    _check_options(len(distances), knn=knn, decay=decay, t=t)
    kernel = adaptive_kernel(distances, knn, decay=decay)
    entropy = von_neumann_entropy(kernel)
    time = knee(entropy) if t == "auto" else int(t)
    potential = diffusion_potential(kernel, time)
    saturation = float(np.mean(potential > SATURATED_POTENTIAL))
    return Diffusion(potential, time, entropy, component_count(kernel), saturation)


def kernel_components(distances: ArrayLike, *, knn: int = 5, decay: float = 40) -> int:
    """Return the number of connected components of the kernel graph that ``phate`` diffuses on.

    Raises TopographError as ``phate`` does.
    """
    distances = checked_distances(distances)
    _check_options(len(distances), knn=knn, decay=decay, t="auto")
    return component_count(adaptive_kernel(distances, knn, decay=decay))


def _check_components(points: int, n_components: int) -> None:
    if not _is_count(n_components) or n_components >= points:
        raise TopographError(
            f"n_components is {n_components!r} for {points} points; allowed: whole numbers from "
            f"1 to {points - 1}; 2 gives a picture"
        )


def _check_options(points: int, *, knn: int, decay: float, t: object) -> None:
    if not _is_count(knn) or knn >= points:
        raise TopographError(
            f"knn is {knn!r} for {points} points; allowed: whole numbers from 1 to "
            f"{points - 1}; lower knn or add points"
        )
    if not decay > 0 or not np.isfinite(decay):
        raise TopographError(
            f"decay is {decay!r}; allowed: a finite number above 0; the published value is 40"
        )
    if t != "auto" and not _is_count(t):
        raise TopographError(
            f"t is {t!r}; allowed: 'auto' or a whole number from 1; "
            "run once with 'auto' and pass the t it found"
        )


def _is_count(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def _dissimilarity(potential: FloatArray, mds_distance: str) -> FloatArray:
    if mds_distance == "euclidean":
        return _euclidean(potential)
    if mds_distance == "cosine":
        return cosine_distances(potential)
    raise unknown_name("mds_distance", mds_distance, ("euclidean", "cosine"))


def _euclidean(rows: FloatArray) -> FloatArray:
    """Return the distances (N, N) between rows by one matrix product, near pairs by differences."""
    # Rows of saturated potentials are long and alike: what they share is taken off first.
    moved = rows - rows.mean(axis=0)
    gram = moved @ moved.T
    found = distances_of(gram)
    norms = np.diagonal(gram)
    near = np.triu(found**2 < NEAR * (norms[:, None] + norms), 1)
    for i in np.flatnonzero(near.any(axis=1)):
        others = np.flatnonzero(near[i])
        found[i, others] = found[others, i] = np.linalg.norm(rows[others] - rows[i], axis=1)
    return found
