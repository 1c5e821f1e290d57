"""Our PHATE against the published package as a black box, and on data of known shape."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from topograph.embedding.phate import phate
from topograph.foundation.errors import TopographError
from topograph.geometry.gram import cosine_distances


def cloud(points=90):
    return np.random.default_rng(0).standard_normal((points, 8))


def walk(points=90):
    return np.cumsum(np.random.default_rng(1).standard_normal((points, 20)), axis=0)


def rays(seeds=4, steps=4, epochs=10):
    """Return points on parallel strands: those of a seed 15 apart, those of two seeds 1000."""
    seed, step, epoch = np.indices((seeds, steps, epochs)).reshape(3, -1)
    along = (1000.0 + epoch)[:, None] * np.eye(seeds)[seed]
    return np.column_stack([along, 15.0 * step])


@pytest.mark.parametrize("points", [cloud(), walk()], ids=["cloud", "walk"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize(("knn", "decay"), [(5, 40), (10, 15)])
def test_equals_the_package_on_precomputed_distances(points, metric, knn, decay):
    package = pytest.importorskip("phate")
    distances = squareform(pdist(points)) if metric == "euclidean" else cosine_distances(points)
    operator = package.PHATE(
        knn=knn,
        decay=decay,
        knn_dist="precomputed_distance",
        mds_dist=metric,
        mds_solver="smacof",
        n_landmark=None,
        random_state=0,
        verbose=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = operator.fit_transform(distances)
    found = phate(distances, knn=knn, decay=decay, mds_distance=metric)
    assert found.t == operator.optimal_t
    assert np.allclose(found.potential, operator.diff_potential, rtol=1e-9, atol=1e-9)
    assert found.components == operator.graph.n_connected_components
    assert np.allclose(np.abs(found.coordinates), np.abs(expected), atol=1e-4)


@pytest.mark.parametrize("mds_distance", ["euclidean", "cosine"])
def test_two_calls_give_the_same_bits_and_leave_the_input(mds_distance):
    distances = squareform(pdist(walk()))
    before = distances.copy()
    first, second = (phate(distances, mds_distance=mds_distance) for _ in range(2))
    assert first.coordinates.tobytes() == second.coordinates.tobytes()
    assert first.potential.tobytes() == second.potential.tobytes()
    assert first.t == second.t
    assert np.array_equal(distances, before)


@pytest.mark.parametrize(("knn", "components"), [(5, 16), (20, 4)])
def test_rays_fall_into_the_expected_components(knn, components):
    found = phate(squareform(pdist(rays())), knn=knn, t=8)
    assert found.components == components
    assert found.t == 8
    # A point reaches its own component only, and those are of equal size.
    unreached = 1 - 1 / components
    assert unreached <= found.saturation < unreached + 0.2


def test_coordinates_are_centred_and_of_bounded_norm():
    coordinates = phate(squareform(pdist(cloud())), n_components=3).coordinates
    assert coordinates.shape == (90, 3)
    assert np.allclose(coordinates.mean(axis=0), 0, atol=1e-12)
    assert 0.5 < np.linalg.norm(coordinates) <= 1 + 1e-12


def test_a_walk_keeps_its_order():
    coordinates = phate(squareform(pdist(walk(60))), t=20).coordinates
    order = np.argsort(squareform(pdist(coordinates)), axis=1)[:, 1:4]
    assert np.median(np.abs(order - np.arange(60)[:, None])) <= 3


def test_duplicate_points_do_not_divide_by_zero():
    copies = np.repeat(cloud(15), 8, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = phate(squareform(pdist(copies)), knn=5, t=3)
    assert found.components == 15
    assert np.isfinite(found.potential).all()
    assert np.isfinite(found.coordinates).all()
    assert np.allclose(found.potential[0], found.potential[7])


def test_points_that_all_coincide_map_to_the_origin():
    found = phate(np.zeros((12, 12)))
    assert found.components == 1
    assert not found.coordinates.any()


def unit(points=10):
    return squareform(pdist(np.arange(float(points))[:, None]))


def changed(value, *where):
    distances = unit()
    for index in where:
        distances[index] = value
    return distances


@pytest.mark.parametrize(
    ("distances", "options", "message"),
    [
        (np.ones((3, 4)), {}, r"shape \(3, 4\)"),
        (changed(5.0, (0, 1)), {}, "transpose by up to 4"),
        (changed(-1.0, (0, 1), (1, 0)), {}, "smallest distance is -1"),
        (changed(np.nan, (0, 1), (1, 0)), {}, "2 distances are not finite"),
        (changed(np.inf, (2, 3)), {}, "1 distances are not finite"),
        (changed(1.0, (4, 4)), {}, "distance 1 from itself"),
        (unit(), {"knn": 10}, "knn is 10 for 10 points"),
        (unit(), {"knn": 0}, "knn is 0"),
        (unit(), {"n_components": 0}, "n_components is 0"),
        (unit(), {"n_components": 10}, "n_components is 10"),
        (unit(), {"decay": 0}, "decay is 0"),
        (unit(), {"t": 0}, "t is 0"),
        (unit(), {"t": 1.5}, "t is 1.5"),
        (unit(), {"t": True}, "t is True"),
        (unit(), {"t": "knee"}, "t is 'knee'"),
        (unit(), {"mds_distance": "cosin"}, "did you mean 'cosine'"),
    ],
)
def test_mistakes_are_named(distances, options, message):
    with pytest.raises(TopographError, match=message):
        phate(distances, **options)
