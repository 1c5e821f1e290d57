"""Gram-matrix geometry against the same quantities computed from the points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from sklearn.decomposition import PCA

from topograph.foundation.errors import TopographError
from topograph.geometry.gram import centred, cosine_distances, distances, principal_scores


@pytest.fixture
def points():
    return np.random.default_rng(3).standard_normal((30, 12)) * np.linspace(4, 0.5, 12) + 2


def test_distances_equal_those_between_points(points):
    found = distances(points @ points.T)
    assert np.allclose(found, squareform(pdist(points)), rtol=1e-10, atol=1e-10)
    assert np.array_equal(found, found.T)
    assert not np.diagonal(found).any()


def test_distances_of_duplicates_are_never_negative_roots():
    points = np.repeat(np.random.default_rng(0).standard_normal((5, 7)) * 1e3, 3, axis=0)
    found = distances(points @ points.T)
    assert np.isfinite(found).all()
    assert found[0, 1] < 1e-3 * found[0, 3]


def test_distances_read_single_precision_in_double():
    gram = np.diag([1.0, 1.0 + 2.0**-20]).astype(np.float32)
    assert distances(gram)[0, 1] == np.sqrt(2 + 2.0**-20)


def test_distances_to_a_diverged_point_are_kept_as_nan(points):
    points[4] = np.nan
    found = distances(points @ points.T)
    assert np.isnan(found[4, :4]).all()
    assert np.isfinite(np.delete(np.delete(found, 4, 0), 4, 1)).all()


def test_centred_is_the_gram_of_centred_points(points):
    shifted = points - points.mean(axis=0)
    assert np.allclose(centred(points @ points.T), shifted @ shifted.T, atol=1e-10)


@pytest.mark.parametrize("components", [3, 12])
def test_scores_equal_principal_components_up_to_sign(points, components):
    scores = principal_scores(points @ points.T, components)
    expected = PCA(components, svd_solver="full").fit_transform(points)
    assert scores.shape == (30, components)
    assert np.allclose(np.abs(scores), np.abs(expected), atol=1e-7)


def test_scores_keep_all_distances_and_a_fixed_sign(points):
    scores = principal_scores(points @ points.T)
    assert scores.shape == (30, 30)
    assert np.allclose(pdist(scores), pdist(points), atol=1e-6)
    leading = scores[:, :12]
    assert (leading[np.abs(leading).argmax(axis=0), np.arange(12)] > 0).all()


def test_cosine_distances():
    rows = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [-5.0, 0.0], [0.0, 0.0]])
    expected = np.array(
        [[0, 0, 1, 2, 1], [0, 0, 1, 2, 1], [1, 1, 0, 1, 1], [2, 2, 1, 0, 1], [1, 1, 1, 1, 0]]
    )
    assert np.allclose(cosine_distances(rows), expected)
    many = cosine_distances(np.random.default_rng(1).standard_normal((50, 3)))
    assert many.min() == 0
    assert many.max() <= 2
    assert np.array_equal(many, many.T)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distances(np.ones((2, 3))), r"shape \(2, 3\)"),
        (lambda: centred(np.ones(3)), r"shape \(3,\)"),
        (lambda: principal_scores(np.eye(3), 0), "components is 0"),
        (lambda: principal_scores(np.diag([1.0, np.nan, 1.0])), "1 of 3 rows"),
        (lambda: cosine_distances(np.ones(3)), r"shape \(3,\)"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(TopographError, match=message):
        call()
