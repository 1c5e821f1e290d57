"""PHATE on precomputed distances: a diffusion potential, and a map of it by metric scaling."""

from __future__ import annotations

from numbers import Integral
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import procrustes
from scipy.spatial.distance import pdist, squareform
from sklearn.manifold import smacof

from topograph.embedding.distances import FloatArray, checked_distances
from topograph.foundation.errors import TopographError, unknown_name
from topograph.geometry.gram import centred, cosine_distances, with_fixed_signs

KERNEL_THRESHOLD = 1e-4
LONGEST_DIFFUSION = 100
POTENTIAL_FLOOR = 1e-7
# -ln(1e-7) = 16.118 is the potential of a point that diffusion does not reach.
SATURATED_POTENTIAL = 16.1
# Potentials are at most 16: below this, dissimilarities are rounding error, not a shape to draw.
RESOLVED_DISSIMILARITY = 1e-12


class Phate(NamedTuple):
    """A PHATE map: coordinates (N, c), potential (N, N), and what to print beside the picture.

    ``t`` is the diffusion time, ``components`` counts the connected components of the kernel
    graph, ``saturation`` is the share of potential entries that diffusion does not reach.
    """

    coordinates: FloatArray
    potential: FloatArray
    t: int
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
    of norm at most 1 and without a scale of their own. The scaling starts from the classic
    configuration, so ``seed``, handed to its solver, moves nothing. Where all potentials agree,
    all points lie at the origin.
    Raises TopographError for distances that are not square, symmetric, finite or are negative,
    and for options outside their range.
    Source: Moon et al. 2019 (doi 10.1038/s41587-019-0336-3); cosine ``mds_distance``: Horoi et
    al. 2022 (arXiv 2102.00485).
    """
    distances = checked_distances(distances)
    _check_options(len(distances), n_components, knn=knn, decay=decay, t=t)
    kernel = _kernel(distances, knn, decay=decay)
    diffusion = kernel / kernel.sum(axis=1, keepdims=True)
    time = _diffusion_time(diffusion) if t == "auto" else int(t)
    potential = -np.log(np.linalg.matrix_power(diffusion, time) + POTENTIAL_FLOOR)
    dissimilarity = _dissimilarity(potential, mds_distance)
    return Phate(
        coordinates=_scale(dissimilarity, n_components, seed=seed),
        potential=potential,
        t=time,
        components=_components(kernel),
        saturation=float(np.mean(potential > SATURATED_POTENTIAL)),
    )


def kernel_components(distances: ArrayLike, *, knn: int = 5, decay: float = 40) -> int:
    """Return the number of connected components of the kernel graph that ``phate`` diffuses on.

    Raises TopographError as ``phate`` does.
    """
    distances = checked_distances(distances)
    _check_options(len(distances), 1, knn=knn, decay=decay, t="auto")
    return _components(_kernel(distances, knn, decay=decay))


def _components(kernel: FloatArray) -> int:
    return int(connected_components(kernel > 0, directed=False)[0])


def _check_options(points: int, n_components: int, *, knn: int, decay: float, t: object) -> None:
    if not _is_count(knn) or knn >= points:
        raise TopographError(
            f"knn is {knn!r} for {points} points; allowed: whole numbers from 1 to "
            f"{points - 1}; lower knn or add points"
        )
    if not _is_count(n_components) or n_components >= points:
        raise TopographError(
            f"n_components is {n_components!r} for {points} points; allowed: whole numbers from "
            f"1 to {points - 1}; 2 gives a picture"
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


def _kernel(distances: FloatArray, knn: int, *, decay: float) -> FloatArray:
    # The zero on the diagonal sorts first, so position knn is the knn-th neighbour other than self.
    bandwidth = np.partition(distances, knn, axis=1)[:, knn, None]
    # A point with knn duplicates has bandwidth 0; the limit connects it to its duplicates alone.
    bandwidth = np.maximum(bandwidth, np.finfo(np.float64).eps)
    # Far points overflow to infinity, which the exponential takes to 0 as it should.
    with np.errstate(over="ignore"):
        kernel = np.exp(-((distances / bandwidth) ** decay))
    kernel[kernel < KERNEL_THRESHOLD] = 0.0
    return (kernel + kernel.T) / 2


def _diffusion_time(diffusion: FloatArray) -> int:
    """Return the knee of the von Neumann entropy of the diffusion operator's powers."""
    values = np.linalg.svd(diffusion, compute_uv=False)
    entropy = np.empty(LONGEST_DIFFUSION)
    weights = np.ones_like(values)
    for power in range(LONGEST_DIFFUSION):
        # Singular values may exceed 1: normalising at each power keeps the product finite.
        weights = weights * values
        weights /= weights.sum()
        shares = weights + np.finfo(np.float64).eps
        entropy[power] = -np.sum(shares * np.log(shares))
    return _knee(entropy)


def _knee(entropy: FloatArray) -> int:
    """Return the time at which two straight lines leave the least summed |residual|."""
    times = np.arange(len(entropy))
    errors = []
    for knee in times[1:-1]:
        before = _residuals(times[: knee + 1], entropy[: knee + 1])
        # The reference implementation fits this line one point early and scores it without that
        # point; least squares from the knee itself would move t by one on some data.
        after = _residuals(times[knee - 1 :], entropy[knee - 1 :])[1:]
        errors.append(np.abs(before).sum() + np.abs(after).sum())
    return 1 + int(np.argmin(errors))


def _residuals(x: NDArray[np.int64], y: FloatArray) -> FloatArray:
    x = x - x.mean()
    y = y - y.mean()
    return y - x * (x @ y) / (x @ x)


def _dissimilarity(potential: FloatArray, mds_distance: str) -> FloatArray:
    if mds_distance == "euclidean":
        return squareform(pdist(potential))
    if mds_distance == "cosine":
        return cosine_distances(potential)
    raise unknown_name("mds_distance", mds_distance, ("euclidean", "cosine"))


def _scale(dissimilarity: FloatArray, n_components: int, *, seed: int) -> FloatArray:
    if dissimilarity.max() <= RESOLVED_DISSIMILARITY:
        return np.zeros((len(dissimilarity), n_components))
    start = _classic_start(dissimilarity, n_components)
    moved, _ = smacof(
        dissimilarity,
        metric=True,
        n_components=n_components,
        init=start,
        n_init=1,
        max_iter=3000,
        eps=1e-6,
        random_state=seed,
        normalized_stress=False,
    )
    return procrustes(start, moved)[1]


def _classic_start(dissimilarity: FloatArray, n_components: int) -> FloatArray:
    """Return principal component scores of the doubly centred squared dissimilarities.

    Coordinates grow with the eigenvalue, not its root, as in published PHATE maps.
    """
    values, vectors = np.linalg.eigh(centred(dissimilarity**2))
    leading = np.argsort(-np.abs(values), kind="stable")[:n_components]
    return with_fixed_signs(vectors[:, leading] * np.abs(values[leading]))
