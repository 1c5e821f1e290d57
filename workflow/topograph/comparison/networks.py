"""Do losses sampled around networks tell how they generalise and were trained? (Table 1.)"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from topograph.comparison.classifiers import classify, quantile_classes
from topograph.comparison.roles import read_tables
from topograph.foundation.progress import track
from topograph.foundation.storage import write_table

JUMPS, GRID, RAYS, CONTINUED = "jump and retrain", "grid", "rays", "continued training"
AT_MINIMUM, JUMPS_ALONE, LAST_EPOCH = "trained weights alone", "jumps alone", "last epoch alone"
DECAY, AUGMENT = "optimiser.weight_decay", "data.kwargs.augment"
GENERALISATION = "generalisation"
# Quintiles, as published, need networks by the hundred.
MANY_NETWORKS = 100
REPEATS = 3


def write_classifiers(
    results: str | Path, roles: Mapping[str, Mapping[str, Any]], path: str | Path
) -> None:
    """Write how often classifiers tell networks by the losses of some roles of a study."""
    write_table(path, classify_networks(read_tables(Path(results), roles)))


def classify_networks(
    tables: Mapping[str, pd.DataFrame], *, repeats: int = REPEATS, seed: int = 0
) -> pd.DataFrame:
    """Return whether classifiers tell labels of networks from the losses sampled around them.

    ``tables`` are ``jumps.metrics``, ``jumps.points``, ``jumps-baselines.points`` and, if there is
    one, ``jumps-continued.points``, with run, seed and the axes of the grid as columns. Labels are
    quantiles of the test loss at the trained weights (five of 100 networks and more, else three),
    weight decay and augmentation, those of them that vary. Features are train loss and accuracy at
    every point; for comparison those at the trained weights, right after the jumps, and at the last
    epoch. Continued training is compared on the networks that have it, under labels of their own:
    ``<label>, continued``. Rows: label, features, classifier, repeat, run, seed, right.
    Source: Horoi et al. 2022 (arXiv 2102.00485), Table 1.
    """
    networks = tables["jumps.metrics"].sort_values(["run", "seed"], kind="stable")
    networks = networks[np.isfinite(networks["test_loss"])].reset_index(drop=True)
    features = features_of(tables, networks)
    parts = []
    questions = list(labels_of(networks).items())
    for label, values in track(questions, "classifying networks", len(questions)):
        sets = {name: rows for name, rows in features.items() if name != CONTINUED}
        parts.append(_told(label, sets, values, networks, repeats, seed))
        if CONTINUED in features:
            whole = np.isfinite(features[CONTINUED]).all(axis=1)
            pair = {name: features[name][whole] for name in (JUMPS, CONTINUED)}
            some = networks[whole].reset_index(drop=True)
            name = f"{label}, continued"
            parts.append(_told(name, pair, values[whole], some, repeats, seed))
    return pd.concat(parts, ignore_index=True)


def labels_of(networks: pd.DataFrame) -> dict[str, NDArray]:
    """Return the labels (N,) of networks: their generalisation, and settings that vary."""
    classes = 5 if len(networks) >= MANY_NETWORKS else 3
    found: dict[str, NDArray] = {}
    found[GENERALISATION] = quantile_classes(networks["test_loss"], classes)
    for name, column in (("weight decay", DECAY), ("augmentation", AUGMENT)):
        if column in networks and networks[column].nunique() > 1:
            found[name] = networks[column].astype(str).to_numpy()
    return found


def features_of(
    tables: Mapping[str, pd.DataFrame], networks: pd.DataFrame
) -> dict[str, NDArray[np.float64]]:
    """Return rows of features (N, F) of each set, NaN where a trajectory diverged."""
    points = _one_map(tables["jumps.points"])
    last = points["epoch"].max()
    keys, measures = ["ray", "step", "epoch"], ["train_loss", "train_accuracy"]
    found = {
        JUMPS: _rows(points, keys, measures, networks),
        JUMPS_ALONE: _rows(points[points["epoch"] == 0], keys, measures, networks),
        LAST_EPOCH: _rows(points[points["epoch"] == last], keys, measures, networks),
        AT_MINIMUM: networks[measures].to_numpy(),
    }
    around = tables["jumps-baselines.points"]
    around = around.assign(point=around.groupby(["run", "seed", "kind"]).cumcount())
    for name, kind in ((GRID, "grid"), (RAYS, "rays")):
        some = around[around["kind"] == kind]
        found[name] = _rows(some, ["point"], ["loss", "accuracy"], networks)
    if "jumps-continued.points" in tables:
        points = _one_map(tables["jumps-continued.points"])
        found[CONTINUED] = _rows(points, keys, measures, networks)
    return found


def _one_map(points: pd.DataFrame) -> pd.DataFrame:
    """Return each visited point once, without the trained weights."""
    first = points["method"].iloc[0]
    return points[(points["method"] == first) & (points["ray"] >= 0)]


def _rows(
    points: pd.DataFrame, keys: list[str], measures: list[str], networks: pd.DataFrame
) -> NDArray[np.float64]:
    wide = points.pivot(index=["run", "seed"], columns=keys, values=measures)
    own = pd.MultiIndex.from_frame(networks[["run", "seed"]])
    return wide.sort_index(axis=1).reindex(own).to_numpy(dtype=np.float64)


def _told(
    label: str,
    sets: Mapping[str, NDArray[np.float64]],
    values: NDArray,
    networks: pd.DataFrame,
    repeats: int,
    seed: int,
) -> pd.DataFrame:
    found = classify(sets, values, networks["run"].to_numpy(), repeats=repeats, seed=seed)
    owner = networks.loc[found["network"], ["run", "seed"]].reset_index(drop=True)
    return found.drop(columns="network").assign(label=label, run=owner["run"], seed=owner["seed"])
