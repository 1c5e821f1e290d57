"""Claims of Horoi et al. 2022 (arXiv 2102.00485), the jump-and-retrain paper, with their tests.

Every threshold stands here, fixed before a trajectory of config/paper.yaml was looked at. Cells,
settings of the training, are the units: values are means over their training seeds. Networks that
memorise are compared with the others network by network, for there are few settings of them.
Returns are judged in parameter space, never on a map.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from topograph.claims.cells import CORRELATION
from topograph.claims.ledger import Claim, Tables
from topograph.claims.statistics import Test, rank_correlation, sign_flips, two_groups
from topograph.comparison.classifiers import SCRAMBLED
from topograph.comparison.networks import AUGMENT, DECAY, GENERALISATION, GRID, JUMPS, RAYS

BATCH = "schedule.batch"
# Half a decade of loss, a tenth of all steps, a tenth of all networks: the smallest worth a claim.
DECADES, SHARE, ACCURACY = 0.5, 0.1, 0.1
PROBABILITY = 0.1
TEXT = {"mode": "paper-text", "filtration": "test loss"}
# Table 1: accuracy in percent, and its standard error over classifiers, by label and features.
TABLE_1 = {
    GENERALISATION: {
        SCRAMBLED: (20.7, 1.1),
        GRID: (30.1, 2.7),
        RAYS: (31.8, 4.0),
        JUMPS: (39.2, 4.3),
    },
    "weight decay": {
        SCRAMBLED: (38.9, 1.5),
        GRID: (51.1, 2.9),
        RAYS: (55.7, 3.9),
        JUMPS: (58.2, 3.6),
    },
    "augmentation": {
        SCRAMBLED: (52.7, 1.9),
        GRID: (62.3, 5.1),
        RAYS: (67.6, 5.2),
        JUMPS: (72.1, 5.4),
    },
}


def _cells(values: pd.Series | pd.DataFrame) -> pd.Series | pd.DataFrame:
    """Return means over the training seeds of each run, from values by run and seed."""
    return values.groupby(level="run").mean()


def _trajectories(tables: Tables, role: str = "jumps") -> pd.DataFrame:
    """Return each visited point once, by run and seed; a map has all of them."""
    points = tables[f"{role}.points"]
    first = points["method"].iloc[0]
    return points[(points["method"] == first) & (points["ray"] >= 0)].set_index(["run", "seed"])


def _losses(tables: Tables) -> pd.Series:
    return tables["jumps.metrics"].set_index(["run", "seed"])["test_loss"]


def _stays_low(kind: str, tables: Tables, _: str) -> Test:
    """Test whether the median log loss of points not retrained exceeds that of retrained ones."""
    points = _trajectories(tables)
    visited = points.loc[points["epoch"] > 0, "train_loss"]
    rows = tables["jumps-baselines.points"].set_index(["run", "seed"])
    around = rows.loc[rows["kind"] == kind, "loss"]
    one, two = (v.groupby(level=["run", "seed"]).median() for v in (around, visited))
    return sign_flips(_cells((one / two).map(np.log10)))


Measure = Callable[[pd.DataFrame], pd.Series]


def _at_first(points: pd.DataFrame) -> pd.Series:
    return points.loc[points["epoch"] == 1, "relative_distance"]


def _at_last(points: pd.DataFrame) -> pd.Series:
    return points.loc[points["epoch"] == points["epoch"].max(), "relative_distance"]


def _farthest(points: pd.DataFrame) -> pd.Series:
    each = points.set_index(["ray", "step"], append=True)["relative_distance"]
    return each.groupby(level=["run", "seed", "ray", "step"]).max()


def _last_lateral(points: pd.DataFrame) -> pd.Series:
    return points.loc[points["epoch"] == points["epoch"].max(), "lateral"]


def _with_loss(measure: Measure, tables: Tables, _: str) -> Test:
    """Test whether a measure of trajectories rises with the test loss at the trained weights."""
    found = measure(_trajectories(tables)).groupby(level=["run", "seed"]).mean()
    both = _cells(pd.DataFrame({"x": _losses(tables), "y": found}))
    return rank_correlation(both["x"], both["y"], np.zeros(len(both)))


def _memorising(measure: Measure, steps: str, tables: Tables, _: str) -> Test:
    """Test whether networks that memorise have the higher measure, on steps of some length."""
    groups = []
    for role in ("jumps-memorising", "jumps"):
        points = _trajectories(tables, role)
        ends = {"small": points["step"].min(), "large": points["step"].max()}
        some = points[points["step"] == ends[steps]] if steps in ends else points
        groups.append(measure(some).groupby(level=["run", "seed"]).mean())
    return two_groups(*groups)


def _preserves(other: str, tables: Tables, _: str) -> Test:
    """Test whether PHATE keeps more of the steps of trajectories short than another map."""
    quality = tables["jumps-maps.quality"].set_index(["run", "seed"])
    kept = {
        name: quality.loc[quality["method"] == name, "trajectory_preservation"]
        for name in ("phate", other)
    }
    return sign_flips(_cells(kept["phate"] - kept[other]))


def _totals(tables: Tables) -> pd.DataFrame:
    """Return what stands beside the total persistence, by run and seed."""
    rows = tables["jumps-homology.statistics"]
    for name, value in TEXT.items():
        rows = rows[rows[name] == value]
    rows = rows.set_index(["run", "seed"])
    ranges = rows["loss_range_squared"]
    finite = rows["total_persistence_finite"]
    return pd.DataFrame(
        {
            "published": rows["total_persistence_published"],
            "finite": finite,
            "finite over range": finite / ranges,
            "over range and components": rows["total_persistence_published"]
            / (ranges * rows["components"]),
            "largest jump loss": rows["max_jump_loss"],
        }
    )


def _persistence(column: str, tables: Tables, _: str) -> Test:
    """Test whether a total persistence rises with the test loss at the trained weights."""
    both = _cells(_totals(tables).assign(x=_losses(tables)))
    return rank_correlation(both["x"], both[column], np.zeros(len(both)))


def _decay(tables: Tables, _: str) -> Test:
    """Test whether total persistence falls with weight decay, at equal batch and augmentation."""
    metrics = tables["jumps.metrics"].groupby("run").first()
    if DECAY not in metrics:
        return rank_correlation([], [], [])
    totals = _cells(_totals(tables))["published"].reindex(metrics.index)
    strata = metrics.reindex(columns=[BATCH, AUGMENT]).astype(str).agg(" ".join, axis=1)
    return rank_correlation(-metrics[DECAY].astype(float), totals, strata)


def _tells(label: str, other: str, tables: Tables, _: str) -> Test:
    """Test whether features of jumps tell a label more often than those of points around."""
    rows = tables["jumps.classifiers"]
    rows = rows[rows["label"] == label]
    by_network = rows.groupby(["features", "run", "seed"])["right"].mean()
    return sign_flips(_cells(by_network[JUMPS] - by_network[other]))


_claim = partial(Claim, paper="jump-and-retrain", varies=False)
_BOTH = ("jumps.metrics", "jumps.points")
_RHO = "Spearman's rho of the test loss at the trained weights and"

JUMP_CLAIMS = (
    *(
        _claim(
            id=f"jumps-stay-low-against-{name}",
            figure="jr-fig2c",
            source="section 4.1",
            sentence=f"Jump and retrain stays on low loss, where {words} climb.",
            statistic=f"difference of the median log10 train loss, {name} less retrained points",
            units="cells",
            relevant=DECADES,
            needs=("jumps.points", "jumps-baselines.points"),
            test=partial(_stays_low, name),
        )
        for name, words in (("grid", "grids"), ("rays", "rays without retraining"))
    ),
    *(
        _claim(
            id=f"good-{name}",
            figure="jr-fig2d",
            source="section 4.1",
            sentence=sentence,
            statistic=f"{_RHO} {words}",
            units="cells",
            relevant=CORRELATION,
            needs=_BOTH,
            test=partial(_with_loss, measure),
        )
        for name, measure, sentence, words in (
            (
                "return-at-once",
                _at_first,
                "Networks that generalise well return at once after a jump, bad ones do not.",
                "the relative distance after one epoch",
            ),
            (
                "return-in-the-end",
                _at_last,
                "Networks that generalise well end nearer to where they came from.",
                "the relative distance after the last epoch",
            ),
            (
                "never-leave",
                _farthest,
                "Networks that generalise badly wander outwards before they return.",
                "the largest relative distance on the way",
            ),
        )
    ),
    *(
        _claim(
            id=f"memorising-{name}",
            figure="jr-fig2f",
            source="section 4.1",
            sentence=sentence,
            statistic="probability that a network that memorises exceeds one that does not, less "
            f"1/2, in {words}",
            units="networks",
            relevant=PROBABILITY,
            needs=("jumps.points", "jumps-memorising.points"),
            test=partial(_memorising, measure, steps),
        )
        for name, measure, steps, sentence, words in (
            (
                "leave",
                _at_last,
                "all",
                "Networks that memorise leave the trained weights.",
                "the relative distance after the last epoch",
            ),
            (
                "leave-after-small-steps",
                _farthest,
                "small",
                "Networks that memorise go outwards after small steps.",
                "the largest relative distance on the way, smallest step",
            ),
            (
                "move-sideways-after-large-steps",
                _last_lateral,
                "large",
                "Networks that memorise return from large steps sideways.",
                "the part of the offset across the jump, largest step",
            ),
        )
    ),
    *(
        _claim(
            id=f"phate-preserves-more-than-{name}",
            figure="jr-fig1a",
            source="section 3",
            sentence=f"PHATE keeps trajectories together better than {words}.",
            statistic=f"difference of the share of steps that are short, PHATE less {words}",
            units="cells",
            relevant=SHARE,
            needs=("jumps-maps.quality",),
            test=partial(_preserves, name),
        )
        for name, words in (("pca", "PCA"), ("tsne", "t-SNE"), ("umap", "UMAP"))
    ),
    *(
        _claim(
            id=f"persistence-orders-networks{name}",
            figure="jr-fig3b",
            source="section 4.2",
            sentence=f"Total persistence{words} is higher for networks that generalise worse.",
            statistic=f"{_RHO} the total persistence{words}",
            units="cells",
            relevant=CORRELATION,
            needs=("jumps.metrics", "jumps-homology.statistics"),
            test=partial(_persistence, column),
        )
        for name, column, words in (
            ("", "published", ""),
            ("-without-essential", "finite", " without the essential classes"),
            (
                "-at-equal-range",
                "finite over range",
                " without the essential classes, over the squared range of the loss",
            ),
            (
                "-beyond-range-and-components",
                "over range and components",
                ", over the squared range and the number of components",
            ),
        )
    ),
    _claim(
        id="largest-jump-loss-orders-networks",
        figure="jr-fig3b",
        source="control of section 4.2",
        sentence="The largest loss right after a jump, no topology at all, orders networks too.",
        statistic=f"{_RHO} the largest test loss right after a jump",
        units="cells",
        relevant=CORRELATION,
        needs=("jumps.metrics", "jumps-homology.statistics"),
        test=partial(_persistence, "largest jump loss"),
    ),
    _claim(
        id="decay-lowers-persistence",
        figure="jr-fig3b",
        source="section 4.2",
        sentence="Weight decay lowers the total persistence.",
        statistic="Spearman's rho of less weight decay and the total persistence, at equal batch "
        "and augmentation",
        units="cells",
        relevant=CORRELATION,
        needs=("jumps.metrics", "jumps-homology.statistics"),
        test=_decay,
    ),
    *(
        _claim(
            id=f"jumps-tell-{label.replace(' ', '-')}-better-than-{other}",
            figure="jr-table1",
            source="section 4.3",
            sentence=f"Losses after jumps tell {label} better than those of {words}.",
            statistic=f"difference of the share of networks told right, jumps less {other}, mean "
            "over classifiers",
            units="cells",
            relevant=ACCURACY,
            needs=("jumps.classifiers",),
            test=partial(_tells, label, other),
        )
        for label in (GENERALISATION, "weight decay", "augmentation")
        for other, words in ((GRID, "a grid"), (RAYS, "rays"))
    ),
)
