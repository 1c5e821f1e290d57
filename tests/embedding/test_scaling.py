"""Metric scaling against scikit-learn's, and the start of many points against all eigenvectors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from sklearn.manifold import smacof

from topograph.embedding import scaling
from topograph.embedding.scaling import LEAST_GAIN, LONGEST_SCALING, classic_start, metric_scaling
from topograph.geometry.gram import centred

POINTS = np.random.default_rng(0).standard_normal((60, 6)) * [5, 4, 3, 2, 1, 1]


@pytest.mark.parametrize("components", [1, 2, 3])
def test_it_goes_the_way_of_scikit_learn(components: int) -> None:
    given = squareform(pdist(POINTS))
    start = classic_start(given, components) / 1000
    ours = scaling._majorised(start, given)
    theirs, _ = smacof(
        given,
        n_components=components,
        init=start,
        n_init=1,
        max_iter=LONGEST_SCALING,
        eps=LEAST_GAIN,
        normalized_stress=False,
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8)


def test_many_points_start_from_the_same_eigenvectors() -> None:
    points = np.random.default_rng(1).standard_normal((520, 4)) * [8, 4, 2, 1]
    given = squareform(pdist(points))
    assert len(given) > scaling.MANY_POINTS
    found, other = (classic_start(given, 2, seed) for seed in (0, 1))
    np.testing.assert_allclose(found, other, atol=1e-6 * np.abs(found).max())
    values, vectors = np.linalg.eigh(centred(given**2))
    first = np.argsort(-np.abs(values))[:2]
    expected = vectors[:, first] * np.abs(values[first])
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-6 * np.abs(values).max())


def test_points_that_coincide_stay_finite() -> None:
    found = metric_scaling(squareform(pdist(np.repeat(POINTS[:10], 3, axis=0))), 2)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], found[1], atol=1e-9)
