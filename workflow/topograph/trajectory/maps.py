"""Maps of the points that trajectories visited, by several methods, each with its quality."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import procrustes

from topograph.config.models import JumpRetrain
from topograph.embedding.manifold import embed
from topograph.embedding.package import phate_by_package
from topograph.embedding.phate import Phate, kernel_components, phate
from topograph.embedding.quality import quality, trajectory_preservation
from topograph.foundation.progress import track
from topograph.foundation.storage import read_dataset, write_table
from topograph.geometry.gram import FloatArray, principal_scores
from topograph.trajectory.points import Points, distances_between, points_of

KNN_SWEEP = (5, 10, 20)
NEIGHBOURS = 15
# The map that depends on chance is drawn this often, to see how much: t-SNE, like the others,
# starts from principal components and has no chance in it.
UMAP_SEEDS = (0, 1, 2)
# The least that every method and every measure can work with.
FEWEST_POINTS = 2 * NEIGHBOURS + 1
# What the row of the trained weights has for a ray.
NO_RAY = -1


def write_maps(trajectory: str | Path, analysis: JumpRetrain, files: Mapping[str, str]) -> None:
    """Write ``points``, ``quality``, ``entropy`` of the maps for every training seed of a run."""
    dataset = read_dataset(trajectory)
    seeds = dataset["seed"].values.tolist()
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in ("points", "quality", "entropy")}
    for seed in track(seeds, "maps", len(seeds)):
        found = trajectory_maps(points_of(dataset.sel(seed=seed)), analysis)
        for name, table in zip(tables, found, strict=True):
            tables[name].append(table.assign(run=dataset.attrs["run"], seed=seed))
    for name, parts in tables.items():
        table = pd.concat(parts, ignore_index=True)
        write_table(files[name], table[["run", "seed", *table.columns.drop(["run", "seed"])]])


def trajectory_maps(
    points: Points, analysis: JumpRetrain
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Map points and the trained weights among them by every method of the analysis.

    Distances, those of the analysis, come from the Gram matrix alone; PCA is that of the points
    themselves. Returns the points by method, x and y, the trained weights last with ray -1; the
    quality of each map against the same distances, for PHATE with t, components of the kernel graph
    at several knn and saturation; and the entropy by power behind t. Of too few points there is no
    map: x, y and the quality are missing.
    """
    table = pd.concat([points.table, _minimum(points.table)], ignore_index=True)
    asked = {"points": len(table), "excluded": points.excluded}
    if len(table) < max(FEWEST_POINTS, analysis.knn + 2):
        empty = [table.assign(method=method, x=np.nan, y=np.nan) for method in analysis.maps]
        rows = [{"method": method, **asked} for method in analysis.maps]
        return pd.concat(empty), pd.DataFrame(rows), pd.DataFrame({"power": [], "entropy": []})
    gram = np.pad(points.gram, (0, 1))
    distances = distances_between(gram, analysis.distance)
    drawn, rows, entropy = [], [], np.empty(0)
    for method in analysis.maps:
        row: dict[str, Any] = {"method": method, **asked}
        if method == "phate":
            found = _phate(distances, analysis)
            coordinates, entropy = [found.coordinates], found.entropy
            row |= {"t": found.t, "saturation": found.saturation}
            sweep = [knn for knn in KNN_SWEEP if knn < len(table)]
            row |= {f"components_knn_{k}": kernel_components(distances, knn=k) for k in sweep}
        elif method == "pca":
            coordinates = [principal_scores(gram, 2)]
        else:
            seeds = UMAP_SEEDS if method == "umap" else UMAP_SEEDS[:1]
            coordinates = [embed(distances, method, seed=seed) for seed in seeds]
        x, y = coordinates[0].T
        drawn.append(table.assign(method=method, x=x, y=y))
        rows.append(row | _measured(distances, table, coordinates))
    curve = pd.DataFrame({"power": np.arange(1, len(entropy) + 1), "entropy": entropy})
    return pd.concat(drawn, ignore_index=True), pd.DataFrame(rows), curve


def _phate(distances: FloatArray, analysis: JumpRetrain) -> Phate:
    chosen = phate if analysis.engine == "own" else phate_by_package
    return chosen(distances, knn=analysis.knn, t=analysis.t, mds_distance=analysis.mds_distance)


def _minimum(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for the trained weights, where all rays begin."""
    missing = {name: np.nan for name in table.columns}
    return pd.DataFrame([{**missing, "ray": NO_RAY, "step": 0.0, "epoch": 0}])


def _measured(
    distances: FloatArray, table: pd.DataFrame, coordinates: list[FloatArray]
) -> dict[str, float]:
    """Return the quality, its mean where chance has several maps, and how far these are apart."""
    trajectories = table.groupby(["ray", "step"], sort=False).ngroup().to_numpy()
    every = [
        {
            **quality(distances, places, neighbours=NEIGHBOURS),
            "trajectory_preservation": trajectory_preservation(places, trajectories),
        }
        for places in coordinates
    ]
    mean = {name: float(np.mean([one[name] for one in every])) for name in every[0]}
    return mean | {"seed_spread": _spread(coordinates)}


def _spread(coordinates: list[FloatArray]) -> float:
    """Return the mean Procrustes disparity of maps from the first, 0 alike to 1; 0 of one map."""
    first, *others = coordinates
    if not others or not all(np.ptp(places) > 0 for places in coordinates):
        return 0.0
    return float(np.mean([procrustes(first, other)[2] for other in others]))
