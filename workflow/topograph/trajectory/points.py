"""The points that trajectories visited, without those that diverged, and their distances."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from topograph.geometry.gram import FloatArray, cosine_distances, distances, principal_scores

# What is kept of each point beside its place.
KEPT = [
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "relative_distance",
    "cosine",
    "lateral",
    "back",
]


class Points(NamedTuple):
    """Points (N,) with ray, step, epoch and `KEPT`, their Gram matrix (N, N) around theta_o.

    ``excluded`` counts the trajectories left out because they diverged.
    """

    table: pd.DataFrame
    gram: FloatArray
    excluded: int


def points_of(dataset: xr.Dataset) -> Points:
    """Return the points of the trajectories of one training seed, in the order of its Gram matrix.

    A trajectory that diverged, or whose offsets are not finite, is left out as a whole.
    """
    frame = dataset[KEPT].to_dataframe(dim_order=("ray", "step", "epoch"))[KEPT].reset_index()
    gram = dataset["gram"].values
    length = dataset.sizes["epoch"]
    finite = np.isfinite(gram.diagonal()) & np.isfinite(frame[["train_loss", "test_loss"]]).all(1)
    whole = finite.to_numpy().reshape(-1, length).all(axis=1)
    kept = np.repeat(whole, length)
    table = frame[kept].reset_index(drop=True)
    return Points(table, gram[np.ix_(kept, kept)], int((~whole).sum()))


def distances_between(gram: FloatArray, kind: Literal["cosine", "euclidean"]) -> FloatArray:
    """Return the distances (N, N) of points by their inner products (N, N).

    ``cosine`` is taken of 100 principal scores of the centred points, as in the code of Horoi et
    al. 2022 (arXiv 2102.00485).
    """
    return cosine_distances(principal_scores(gram)) if kind == "cosine" else distances(gram)
