"""The homology of trajectories: what the paper's text and its code compute, and the controls."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from topograph.config.models import JumpRetrain
from topograph.embedding.phate import Diffusion, diffuse
from topograph.foundation.progress import track
from topograph.foundation.storage import read_dataset, write_table
from topograph.geometry.gram import FloatArray
from topograph.trajectory.controls import extended_totals, filtrations, permutation_null
from topograph.trajectory.homology import Edges, graph_homology, homology_statistics, knn_graph
from topograph.trajectory.maps import KNN_SWEEP
from topograph.trajectory.points import Points, distances_between, points_of
from topograph.trajectory.released import released_statistics

PAPER_TEXT, RELEASED_CODE = "paper-text", "released-code"
DIAGRAM = ["dim", "birth", "death"]


def write_homology(trajectory: str | Path, analysis: JumpRetrain, files: Mapping[str, str]) -> None:
    """Write ``diagram`` and ``statistics`` of what started from every training seed of a run."""
    dataset = read_dataset(trajectory)
    run, seeds = dataset.attrs["run"], dataset["seed"].values.tolist()
    tables: dict[str, list[pd.DataFrame]] = {"diagram": [], "statistics": []}
    for seed in track(seeds, "homology", len(seeds)):
        one = dataset.sel(seed=seed)
        found = trajectory_homology(points_of(one), analysis, float(one["minimum_test_loss"]))
        for name, table in zip(tables, found, strict=True):
            tables[name].append(table.assign(run=run, seed=seed))
    for name, parts in tables.items():
        table = pd.concat(parts, ignore_index=True)
        write_table(files[name], table[["run", "seed", *table.columns.drop(["run", "seed"])]])


def trajectory_homology(
    points: Points, analysis: JumpRetrain, minimum: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the persistence diagram and the statistics of the sublevel filtration by test loss.

    The graph joins each point to its nearest by potential distance, as the text of Horoi et al.
    2022 says; the trained weights are none of its points. Statistics: a row for each filtration of
    that graph, and one for what the released code computes, which puts ``minimum``, the loss of the
    trained weights, in front of the losses. Beside the totals stand the time and the saturation of
    the diffusion, components of the graph at several numbers of neighbours, the largest loss right
    after a jump, extended persistence, and for the test loss two permutation nulls: ``within``
    equal steps and epochs, and ``freely``. Too few points have neither diagram nor statistics.
    """
    asked: dict[str, Any] = {"neighbours": analysis.neighbours, "excluded": points.excluded}
    if len(points.table) <= max(analysis.neighbours, analysis.knn):
        row = {"mode": PAPER_TEXT, "filtration": "test loss", **asked}
        return pd.DataFrame({name: [] for name in DIAGRAM}), pd.DataFrame([row])
    distances = distances_between(points.gram, analysis.distance)
    diffusion = diffuse(distances, knn=analysis.knn, t=analysis.t)
    edges = knn_graph(diffusion.potential, analysis.neighbours)
    losses = points.table["test_loss"].to_numpy()
    jumps = points.table["epoch"] == 0
    asked |= {
        "t": diffusion.t,
        "saturation": diffusion.saturation,
        "max_jump_loss": float(losses[jumps].max()),
        **_components(diffusion, losses),
    }
    rows = [
        {"mode": PAPER_TEXT, "filtration": name, **asked, **found}
        for name, found in _filtered(points, edges).items()
    ]
    code = released_statistics(diffusion.potential, losses, minimum, neighbours=analysis.neighbours)
    rows.append({"mode": RELEASED_CODE, "filtration": "test loss", **asked, **code})
    return graph_homology(edges, losses), pd.DataFrame(rows)


def _components(diffusion: Diffusion, losses: FloatArray) -> dict[str, int]:
    """Return the components of the graph of points at several numbers of neighbours."""
    return {
        f"graph_components_{k}": int(
            homology_statistics(knn_graph(diffusion.potential, k), losses)["components"]
        )
        for k in KNN_SWEEP
        if k < len(losses)
    }


def _filtered(points: Points, edges: Edges) -> dict[str, dict[str, Any]]:
    """Return the statistics of a graph under each filtration, a permutation null for the first."""
    named = {"test loss": points.table["test_loss"].to_numpy()}
    named |= {f"test {n}": v for n, v in filtrations(named["test loss"]).items() if n != "loss"}
    named["train loss"] = points.table["train_loss"].to_numpy()
    found: dict[str, dict[str, Any]] = {}
    for name, values in named.items():
        found[name] = dict(homology_statistics(edges, values))
        if np.isfinite(values).all():
            extended = extended_totals(edges, values)
            found[name] |= {f"extended_{kind}": total for kind, total in extended.items()}
    strata = points.table.groupby(["step", "epoch"]).ngroup().to_numpy()
    for kind, groups in (("within", strata), ("freely", None)):
        null = permutation_null(edges, named["test loss"], groups)
        found["test loss"] |= {f"{kind}_{name}": value for name, value in null.items()}
    return found
