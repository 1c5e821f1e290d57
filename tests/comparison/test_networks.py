"""What classifiers are asked of networks, and that they find what was planted and no more."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

from topograph.comparison import classifiers
from topograph.comparison.networks import (
    AT_MINIMUM,
    AUGMENT,
    CONTINUED,
    DECAY,
    GRID,
    JUMPS,
    JUMPS_ALONE,
    LAST_EPOCH,
    RAYS,
    classify_networks,
    features_of,
    labels_of,
)

FEW = ("nearest neighbours", "tree")


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    """Twelve settings with two seeds: after jumps the loss is the decay, around it is noise."""
    draw = np.random.default_rng(0)
    settings = list(product((0.0, 1e-3), (False, True), (0, 1, 2)))
    networks = [(f"run-{n:02}", seed, *s) for n, s in enumerate(settings) for seed in (0, 1)]
    metrics = pd.DataFrame(networks, columns=["run", "seed", DECAY, AUGMENT, "other"])
    metrics = metrics.assign(
        test_loss=draw.uniform(size=24), train_loss=draw.uniform(size=24), train_accuracy=1.0
    )
    visited = [
        {"run": run, "seed": seed, "ray": ray, "step": 1.0, "epoch": epoch, "method": method,
         "train_loss": decay + 1e-5 * draw.standard_normal() + 0.1 * epoch, "train_accuracy": 1.0}
        for run, seed, decay, *_ in networks
        for ray, epoch, method in product((0, 1, -1), (0, 1), ("phate", "pca"))
    ]  # fmt: skip
    around = [
        {"run": run, "seed": seed, "kind": kind, "loss": draw.uniform(), "accuracy": 0.5}
        for run, seed, *_ in networks
        for kind, _ in product(("grid", "rays"), range(3))
    ]
    return {
        "jumps.metrics": metrics,
        "jumps.points": pd.DataFrame(visited),
        "jumps-baselines.points": pd.DataFrame(around),
    }


def test_features_are_in_one_order_and_only_of_visited_points(
    tables: dict[str, pd.DataFrame],
) -> None:
    networks = tables["jumps.metrics"]
    features = features_of(tables, networks)
    shapes = {name: rows.shape for name, rows in features.items()}
    assert shapes == {
        JUMPS: (24, 8), JUMPS_ALONE: (24, 4), LAST_EPOCH: (24, 4), AT_MINIMUM: (24, 2),
        GRID: (24, 6), RAYS: (24, 6),
    }  # fmt: skip
    shuffled = {name: table.sample(frac=1, random_state=1) for name, table in tables.items()}
    again = features_of({**shuffled, "jumps-baselines.points": tables["jumps-baselines.points"]},
                        networks)  # fmt: skip
    np.testing.assert_array_equal(again[JUMPS], features[JUMPS])
    points = tables["jumps.points"]
    one = points[
        (points["run"] == "run-03") & (points["seed"] == 1) & (points["method"] == "phate")
    ]
    expected = one[one["ray"] >= 0].sort_values(["ray", "epoch"])["train_loss"]
    row = networks.index[(networks["run"] == "run-03") & (networks["seed"] == 1)][0]
    np.testing.assert_array_equal(features[JUMPS][row, 4:], expected)


def test_labels_are_quantiles_of_the_loss_and_what_varies(
    tables: dict[str, pd.DataFrame],
) -> None:
    networks = tables["jumps.metrics"]
    labels = labels_of(networks)
    assert list(labels) == ["generalisation", "weight decay", "augmentation"]
    assert np.bincount(labels["generalisation"]).tolist() == [8, 8, 8]
    assert list(labels_of(networks.assign(**{AUGMENT: True}))) == ["generalisation", "weight decay"]
    many = pd.concat([networks] * 5)
    assert np.unique(labels_of(many)["generalisation"]).size == 5


def test_what_was_planted_is_told_and_noise_is_not(
    tables: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "topograph.comparison.classifiers.classify.__kwdefaults__",
        {**classifiers.classify.__kwdefaults__, "classifiers": FEW},
    )
    points = tables["jumps.points"]
    some = points[points["seed"] == 0].assign(train_loss=0.0)
    found = classify_networks({**tables, "jumps-continued.points": some}, repeats=2)
    share = found.groupby(["label", "features"])["right"].mean()
    assert share["weight decay", JUMPS] == 1 == share["weight decay", JUMPS_ALONE]
    assert share["weight decay", GRID] < 0.9 and share["augmentation", JUMPS] < 0.9
    told = found[found["label"] == "weight decay, continued"]
    assert set(told["features"]) == {JUMPS, CONTINUED, "scrambled"}
    assert set(told["seed"]) == {0}
    assert len(found.query("label == 'augmentation' and features == @GRID")) == 24 * 2 * 2
