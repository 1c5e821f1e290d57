"""Maps by name: closed forms, the packages themselves, and order along a line."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import procrustes
from scipy.spatial.distance import pdist, squareform
from sklearn.decomposition import PCA

from topograph.embedding.manifold import METHODS, embed
from topograph.embedding.phate import phate
from topograph.embedding.quality import quality, trajectory_preservation
from topograph.foundation.errors import TopographError

POINTS = np.random.default_rng(0).standard_normal((60, 7)) * np.arange(7, 0, -1)
DISTANCES = squareform(pdist(POINTS))


def clusters() -> tuple[np.ndarray, np.ndarray]:
    """Three clusters far apart, and the cluster of each point."""
    draw = np.random.default_rng(1)
    names = np.repeat(np.arange(3), 25)
    return draw.standard_normal((75, 5)) + 40 * np.eye(5)[names], names


@pytest.mark.parametrize("components", [1, 2, 3])
def test_pca_of_euclidean_distances_has_the_scores_of_the_points(components: int) -> None:
    found = embed(DISTANCES, "pca", n_components=components)
    expected = PCA(components).fit_transform(POINTS)
    assert found == pytest.approx(expected * np.sign(np.sum(found * expected, axis=0)))


def test_phate_is_the_map_of_phate() -> None:
    own = embed(DISTANCES, "phate", knn=7, t=5)
    assert own.tobytes() == phate(DISTANCES, knn=7, t=5).coordinates.tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_gives_the_same_map_again(method: str) -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (embed(DISTANCES, method, seed=3) for _ in range(2))
    assert first.shape == (60, 2) and first.dtype == np.float64
    assert first.tobytes() == second.tobytes()
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.parametrize("method", METHODS)
def test_clusters_far_apart_stay_whole(method: str) -> None:
    points, names = clusters()
    near = squareform(pdist(embed(squareform(pdist(points)), method)))
    nearest = np.argsort(near, axis=1)[:, 1:6]
    assert (names[nearest] == names[:, None]).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "tnse"}, "tsne"),
        ({"method": "umap", "neighbors": 5}, "neighbours"),
        ({"method": "umap", "neighbours": 60}, "neighbours is 60 for 60 points; allowed: 2 to 59"),
        ({"method": "umap", "neighbours": 1}, "allowed: 2 to 59"),
        ({"method": "tsne", "n_components": 4}, "allowed: 1 to 3"),
        ({"method": "pca", "n_components": 60}, "n_components is 60 for pca of 60 points"),
        ({"method": "tsne", "perplexity": 60}, "perplexity is 60 for 60 points"),
    ],
)
def test_a_wrong_name_or_size_is_answered(options: dict, words: str) -> None:
    with pytest.raises(TopographError, match=words):
        embed(DISTANCES, **options)


def test_distances_that_are_not_symmetric_are_refused() -> None:
    lopsided = DISTANCES.copy()
    lopsided[0, 1] += 1
    with pytest.raises(TopographError, match="differ from their transpose"):
        embed(lopsided, "pca")
    with pytest.raises(TopographError, match="differ from their transpose"):
        quality(lopsided, POINTS[:, :2])


def test_points_that_coincide_lie_together() -> None:
    for method in METHODS:
        assert not embed(np.zeros((40, 40)), method).any()


def test_order_in_time_is_kept_on_a_line_and_lost_in_noise() -> None:
    names = np.repeat(["a", "b"], 40)
    line = np.column_stack([np.tile(np.arange(40.0), 2), 100.0 * (names == "b")])
    assert trajectory_preservation(line, names) == 1
    noise = np.random.default_rng(0).random((80, 2))
    assert trajectory_preservation(noise, names) < 0.3
    shuffled = np.random.default_rng(0).permutation(80)
    # Names may stand in any order: the points of each are in the order of time.
    order = np.sort(shuffled.reshape(2, 40), axis=1)
    mixed, mixed_names = np.empty_like(line), np.empty(80, dtype="<U1")
    for name, places in zip("ab", order, strict=True):
        mixed[places], mixed_names[places] = line[names == name], name
    assert trajectory_preservation(mixed, mixed_names) == 1


def test_procrustes_of_a_rotated_map_changes_no_quality() -> None:
    map_ = embed(DISTANCES, "pca")
    angle = 0.7
    turned = map_ @ [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]] * 3 + 5
    assert procrustes(map_, turned)[2] == pytest.approx(0, abs=1e-12)
    assert quality(DISTANCES, turned) == pytest.approx(quality(DISTANCES, map_))
