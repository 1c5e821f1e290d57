"""The trajectory analysis of a study: the map of all points and the homology of their graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from sklearn.manifold import trustworthiness

from topograph.config.models import JumpRetrain
from topograph.embedding.phate import kernel_components, phate
from topograph.foundation.storage import read_dataset, write_dataset, write_table
from topograph.geometry.gram import cosine_distances, principal_scores
from topograph.trajectory.homology import graph_homology, homology_statistics, knn_graph

KNN_SWEEP = (5, 10, 20)
QUALITY_NEIGHBOURS = 15


def write_map(trajectory: str | Path, analysis: JumpRetrain, files: Mapping[str, str]) -> None:
    """Embed the points of a run's trajectories and write ``points``, ``potential``, ``quality``."""
    points, potential, quality = trajectory_map(read_dataset(trajectory), analysis)
    write_table(files["points"], points)
    write_dataset(files["potential"], potential)
    write_table(files["quality"], quality)


def write_homology(
    potential: str | Path, run: str, neighbours: int, files: Mapping[str, str]
) -> None:
    """Write the homology of a run's trajectory graph, ``diagram`` and ``statistics``."""
    diagram, statistics = trajectory_homology(read_dataset(potential), run, neighbours=neighbours)
    write_table(files["diagram"], diagram)
    write_table(files["statistics"], statistics)


def trajectory_map(
    dataset: xr.Dataset, analysis: JumpRetrain
) -> tuple[pd.DataFrame, xr.Dataset, pd.DataFrame]:
    """Embed every finite point of the trajectories with PHATE, from the Gram matrix alone.

    Distances are cosines of 100 principal scores of the centred points, as in the code of Horoi
    et al. 2022. Returns the map (seed, step, epoch, x, y and the losses), the potential
    (point, other) with the losses of its points, and the quality of the map: t, components of the
    kernel graph at several knn, saturation, trustworthiness against the distances embedded.
    """
    points = _points(dataset)
    finite = np.isfinite(dataset["gram"].values.diagonal()) & np.isfinite(points["test_loss"])
    points = points[finite].reset_index(drop=True)
    quality = {"run": dataset.attrs["run"], "points": len(points), "dropped": int((~finite).sum())}
    needed = max(*KNN_SWEEP, 2 * QUALITY_NEIGHBOURS, analysis.knn, analysis.neighbours)
    if len(points) <= needed:
        return points.assign(x=np.nan, y=np.nan), xr.Dataset(), pd.DataFrame([quality])
    gram = dataset["gram"].values[np.ix_(finite, finite)]
    distances = cosine_distances(principal_scores(gram))
    found = phate(distances, knn=analysis.knn, mds_distance=analysis.mds_distance)
    quality |= {"knn": analysis.knn, "t": found.t, "saturation": found.saturation}
    quality["trustworthiness"] = trustworthiness(
        distances, found.coordinates, n_neighbors=QUALITY_NEIGHBOURS, metric="precomputed"
    )
    for knn in KNN_SWEEP:
        quality[f"components_knn_{knn}"] = kernel_components(distances, knn=knn)
    potential = xr.Dataset(
        {
            "potential": (("point", "other"), found.potential),
            "test_loss": ("point", points["test_loss"].to_numpy()),
        }
    )
    x, y = found.coordinates.T
    return points.assign(x=x, y=y), potential, pd.DataFrame([quality])


def _points(dataset: xr.Dataset) -> pd.DataFrame:
    recorded = dataset[["train_loss", "test_loss", "test_accuracy"]]
    frame = recorded.to_dataframe(dim_order=("seed", "step", "epoch")).reset_index()
    frame.insert(0, "run", dataset.attrs["run"])
    return frame


def trajectory_homology(
    potential: xr.Dataset, run: str, *, neighbours: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the persistence diagram and the statistics of the sublevel filtration by test loss.

    The graph joins each point to its ``neighbours`` nearest by potential distance, as the text of
    Horoi et al. 2022 has it. Both tables are empty when too few points are finite.
    """
    if "potential" not in potential:
        return pd.DataFrame(columns=["run", "dim", "birth", "death"]), pd.DataFrame({"run": []})
    losses = potential["test_loss"].values
    edges = knn_graph(potential["potential"].values, neighbours=neighbours)
    diagram = graph_homology(edges, losses)
    statistics = {"run": run, "neighbours": neighbours, **homology_statistics(edges, losses)}
    return diagram.assign(run=run), pd.DataFrame([statistics])
