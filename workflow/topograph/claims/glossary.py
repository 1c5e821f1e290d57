"""Sayings of the field as claims: flat minima, saddles, learning rates, skip connections.

Every threshold stands here, fixed before a network of config/paper.yaml was looked at for them.
Cells are the units, values are means over their seeds; networks with and without skips are compared
network by network, for there are two cells of them. What holds of any network is tested on two
families at once, classifiers and PINNs, never mixing them: cells are strata of their family.

Flat minima are compared among cells of equal augmentation, the known confounder: training on moved
examples changes the loss on plain ones, and the gap with it, whatever the minimum. Batch and weight
decay stay free, for through them flatness is said to work. Decay also shrinks the weights, which
sharpens a plain Hessian and changes no prediction (Dinh et al. 2017): so the trace stands beside a
sharpness that is blind to such scales.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from topograph.claims.cells import CORRELATION, SKIP, cell_means
from topograph.claims.ledger import Claim, Tables
from topograph.claims.statistics import Test, rank_correlation, sign_flips, two_groups
from topograph.comparison.networks import AUGMENT

CARDS = ("topography.card", "topography-pinns.card")
CRITICAL = ("topography-critical.critical", "topography-pinns-critical.critical")
# A quarter more saddles to a minimum with each dimension, a tenth of all pairs of networks: the
# smallest worth a claim.
GROWTH, PROBABILITY = 0.25, 0.1
# On a line there are no saddles: a rise from one dimension to two would say nothing.
FEWEST_DIMENSIONS = 2


def _flat(measure: str, tables: Tables, _: str) -> Test:
    """Test whether sharper networks have the larger gap, at equal augmentation."""
    card = tables["topography.card"]
    cells = cell_means(card.assign(gap=card["test_loss"] - card["train_loss"]))
    strata = cells.reindex(columns=[AUGMENT])[AUGMENT].astype(str)
    return rank_correlation(cells[measure], cells["gap"], strata)


def _saddles(tables: Tables, _: str) -> Test:
    """Test whether log saddles over minima rises with the dimension, in random directions."""
    cells = [_slopes(tables[name]).groupby("run").mean() for name in CRITICAL]
    return sign_flips(pd.concat(cells))


def _slopes(rows: pd.DataFrame) -> pd.Series:
    """Return the slope of log((saddles + 1) / (minima + 1)) over dimensions, by run and seed.

    Saddles are of every index between those of minima and maxima; NaN where fewer than two
    dimensions were looked at.
    """
    random = (rows["directions"] == "random") & (rows["dimensions"] >= FEWEST_DIMENSIONS)
    rows = rows[random]
    index, dimensions = rows["index"], rows["dimensions"]
    counts = rows.assign(
        minima=rows["count"].where(index == 0, 0.0),
        saddles=rows["count"].where((index > 0) & (index < dimensions), 0.0),
    )
    sums = counts.groupby(["run", "seed", "dimensions"])[["minima", "saddles"]].sum().reset_index()
    ratio = np.log((sums["saddles"] + 1) / (sums["minima"] + 1))
    networks = [sums["run"], sums["seed"]]
    away = sums["dimensions"] - sums["dimensions"].groupby(networks).transform("mean")
    over, across = ((away * one).groupby(networks).sum() for one in (ratio, away))
    return over / across.where(across > 0)


def _cards(tables: Tables) -> pd.DataFrame:
    """Return the cells of both families with the logs of their rates and largest eigenvalues."""
    cells = []
    for name in CARDS:
        card = tables[name]
        # What is not above 0 has no logarithm.
        rate, eigenvalue = (
            np.log2(card[column].where(card[column] > 0))
            for column in ("stable_rate", "top_eigenvalue")
        )
        off = (rate + eigenvalue - 1).abs()
        known = card[["run", "seed"]].assign(rate=rate, eigenvalue=eigenvalue, off=off)
        cells.append(cell_means(known).assign(family=name))
    return pd.concat(cells)


def _small_steps(tables: Tables, _: str) -> Test:
    """Test whether the largest stable rate falls as the largest eigenvalue rises."""
    cells = _cards(tables)
    return rank_correlation(cells["eigenvalue"], -cells["rate"], cells["family"])


def _two_over_eigenvalue(tables: Tables, _: str) -> Test:
    """Test whether the largest stable rate is nearer to 2 / lambda_max than a factor of 2."""
    return sign_flips(1 - _cards(tables)["off"])


def _smooth(column: str, sign: float, tables: Tables, _: str) -> Test:
    """Test whether networks with skips have the higher values (sign 1), or the lower (-1)."""
    rows = tables["residual-slices.shape"]
    networks = rows.groupby(["run", "seed"])[[column, SKIP]].mean()
    with_skips = networks[SKIP] > 0
    values = sign * networks[column]
    return two_groups(values[with_skips], values[~with_skips])


_claim = partial(Claim, paper="sayings", figure="", varies=False)
_flat_minima = partial(
    _claim,
    source="Hochreiter & Schmidhuber 1997; Keskar et al. 2017",
    units="cells",
    relevant=CORRELATION,
    needs=("topography.card",),
)
_steps = partial(_claim, source="Cohen et al. 2021", units="cells", needs=CARDS)
_skips = partial(
    _claim,
    source="Li et al. 2018",
    units="networks",
    relevant=PROBABILITY,
    needs=("residual-slices.shape",),
)

SAYINGS = (
    *(
        _flat_minima(
            id=f"flat-minima-by-{name}",
            sentence=f"Flat minima generalise better: the {words} rises with the gap between test "
            "and training loss.",
            statistic=f"Spearman's rho of the {words} and test loss less training loss, at equal "
            "augmentation",
            test=partial(_flat, measure),
        )
        for name, measure, words in (
            ("adaptive-sharpness", "sharpness_adaptive", "adaptive sharpness"),
            ("trace", "trace", "trace of the Hessian"),
        )
    ),
    _claim(
        id="saddles-with-dimension",
        source="Dauphin et al. 2014",
        sentence="Saddles outnumber minima the more, the higher the dimension.",
        statistic="slope of log((saddles + 1) / (minima + 1)) over the number of random "
        f"directions, from {FEWEST_DIMENSIONS} on, off the border",
        units="cells",
        relevant=GROWTH,
        needs=CRITICAL,
        test=_saddles,
    ),
    _steps(
        id="steep-needs-small-steps",
        sentence="Steep landscapes need small steps: the largest stable learning rate falls as the "
        "largest eigenvalue of the Hessian rises.",
        statistic="Spearman's rho of the largest eigenvalue and less of the largest stable "
        "learning rate, within families",
        relevant=CORRELATION,
        test=_small_steps,
    ),
    _steps(
        id="steps-of-two-over-curvature",
        sentence="The largest stable learning rate is 2 over the largest eigenvalue, within a "
        "factor of 2.",
        statistic="1 less |log2| of the largest stable learning rate over 2 / lambda_max: above 0 "
        "within a factor of 2",
        relevant=0.0,
        test=_two_over_eigenvalue,
    ),
    *(
        _skips(
            id=f"skips-{name}",
            sentence=f"Skip connections smooth the landscape: {words}.",
            statistic="probability that a network "
            f"{'without skips exceeds one with' if sign < 0 else 'with skips exceeds one without'}"
            f", less 1/2, in the {measured}, mean over its planes",
            test=partial(_smooth, column, sign),
        )
        for name, column, sign, words, measured in (
            (
                "less-rough",
                "roughness",
                -1.0,
                "random slices rise and fall less on their way",
                "roughness of random slices",
            ),
            (
                "more-convex",
                "convex_share",
                1.0,
                "more of random slices is convex",
                "share of random slices that is convex",
            ),
        )
    ),
)
