"""Tables of planted truth for the claims of the jump-and-retrain paper."""

from __future__ import annotations

from itertools import product

import pandas as pd

from topograph.claims.jumps import BATCH
from topograph.comparison.networks import AUGMENT, DECAY, GRID, JUMPS, RAYS

SETTINGS = list(product((128, 512), (0.0, 1e-4, 1e-3), (False, True)))
AXES = [BATCH, DECAY, AUGMENT]
NETWORKS = [(f"run-{n}", seed) for n in range(len(SETTINGS)) for seed in (0, 1)]
MEMORISING = [(f"random-{n}", seed) for n in range(2) for seed in (0, 1)]


def loss_of(run: str) -> float:
    """The test loss rises with less decay, without augmentation and with the batch."""
    batch, decay, augment = SETTINGS[int(run.split("-")[1])]
    return 1 + (decay == 0) * 4 + (decay == 1e-4) * 2 + (not augment) + batch / 1024


def points_of(networks: list[tuple[str, int]], sign: float) -> pd.DataFrame:
    rows = []
    for (run, seed), ray, step, epoch in product(networks, (0, 1), (0.25, 1.0), range(4)):
        bad = 10.0 if run.startswith("random") else loss_of(run)
        rows.append(
            {
                "run": run, "seed": seed, "ray": ray, "step": step, "epoch": epoch,
                "train_loss": 0.01 * 10.0 ** (2 - 2 * sign), "train_accuracy": 1.0,
                "relative_distance": 1 + sign * (bad - 3) * epoch / 100,
                "lateral": 0.1 * bad * epoch * sign, "method": "phate",
            }
        )  # fmt: skip
    minimum = {"ray": -1, "step": 0.0, "epoch": 0, "method": "phate"}
    ends = [{"run": run, "seed": seed, **minimum} for run, seed in networks]
    whole = pd.DataFrame(rows + ends)
    return pd.concat([whole, whole.assign(method="pca", train_loss=99.0)])


def planted(sign: float = 1.0) -> dict[str, pd.DataFrame]:
    """Return tables on which every claim holds, or with the sign turned its opposite."""
    metrics = pd.DataFrame(
        {"run": run, "seed": seed, **dict(zip(AXES, SETTINGS[int(run.split("-")[1])], strict=True))}
        for run, seed in NETWORKS
    )
    metrics["test_loss"] = [loss_of(run) for run in metrics["run"]]
    known = metrics[["run", "seed"]]
    around = [known.assign(kind=kind, loss=1.0) for kind in ("grid", "rays") for _ in range(3)]
    kept = {"phate": 0.5 + sign * 0.4, "pca": 0.5, "tsne": 0.5, "umap": 0.5}
    quality = [known.assign(method=m, trajectory_preservation=v) for m, v in kept.items()]
    worse = metrics["test_loss"] ** sign
    statistics = known.assign(
        mode="paper-text",
        filtration="test loss",
        components=4,
        loss_range_squared=2.0,
        total_persistence_finite=worse,
        total_persistence_published=8 * worse,
        max_jump_loss=worse,
    )
    other = statistics.assign(mode="released-code", total_persistence_published=-1.0)
    told = [
        known.assign(features=name, label=label, classifier="tree", repeat=0, right=right)
        for label in ("generalisation", "weight decay", "augmentation")
        for name, right in ((JUMPS, int(sign > 0)), (GRID, int(sign < 0)), (RAYS, int(sign < 0)))
    ]
    return {
        "jumps.metrics": metrics,
        "jumps.points": points_of(NETWORKS, sign),
        "jumps-memorising.points": points_of(MEMORISING, sign),
        "jumps-baselines.points": pd.concat(around),
        "jumps-maps.quality": pd.concat(quality),
        "jumps-homology.statistics": pd.concat([statistics, other]),
        "jumps.classifiers": pd.concat(told),
    }
