"""Classifiers on equal folds: what can be told is told, and what cannot is not."""

from __future__ import annotations

import numpy as np
import pytest

from topograph.comparison.classifiers import CLASSIFIERS, SCRAMBLED, classify, quantile_classes
from topograph.foundation.errors import TopographError

QUICK = ("nearest neighbours", "naive Bayes", "tree")
LABELS = np.repeat([0, 1, 2], 12)
CONFIGURATIONS = np.repeat(np.arange(18), 2)


def features(*, strength: float = 8.0, seed: int = 0) -> np.ndarray:
    """Return rows of noise whose first three columns give the label away by ``strength``."""
    rows = np.random.default_rng(seed).standard_normal((36, 10))
    rows[:, :3] += strength * np.eye(3)[LABELS]
    return rows


def test_every_classifier_tells_what_is_plain_and_none_what_is_scrambled() -> None:
    found = classify({"plain": features()}, LABELS, CONFIGURATIONS, repeats=1)
    share = found.groupby(["features", "classifier"])["right"].mean().unstack("features")
    assert set(share.index) == set(CLASSIFIERS) and len(CLASSIFIERS) == 11
    assert (share["plain"] > 0.8).all()
    assert share[SCRAMBLED].mean() < 0.55


def test_every_network_is_judged_once_for_each_classifier_and_repeat() -> None:
    sets = {"plain": features(), "noise": features(strength=0)}
    found = classify(sets, LABELS, CONFIGURATIONS, classifiers=QUICK, repeats=2)
    counts = found.groupby(["features", "classifier", "repeat"])["network"].agg(["size", "nunique"])
    assert (counts == 36).all(axis=None) and len(counts) == 3 * 3 * 2
    again = classify(sets, LABELS, CONFIGURATIONS, classifiers=QUICK, repeats=2)
    assert found.equals(again)


def test_a_configuration_cannot_be_learnt_by_heart() -> None:
    """Rows that name their configuration tell nothing once it is never on both sides."""
    rows = np.eye(18)[CONFIGURATIONS] * 10
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1], 9))[CONFIGURATIONS]
    chosen = {"classifiers": ("nearest neighbours",), "repeats": 5}
    apart = classify({"names": rows}, labels, CONFIGURATIONS, **chosen)
    mixed = classify({"names": rows}, labels, np.arange(36), **chosen)
    share = [found.query("features == 'names'")["right"].mean() for found in (apart, mixed)]
    assert share[0] < 0.65 < 0.8 < share[1]


def test_what_is_not_finite_costs_no_network() -> None:
    rows = features()
    rows[3, 2], rows[7, :] = np.inf, np.nan
    found = classify({"broken": rows}, LABELS, CONFIGURATIONS, classifiers=QUICK, repeats=1)
    assert found.query("features == 'broken'")["network"].nunique() == 36


def test_more_features_than_networks_and_a_class_of_two_configurations_are_judged() -> None:
    rows = np.hstack([features(), np.random.default_rng(1).standard_normal((36, 300))])
    found = classify({"wide": rows}, LABELS, CONFIGURATIONS, classifiers=["QDA"], repeats=1)
    assert found.query("features == 'wide'")["right"].mean() > 0.2
    labels = np.minimum(np.arange(36), 2) // 2
    found = classify(
        {"few": features()}, labels, np.arange(36), classifiers=["QDA", "tree"], repeats=1
    )
    assert len(found.query("features == 'few'")) == 72


def test_quantile_classes_have_equal_sizes_and_follow_the_values() -> None:
    values = np.random.default_rng(0).random(23)
    found = quantile_classes(values, 5)
    assert sorted(np.bincount(found)) == [4, 4, 5, 5, 5]
    assert (np.diff(found[np.argsort(values)]) >= 0).all()
    with pytest.raises(TopographError, match="22 of 23 values are finite"):
        quantile_classes(np.where(np.arange(23) == 4, np.nan, values), 5)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"features": {"a": np.zeros((35, 2))}}, r"'a' have shape \(35, 2\); allowed: \(36, F\)"),
        ({"classifiers": ["forrest"]}, "forest"),
        ({"labels": np.zeros(36)}, "of 1 classes; allowed: two classes or more"),
        ({"groups": LABELS}, "lies in 1 configuration of 3"),
    ],
)
def test_what_cannot_be_split_is_refused(given: dict, words: str) -> None:
    usual = {"features": {"a": features()}, "labels": LABELS, "groups": CONFIGURATIONS}
    with pytest.raises(TopographError, match=words):
        classify(**{**usual, **given})
