"""An artificial tree: how far its points are apart along it, and what the maps make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from topograph.embedding.tree import artificial_tree, write_tree
from topograph.foundation.errors import TopographError
from topograph.foundation.storage import read_table


def test_steps_have_length_one_and_each_branch_begins_beside_an_earlier_one() -> None:
    tree = artificial_tree(5, 20, 30, noise=0.0)
    assert tree.points.shape == (100, 30) and np.bincount(tree.branch).tolist() == [20] * 5
    apart = np.linalg.norm(tree.points[:, None] - tree.points, axis=-1)
    linked = np.argwhere(tree.along == 1)
    # A tree: one link less than points, each counted from both ends.
    assert len(linked) == 2 * 99
    np.testing.assert_allclose(apart[tuple(linked.T)], 1.0)
    for branch in range(1, 5):
        assert (tree.along[20 * branch, : 20 * branch] == 1).sum() == 1


def test_along_the_tree_is_a_metric_that_distances_follow() -> None:
    tree = artificial_tree(4, 15, 40)
    along = tree.along
    np.testing.assert_array_equal(along, along.T)
    assert (along <= along[:, :, None].min(axis=0) + along.max()).all()
    through = along[:, :, None] + along[None, :, :]
    assert (along <= through.min(axis=1)).all()
    apart = np.linalg.norm(tree.points[:, None] - tree.points, axis=-1)
    pairs = np.triu_indices(len(apart), 1)
    assert spearmanr(along[pairs], apart[pairs])[0] > 0.8


def test_a_seed_gives_the_same_tree_and_another_another() -> None:
    one, again, other = (artificial_tree(seed=seed).points for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


def test_a_tree_without_points_is_refused() -> None:
    with pytest.raises(TopographError, match="0 branches of 60 points in 60 dimensions; allowed"):
        artificial_tree(0)


def test_the_maps_are_written_with_their_quality(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = artificial_tree(4, 20, 20)
    monkeypatch.setattr("topograph.embedding.tree.artificial_tree", lambda: small)
    files = {name: str(tmp_path / f"{name}.parquet") for name in ("points", "quality")}
    write_tree(files)
    points, quality = (read_table(files[name]) for name in ("points", "quality"))
    assert points.groupby("method")["branch"].value_counts().eq(20).all()
    assert points.groupby(["method", "branch"])["order"].max().eq(19).all()
    quality = quality.set_index("method")
    assert set(quality.index) == {"phate", "pca", "tsne", "umap"}
    assert quality.loc["phate", "along"] > 0.5
    assert quality["trajectory_preservation"].between(0, 1).all()
