"""Maps and homology of trajectories, from their Gram matrix alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from topograph.config.models import JumpRetrain
from topograph.embedding.phate import diffuse
from topograph.foundation.storage import read_table, write_dataset
from topograph.geometry.gram import cosine_distances, distances, principal_scores
from topograph.trajectory.analysis import trajectory_homology, write_homology
from topograph.trajectory.homology import graph_homology, knn_graph
from topograph.trajectory.maps import trajectory_maps, write_maps
from topograph.trajectory.points import distances_between, points_of

SHARES = ("train_accuracy", "test_accuracy", "relative_distance", "cosine", "lateral", "back")
RAYS, STEPS, EPOCHS = [4, 7, 9], [0.5, 1.0], 8
ANALYSIS = JumpRetrain(
    kind="jump-retrain", seeds=RAYS, steps=STEPS, epochs=EPOCHS - 1, knn=6, neighbours=7
)


def make_dataset(epochs: int = EPOCHS) -> xr.Dataset:
    """Three rays in 40 dimensions, each walked inwards with a little noise."""
    draw = np.random.default_rng(0)
    rays = draw.standard_normal((3, 1, 1, 40))
    along = np.array(STEPS)[:, None, None] * np.linspace(1, 0.3, epochs)[:, None]
    offsets = rays * along + 0.05 * draw.standard_normal((3, 2, epochs, 40))
    flat = offsets.reshape(-1, 40)
    dims = ("ray", "step", "epoch")
    losses = np.linalg.norm(offsets, axis=-1)
    return xr.Dataset(
        {
            "gram": (("point", "other"), flat @ flat.T),
            "train_loss": (dims, losses),
            "test_loss": (dims, losses + 1),
            **{name: (dims, 1 / (1 + losses)) for name in SHARES},
        },
        coords={"ray": RAYS, "step": STEPS, "epoch": range(epochs)},
        attrs={"run": "a-run"},
    )


@pytest.fixture(scope="module")
def dataset() -> xr.Dataset:
    return make_dataset()


@pytest.fixture(scope="module")
def found(dataset: xr.Dataset) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    return trajectory_maps(points_of(dataset), ANALYSIS)


def test_every_point_keeps_its_ray_step_epoch_and_losses(dataset: xr.Dataset) -> None:
    table = points_of(dataset).table
    assert len(table) == 48
    for row in table.itertuples():
        there = dataset.sel(ray=row.ray, step=row.step, epoch=row.epoch)
        assert row.test_loss == there["test_loss"].item()
        assert row.train_loss == there["train_loss"].item()
    # The order of the Gram matrix: ray, then step, then epoch.
    keys = [(s, t, e) for s in RAYS for t in STEPS for e in range(EPOCHS)]
    assert list(table[["ray", "step", "epoch"]].itertuples(index=False, name=None)) == keys


def test_a_trajectory_that_diverged_is_left_out_as_a_whole_and_counted(
    dataset: xr.Dataset,
) -> None:
    broken = dataset.copy(deep=True)
    broken["test_loss"][0, 1, 3] = np.inf
    broken["gram"][-1, :] = np.nan
    broken["gram"][:, -1] = np.nan
    kept = points_of(broken)
    assert kept.excluded == 2
    assert len(kept.table) == 32 and np.isfinite(kept.gram).all()
    left = kept.table[["ray", "step"]].drop_duplicates().to_numpy().tolist()
    assert left == [[4, 0.5], [7, 0.5], [7, 1.0], [9, 0.5]]
    points, quality, _ = trajectory_maps(kept, ANALYSIS)
    assert (quality["excluded"] == 2).all() and (quality["points"] == 33).all()
    assert np.isfinite(points[["x", "y"]]).all(axis=None)


@pytest.mark.parametrize("method", ["phate", "pca", "tsne", "umap"])
def test_each_method_has_all_points_and_the_trained_weights_last(
    found: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame], method: str
) -> None:
    points = found[0].query("method == @method")
    assert len(points) == 49
    assert points["ray"].tolist()[-1] == -1 and np.isnan(points["test_loss"].iloc[-1])
    rays = points.iloc[:-1]
    assert np.isfinite(points[["x", "y"]]).all(axis=None)
    middle = rays.groupby("ray")[["x", "y"]].transform("mean")
    within = np.linalg.norm(rays[["x", "y"]] - middle, axis=1).mean()
    centres = middle.drop_duplicates().to_numpy()
    assert np.linalg.norm(centres[[0, 0, 1]] - centres[[1, 2, 2]], axis=1).min() > within


def test_the_quality_names_what_each_map_depends_on(
    found: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
) -> None:
    quality = found[1].set_index("method")
    assert quality.index.tolist() == ["phate", "pca", "tsne", "umap"]
    assert quality["trustworthiness"].between(0.5, 1).all()
    assert quality["trajectory_preservation"].between(0, 1).all()
    assert quality.loc[["phate", "pca", "tsne"], "seed_spread"].tolist() == [0, 0, 0]
    assert 0 < quality.loc["umap", "seed_spread"] <= 1
    phate = quality.loc["phate"]
    counts = [phate[f"components_knn_{knn}"] for knn in (5, 10, 20)]
    assert counts == sorted(counts, reverse=True) and counts[0] >= counts[2] >= 1
    assert 0 <= phate["saturation"] <= 1 and phate["t"] >= 1
    assert quality.drop("phate")["t"].isna().all()


def test_the_entropy_behind_t_is_kept(
    found: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
) -> None:
    curve = found[2]
    assert curve["power"].tolist() == list(range(1, 101))
    assert (np.diff(curve["entropy"]) < 1e-9).all()
    fixed = ANALYSIS.model_copy(update={"t": 3, "maps": ["phate"]})
    _, quality, again = trajectory_maps(points_of(make_dataset()), fixed)
    assert quality["t"].tolist() == [3]
    np.testing.assert_array_equal(again["entropy"], curve["entropy"])


def test_distances_depend_on_the_gram_matrix_alone(dataset: xr.Dataset) -> None:
    gram = dataset["gram"].values
    expected = cosine_distances(principal_scores(gram))
    np.testing.assert_array_equal(distances_between(gram, "cosine"), expected)
    # Every point moved by the same vector.
    np.testing.assert_allclose(distances_between(gram + 3.0, "cosine"), expected, atol=1e-6)
    np.testing.assert_array_equal(distances_between(gram, "euclidean"), distances(gram))


def test_the_package_gives_the_same_map(dataset: xr.Dataset) -> None:
    pytest.importorskip("phate")
    asked = ANALYSIS.model_copy(update={"maps": ["phate"], "engine": "package"})
    points, quality, _ = trajectory_maps(points_of(dataset), asked)
    own, expected, _ = trajectory_maps(
        points_of(dataset), asked.model_copy(update={"engine": "own"})
    )
    assert quality["t"].tolist() == expected["t"].tolist()
    np.testing.assert_allclose(points[["x", "y"]].abs(), own[["x", "y"]].abs(), atol=1e-3)


@pytest.mark.parametrize(
    ("epochs", "options"), [(4, {}), (8, {"knn": 48}), (8, {"neighbours": 48})]
)
def test_too_few_points_are_listed_without_a_place_on_a_map(
    epochs: int, options: dict[str, int]
) -> None:
    analysis = ANALYSIS.model_copy(update=options)
    kept = points_of(make_dataset(epochs=epochs))
    if "neighbours" not in options:
        points, quality, entropy = trajectory_maps(kept, analysis)
        assert len(points) == 4 * (6 * epochs + 1)
        assert points[["x", "y"]].isna().all(axis=None)
        assert "trustworthiness" not in quality and len(entropy) == 0
    if options:
        diagram, statistics = trajectory_homology(kept, analysis, 1.0)
        assert len(diagram) == 0 and "components" not in statistics


def test_the_homology_is_that_of_the_graph_of_potentials(dataset: xr.Dataset) -> None:
    kept = points_of(dataset)
    diagram, statistics = trajectory_homology(kept, ANALYSIS, 1.0)
    found = diffuse(distances_between(kept.gram, "cosine"), knn=6)
    edges = knn_graph(found.potential, neighbours=7)
    expected = graph_homology(edges, kept.table["test_loss"].to_numpy())
    pd.testing.assert_frame_equal(diagram, expected)
    text = statistics.query("mode == 'paper-text'").set_index("filtration")
    assert text.index.tolist() == ["test loss", "test log loss", "test rank", "train loss"]
    row = text.loc["test loss"]
    assert (row["t"], row["saturation"]) == (found.t, found.saturation)
    assert (row["neighbours"], row["edges"]) == (7, len(edges))
    assert row["cycles"] - row["components"] == len(edges) - 48
    assert row["max_jump_loss"] == dataset["test_loss"].sel(epoch=0).max()
    assert row["graph_components_5"] >= row["graph_components_10"] >= row["graph_components_20"]
    # The test loss is the train loss and 1: pairs, and so all totals but the ends, are the same.
    for name in ("extended_ordinary", "total_persistence_finite", "loss_range_squared"):
        assert row[name] == pytest.approx(text.loc["train loss", name])
    assert row["within_finite"] == pytest.approx(row["total_persistence_finite"])
    assert text["within_finite_p"].notna().tolist() == [True, False, False, False]
    (code,) = statistics.query("mode == 'released-code'").to_dict("records")
    assert code["edges"] == 48 * 7
    assert code["cycles"] == 48 * 7 - 48 + code["components"]


def test_files_hold_every_training_seed(dataset: xr.Dataset, tmp_path: Path) -> None:
    both = xr.concat([dataset, make_dataset() * 2], pd.Index([3, 5], name="seed"))
    both = both.assign(minimum_test_loss=("seed", [1.0, 2.0])).assign_attrs(run="a-run")
    path = tmp_path / "trajectory.nc"
    write_dataset(path, both)
    names = ("points", "quality", "entropy", "diagram", "statistics")
    files = {name: str(tmp_path / f"{name}.parquet") for name in names}
    analysis = ANALYSIS.model_copy(update={"maps": ["pca"]})
    write_maps(path, analysis, files)
    write_homology(path, analysis, files)
    for name in ("points", "quality", "diagram", "statistics"):
        table = read_table(files[name])
        assert table.columns[:2].tolist() == ["run", "seed"]
        assert table["seed"].unique().tolist() == [3, 5]
        assert table["run"].unique().tolist() == ["a-run"]
