"""PHATE by the phate package (GPL-2), which only this module imports, when it is asked for."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from topograph.embedding.distances import checked_distances
from topograph.embedding.phate import SATURATED_POTENTIAL, Phate, diffuse
from topograph.foundation.errors import TopographError

PACKAGE_SEED = 0


def phate_by_package(
    distances: ArrayLike,
    *,
    n_components: int = 2,
    knn: int = 5,
    decay: float = 40,
    t: int | Literal["auto"] = "auto",
    mds_distance: Literal["euclidean", "cosine"] = "euclidean",
) -> Phate:
    """Return the map of `topograph.embedding.phate` as the phate package computes it.

    Takes and raises what `phate` does; the entropy is ours, for the package keeps none. Its scaling
    is SMACOF, for its own default draws pairs at random.
    """
    checked = checked_distances(distances)
    ours = diffuse(checked, knn=knn, decay=decay, t=t)
    try:
        import phate as package
    except ImportError as error:
        raise TopographError(
            "engine 'package' needs the package phate, which is not installed; install it, or "
            "choose engine: own"
        ) from error
    operator = package.PHATE(
        n_components=n_components,
        knn=knn,
        decay=decay,
        t=t,
        n_landmark=None,
        mds_dist=mds_distance,
        mds_solver="smacof",
        knn_dist="precomputed_distance",
        random_state=PACKAGE_SEED,
        verbose=0,
    )
    coordinates = operator.fit_transform(checked)
    potential = np.asarray(operator.diff_potential)
    return Phate(
        coordinates=np.asarray(coordinates),
        potential=potential,
        t=int(operator.optimal_t if t == "auto" else t),
        entropy=ours.entropy,
        components=ours.components,
        saturation=float(np.mean(potential > SATURATED_POTENTIAL)),
    )
