"""Maps of points known by their distances, by name."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.manifold import TSNE
from umap import UMAP

from topograph.embedding.distances import FloatArray, checked_distances
from topograph.embedding.phate import phate
from topograph.foundation.errors import TopographError, unknown_name
from topograph.geometry.gram import centred, with_fixed_signs


def embed(distances: ArrayLike, method: str, *, seed: int = 0, **options: Any) -> FloatArray:
    """Return the coordinates (N, 2) of points whose distances (N, N) are known.

    - ``pca``    classical scaling: principal component scores where distances are Euclidean
    - ``phate``  `phate`, with its knn, decay, t and mds_distance
    - ``tsne``   scikit-learn's t-SNE, ``perplexity`` 30, started from classical scaling
    - ``umap``   the umap-learn package, ``neighbours`` 15 and ``min_dist`` 0.1

    ``n_components`` is 2 unless given; a seed gives the same coordinates again; points that all
    coincide lie at the origin. Raises
    TopographError for distances that are not square, symmetric, finite or are negative, an unknown
    method or option, and as many neighbours as points.
    Source: Torgerson 1952; Moon et al. 2019; van der Maaten and Hinton 2008; McInnes et al. 2018.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    chosen = METHODS[method]
    known = [name for name in inspect.signature(chosen).parameters][2:]
    for name in options:
        if name not in known:
            raise unknown_name(f"option of {method}", name, known)
    checked = checked_distances(distances)
    most = min(len(checked) - 1, 3 if method == "tsne" else len(checked))
    components = options.get("n_components", 2)
    if not 1 <= components <= most:
        raise TopographError(
            f"n_components is {components} for {method} of {len(checked)} points; allowed: 1 to "
            f"{most}; 2 gives a picture"
        )
    if not checked.any():
        return np.zeros((len(checked), components))
    return chosen(checked, seed, **options)


def _phate(
    distances: FloatArray,
    _: int,
    *,
    n_components: int = 2,
    knn: int = 5,
    decay: float = 40,
    t: int | Literal["auto"] = "auto",
    mds_distance: Literal["euclidean", "cosine"] = "euclidean",
) -> FloatArray:
    options: dict[str, Any] = {"knn": knn, "decay": decay, "t": t, "mds_distance": mds_distance}
    return phate(distances, n_components=n_components, **options).coordinates


def _pca(distances: FloatArray, _: int, *, n_components: int = 2) -> FloatArray:
    values, vectors = np.linalg.eigh(centred(-(distances**2) / 2))
    leading = np.argsort(-values, kind="stable")[:n_components]
    lengths = np.sqrt(np.maximum(values[leading], 0.0))
    return with_fixed_signs(vectors[:, leading] * lengths)


def _tsne(
    distances: FloatArray, seed: int, *, n_components: int = 2, perplexity: float = 30.0
) -> FloatArray:
    _check_neighbours("perplexity", perplexity, len(distances), least=1)
    start = _pca(distances, seed, n_components=n_components)
    # The usual scale of a start, on which the early steps depend (Kobak and Linderman 2021).
    start *= 1e-4 / start[:, 0].std()
    method = TSNE(
        n_components,
        perplexity=perplexity,
        metric="precomputed",
        init=start.astype(np.float32),
        random_state=seed,
    )
    return np.asarray(method.fit_transform(distances), dtype=np.float64)


def _umap(
    distances: FloatArray,
    seed: int,
    *,
    n_components: int = 2,
    neighbours: int = 15,
    min_dist: float = 0.1,
) -> FloatArray:
    _check_neighbours("neighbours", neighbours, len(distances), least=2)
    start = _pca(distances, seed, n_components=n_components)
    method = UMAP(
        n_neighbors=neighbours,
        n_components=n_components,
        min_dist=min_dist,
        metric="precomputed",
        init=10 * start / np.abs(start).max(),
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # It says that it cannot map new points, and that a seed costs parallel threads.
        warnings.simplefilter("ignore", UserWarning)
        return np.asarray(method.fit_transform(distances), dtype=np.float64)


def _check_neighbours(name: str, value: float, points: int, *, least: int) -> None:
    if not least <= value < points:
        raise TopographError(
            f"{name} is {value} for {points} points; allowed: {least} to {points - 1}; change it "
            "or add points"
        )


METHODS: dict[str, Callable[..., FloatArray]] = {
    "pca": _pca,
    "phate": _phate,
    "tsne": _tsne,
    "umap": _umap,
}
