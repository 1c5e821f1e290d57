"""Points around trained weights without any retraining: a grid, and rays of every length."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from topograph.config.models import Baselines, SupervisedTraining
from topograph.config.runs import Cell
from topograph.embedding.phate import phate
from topograph.families.training import family_of, trained_state
from topograph.foundation.errors import TopographError
from topograph.foundation.seeds import derive_seed
from topograph.foundation.storage import write_table
from topograph.geometry.directions import Directions, random_directions
from topograph.landscape.grid import axis
from topograph.landscape.sampling import sample
from topograph.trajectory.points import distances_between

RAY_POINTS = 20
# Of the published maps.
KNN = 5


def write_baselines(
    cell: Cell,
    analysis: Baselines,
    weights: str | Path,
    files: Mapping[str, str],
    *,
    scratch: str | Path,
) -> None:
    """Write ``points`` for every training seed of a cell, and their quartiles as ``summary``.

    ``scratch`` keeps what is sampled.
    """
    found = [
        baselines(
            cell, weights, analysis, weights_seed=seed, work=Path(scratch) / f"seed-{seed}"
        ).assign(run=cell.run, seed=seed)
        for seed in cell.seeds
    ]
    table = pd.concat(found, ignore_index=True)
    measures = [name for name in ("loss", "accuracy") if name in table]
    groups = table.groupby(["run", "seed", "kind"])[measures]
    quartiles = [groups.quantile(q).assign(quantile=q).reset_index() for q in (0.25, 0.5, 0.75)]
    write_table(files["summary"], pd.concat(quartiles, ignore_index=True))
    write_table(files["points"], table[["run", "seed", *table.columns.drop(["run", "seed"])]])
    shutil.rmtree(scratch, ignore_errors=True)


def baselines(
    cell: Cell,
    weights: str | Path,
    analysis: Baselines,
    *,
    weights_seed: int = 0,
    work: Path | None = None,
) -> pd.DataFrame:
    """Sample as many points as jumps and retraining visit, without retraining.

    ``grid`` are the points of a 3-D grid along random filter-normalised directions, up to
    ``distance`` from the trained weights along each; ``rays`` lie on as many such directions as
    give 20 points each, evenly up to ``distance``. Returns a row for each point: its kind, ``loss``
    and ``accuracy`` on the training examples (missing where targets are no classes), its
    ``distance`` from the trained weights in units of the length of one direction, its place x, y on
    the PHATE map of the points of its kind by cosine distances. ``work`` keeps what is sampled.
    Raises TopographError for a family that is not supervised and ``points`` that make no grid.
    Source: grid and naive sampling of Horoi et al. 2022 (arXiv 2102.00485), Figure 2a-b; they state
    neither shape nor range.
    """
    if not isinstance(cell.training, SupervisedTraining):
        raise TopographError(f"{cell.run} is of family {cell.training.family}; allowed: supervised")
    _, state = trained_state(weights, weights_seed, "last")
    objective = family_of(cell.training).objective(cell.training, state, analysis)
    found = []
    for kind, unit in (("grid", grid(analysis.points)), ("rays", rays(analysis.points))):
        alphas, drawn = analysis.distance * unit, derive_seed(analysis.seed, kind)
        directions = random_directions(objective, alphas.shape[1], seed=drawn)
        file = work / f"{kind}.nc" if work else None
        sampled = sample(objective, directions, points=alphas, path=file)
        measured = {name: sampled[name].values for name in ("loss", "accuracy") if name in sampled}
        gram = _gram(alphas, directions)
        lengths = np.sqrt(gram.diagonal()) / float(directions.norms.mean())
        x, y = _map(gram).T
        found.append(pd.DataFrame({"kind": kind, **measured, "distance": lengths, "x": x, "y": y}))
    return pd.concat(found, ignore_index=True)


def _gram(alphas: NDArray[np.float64], directions: Directions) -> NDArray[np.float64]:
    """Return inner products (points, points) of sum_i alpha_i d_i, which need not be orthogonal."""
    scaled = alphas * directions.norms.numpy()
    return np.asarray(scaled @ directions.cosines.numpy() @ scaled.T, dtype=np.float64)


def _map(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(gram) <= KNN:
        return np.full((len(gram), 2), np.nan)
    distances = distances_between(gram, "cosine")
    return phate(distances, knn=KNN, mds_distance="cosine").coordinates


def grid(points: int) -> NDArray[np.float64]:
    """Return the alphas (points, 3) of a grid whose axes have as like numbers of points as can be.

    Raises TopographError where an axis would have one point alone.
    """
    shapes = [
        (a, b, points // (a * b))
        for a in _divisors(points)
        for b in _divisors(points // a)
        if a <= b <= points // (a * b)
    ]
    shape = max(shapes)
    if shape[0] < 2:
        raise TopographError(
            f"{points} points make no 3-D grid; allowed: a product of three numbers from 2 on, "
            "such as 640 = 8 x 8 x 10"
        )
    axes = np.meshgrid(*(axis(1.0, count) for count in shape), indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, 3)


def rays(points: int) -> NDArray[np.float64]:
    """Return the alphas (points, rays) of points on rays, of 20 each or the nearest divisor."""
    each = min(_divisors(points), key=lambda count: (abs(math.log(count / RAY_POINTS)), count))
    steps = np.arange(1, each + 1) / each
    return np.asarray(np.kron(np.eye(points // each), steps[:, None]), dtype=np.float64)


def _divisors(number: int) -> list[int]:
    return [count for count in range(1, number + 1) if number % count == 0]
