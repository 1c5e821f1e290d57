"""The map and the homology of a trajectory, from its Gram matrix alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from topograph.config.models import JumpRetrain
from topograph.geometry.gram import cosine_distances, principal_scores
from topograph.trajectory.analysis import trajectory_homology, trajectory_map
from topograph.trajectory.homology import graph_homology, knn_graph

SEEDS, STEPS, EPOCHS = [4, 7, 9], [0.5, 1.0], 8
ANALYSIS = JumpRetrain(kind="jump-retrain", seeds=SEEDS, steps=STEPS, epochs=EPOCHS - 1, knn=6)


def make_dataset(epochs: int = EPOCHS) -> xr.Dataset:
    """Three rays in 40 dimensions, each walked inwards with a little noise."""
    draw = np.random.default_rng(0)
    rays = draw.standard_normal((3, 1, 1, 40))
    along = np.array(STEPS)[:, None, None] * np.linspace(1, 0.3, epochs)[:, None]
    offsets = rays * along + 0.05 * draw.standard_normal((3, 2, epochs, 40))
    flat = offsets.reshape(-1, 40)
    dims = ("seed", "step", "epoch")
    losses = np.linalg.norm(offsets, axis=-1)
    return xr.Dataset(
        {
            "gram": (("point", "other"), flat @ flat.T),
            "train_loss": (dims, losses),
            "test_loss": (dims, losses + 1),
            "test_accuracy": (dims, 1 / (1 + losses)),
        },
        coords={"seed": SEEDS, "step": STEPS, "epoch": range(epochs)},
        attrs={"run": "a-run"},
    )


@pytest.fixture(scope="module")
def dataset() -> xr.Dataset:
    return make_dataset()


@pytest.fixture(scope="module")
def found(dataset: xr.Dataset) -> tuple[pd.DataFrame, xr.Dataset, pd.DataFrame]:
    return trajectory_map(dataset, ANALYSIS)


def test_every_point_keeps_its_seed_step_epoch_and_losses(
    dataset: xr.Dataset, found: tuple[pd.DataFrame, xr.Dataset, pd.DataFrame]
) -> None:
    points = found[0]
    assert len(points) == 48
    assert points["run"].unique().tolist() == ["a-run"]
    for row in points.itertuples():
        there = dataset.sel(seed=row.seed, step=row.step, epoch=row.epoch)
        assert row.test_loss == there["test_loss"].item()
        assert row.train_loss == there["train_loss"].item()
    # The order of the Gram matrix: seed, then step, then epoch.
    keys = [(s, t, e) for s in SEEDS for t in STEPS for e in range(EPOCHS)]
    assert list(points[["seed", "step", "epoch"]].itertuples(index=False, name=None)) == keys


def test_seeds_lie_apart_on_the_map(
    found: tuple[pd.DataFrame, xr.Dataset, pd.DataFrame],
) -> None:
    points = found[0]
    assert np.isfinite(points[["x", "y"]]).all(axis=None)
    middle = points.groupby("seed")[["x", "y"]].transform("mean")
    within = np.linalg.norm(points[["x", "y"]] - middle, axis=1).mean()
    centres = middle.drop_duplicates().to_numpy()
    between = np.linalg.norm(centres[[0, 0, 1]] - centres[[1, 2, 2]], axis=1).min()
    assert between > 2 * within


def test_the_quality_names_what_the_map_depends_on(
    found: tuple[pd.DataFrame, xr.Dataset, pd.DataFrame],
) -> None:
    (quality,) = found[2].to_dict("records")
    assert (quality["run"], quality["points"], quality["dropped"]) == ("a-run", 48, 0)
    assert quality["knn"] == 6
    assert 0.8 < quality["trustworthiness"] <= 1
    assert 0 <= quality["saturation"] <= 1
    counts = [quality[f"components_knn_{knn}"] for knn in (5, 10, 20)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2] >= 1


def test_the_potential_belongs_to_the_points_of_the_map(
    found: tuple[pd.DataFrame, xr.Dataset, pd.DataFrame],
) -> None:
    points, potential, _ = found
    assert potential["potential"].shape == (48, 48)
    np.testing.assert_array_equal(potential["test_loss"], points["test_loss"])


def test_the_map_depends_on_the_gram_matrix_alone(dataset: xr.Dataset) -> None:
    rotated = dataset.copy(deep=True)
    distances = cosine_distances(principal_scores(dataset["gram"].values))
    shifted = dataset["gram"].values + 3.0  # every point moved by the same vector
    rotated["gram"] = dataset["gram"].dims, shifted
    np.testing.assert_allclose(cosine_distances(principal_scores(shifted)), distances, atol=1e-6)
    first, again = (trajectory_map(dataset, ANALYSIS)[0] for _ in range(2))
    pd.testing.assert_frame_equal(first, again)


def test_points_that_are_not_finite_are_dropped_and_counted(dataset: xr.Dataset) -> None:
    broken = dataset.copy(deep=True)
    broken["test_loss"][0, 1, 3] = np.inf
    broken["gram"][-1, :] = np.nan
    broken["gram"][:, -1] = np.nan
    points, potential, quality = trajectory_map(broken, ANALYSIS)
    assert quality[["points", "dropped"]].to_numpy().tolist() == [[46, 2]]
    assert len(points) == len(potential["test_loss"]) == 46
    lost = points.query("(seed == 4 and step == 1.0 and epoch == 3) or (seed == 9 and epoch == 7)")
    assert lost["step"].tolist() == [0.5]
    assert np.isfinite(points[["x", "y"]]).all(axis=None)


@pytest.mark.parametrize(
    ("epochs", "options"), [(5, {}), (8, {"knn": 48}), (8, {"neighbours": 48})]
)
def test_too_few_points_are_listed_without_a_place_on_a_map(
    epochs: int, options: dict[str, int]
) -> None:
    analysis = ANALYSIS.model_copy(update=options)
    points, potential, quality = trajectory_map(make_dataset(epochs=epochs), analysis)
    assert len(points) == 6 * epochs
    assert points[["x", "y"]].isna().all(axis=None)
    assert quality.columns.tolist() == ["run", "points", "dropped"]
    diagram, statistics = trajectory_homology(potential, "a-run", neighbours=5)
    assert len(diagram) == len(statistics) == 0
    assert list(diagram) == ["run", "dim", "birth", "death"]


def test_the_homology_is_that_of_the_graph_of_potentials(
    found: tuple[pd.DataFrame, xr.Dataset, pd.DataFrame],
) -> None:
    potential = found[1]
    diagram, statistics = trajectory_homology(potential, "a-run", neighbours=7)
    edges = knn_graph(potential["potential"].values, neighbours=7)
    expected = graph_homology(edges, potential["test_loss"].values)
    pd.testing.assert_frame_equal(diagram[expected.columns], expected)
    assert diagram["run"].unique().tolist() == ["a-run"]
    (row,) = statistics.to_dict("records")
    assert (row["run"], row["neighbours"], row["edges"]) == ("a-run", 7, len(edges))
    assert row["cycles"] - row["components"] == len(edges) - 48
