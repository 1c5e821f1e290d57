"""Claims of Geniesse et al. 2024 (arXiv 2411.12136), the profiles paper, with their tests.

Every threshold stands here, fixed before a landscape of config/paper.yaml was looked at. Cells are
the units: values are means over the seeds of a cell, and permutations stay within strata: of equal
beta, so that beta drives no correlation, or, over betas, of equal learning rate.
"""

from __future__ import annotations

from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd

from topograph.claims.cells import BETA, CORRELATION, RATE, cell_means, chosen, correlation
from topograph.claims.ledger import Claim, Tables
from topograph.claims.statistics import (
    Floats,
    Test,
    rank_correlation,
    sign_flips,
    transition,
    valley,
)
from topograph.topology.choices import WIDTHS, in_slice
from topograph.topology.shape import curve_distance

# At learning rate 1 the published error jumps from sqrt(3.4e-3) at beta 6 to sqrt(.26) at beta 7:
# half way on the log scale.
FAILED = 0.17
LOW, HIGH = 3.0, 30.0
# A quadratic bowl has slope 1, a cone 2.
BETWEEN_BOWL_AND_CONE = 1.5
# Seeds that locate a transition or a best setting; the others are measured.
LOCATING = 2
EARLY = 5
SLOPE, FACTOR = 0.1, 0.05
# Both roles are of one experiment, so that its metrics stand beside either.
TABLES = ("metrics", "choices")
SCALED = {
    "curvature-scaled grid": {f"pinn-grid.{name}": f"pinn-grid-scaled.{name}" for name in TABLES}
}
FIXED = {
    "grid of fixed extent": {f"pinn-grid-scaled.{name}": f"pinn-grid.{name}" for name in TABLES}
}


def _slope(beta_from: float, beta_to: float, sign: float, tables: Tables, choice: str) -> Test:
    """Test on which side of the middle between bowl and cone the slopes of some betas lie.

    On the curvature-scaled grid, where a quadratic is round whatever its eigenvalues: on a grid of
    fixed extent a quadratic of unequal ones is cut off and its slope falls below 1.
    """
    cells = cell_means(chosen(tables, "pinn-grid-scaled", choice))
    some = cells[cells[BETA].between(beta_from, beta_to)]
    return sign_flips(sign * (some["width_slope"] - BETWEEN_BOWL_AND_CONE))


def _variation(tables: Tables, choice: str) -> Test:
    """Test whether shapes differ more between seeds near the transition, found on other seeds."""
    rows = chosen(tables, "pinn-grid", choice)
    locating = sorted(rows["seed"].unique())[:LOCATING]
    located = cell_means(rows[rows["seed"].isin(locating)])
    where = {
        rate: transition(cells[BETA], cells["relative_error"], FAILED)
        for rate, cells in located.groupby(RATE)
    }
    measured = rows[~rows["seed"].isin(locating)]
    cells = pd.DataFrame(
        [
            {
                RATE: group[RATE].iloc[0],
                "away": abs(np.log10(group[BETA].iloc[0]) - where.get(group[RATE].iloc[0], np.nan)),
                "between": _between_seeds(group[WIDTHS].to_numpy()),
            }
            for _, group in measured.groupby("run", sort=False)
        ],
        columns=[RATE, "away", "between"],
    )
    return rank_correlation(-cells["away"], cells["between"], cells[RATE])


def _between_seeds(curves: Floats) -> float:
    distances = [curve_distance(one, other) for one, other in combinations(curves, 2)]
    return float(np.mean(distances)) if distances else float("nan")


def _more_in_four(tables: Tables, choice: str) -> Test:
    """Test whether the 4-D grid has more critical points than the 3-D slice through its centre."""
    four, three = (_critical(tables, name) for name in (choice, in_slice(choice)))
    both = pd.concat([four.rename("four"), three.rename("three")], axis=1, join="inner")
    ratio = np.log10(both["four"].to_numpy() / both["three"].to_numpy())
    return sign_flips(both.assign(ratio=ratio).groupby("run")["ratio"].mean())


def _critical(tables: Tables, choice: str) -> pd.Series:
    rows = chosen(tables, "pinn-4d", choice).set_index(["run", "seed"])
    return rows["minima_resolved"] + rows["saddles_resolved"]


def _same_in_four(tables: Tables, choice: str) -> Test:
    """Test whether a 4-D width curve is nearer to its own 3-D slice than to other cells'."""
    four, three = (_curves(tables, name) for name in (choice, in_slice(choice)))
    nearer = []
    for run, curve in four.items():
        distances = {name: curve_distance(curve, other) for name, other in three.items()}
        own = distances.pop(run, np.nan)
        nearer.append(np.median(list(distances.values())) - own if distances else np.nan)
    return sign_flips(nearer)


def _curves(tables: Tables, choice: str) -> dict[str, Floats]:
    """Return the width curve of each cell, the mean over its seeds."""
    rows = chosen(tables, "pinn-4d", choice).groupby("run", sort=False)[WIDTHS].mean()
    return dict(zip(map(str, rows.index), rows.to_numpy(), strict=True))


def _epochs(tables: Tables, column: str, choice: str) -> tuple[Floats, Floats, Floats]:
    """Return log10 of a level at the first, an early and the last epoch, one entry a cell."""
    rows = chosen(tables, "unet-epochs", choice)
    levels = rows.pivot_table(index="run", columns="epoch", values=column, sort=False)
    epochs = [int(epoch) for epoch in levels.columns]
    early = [epoch for epoch in epochs if 0 < epoch <= EARLY]
    if not early:
        return (np.array([]),) * 3
    wanted = [min(epochs), max(early), max(epochs)]
    first, soon, last = (np.log10(levels[epoch].to_numpy()) for epoch in wanted)
    return first, soon, last


def _minimum_first(tables: Tables, choice: str) -> Test:
    """Test whether the minimum drops by a larger factor than the border in the first epochs."""
    lowest, border = (_epochs(tables, name, choice) for name in ("loss_minimum", "loss_border"))
    return sign_flips((lowest[0] - lowest[1]) - (border[0] - border[1]))


def _border_later(tables: Tables, choice: str) -> Test:
    """Test whether the border still drops after the first epochs."""
    _, soon, last = _epochs(tables, "loss_border", choice)
    return sign_flips(soon - last)


def _deep_at_ends(tables: Tables, choice: str) -> Test:
    """Test whether basins get deeper on both sides of the best rate, found on other seeds."""
    rows = chosen(tables, "unet-epochs", choice)
    rows = rows[rows["epoch"] == rows["epoch"].max()]
    locating = sorted(rows["seed"].unique())[:LOCATING]
    located = cell_means(rows[rows["seed"].isin(locating)])
    cells = cell_means(rows[~rows["seed"].isin(locating)])
    if located.empty or cells.empty:
        return sign_flips([])
    best = located[RATE].to_numpy()[located["test_accuracy"].argmax()]
    return valley(np.log10(cells[RATE] / best), cells["depth"], 0.0)


def _simpler(name: str, measure: str, words: str, stratum: str) -> Claim:
    within = "betas, which drive both" if stratum == RATE else "learning rates"
    across = "learning rate" if stratum == RATE else "beta"
    return Claim(
        id=f"simpler-{name}-at-equal-{'rate' if stratum == RATE else 'beta'}",
        paper="profiles",
        figure="tlp-fig3",
        source="abstract, section 4.1",
        sentence=f"Better models have a simpler landscape: fewer or lower {words} (here at equal "
        f"{across}, over {within}).",
        statistic=f"Spearman's rho of relative error and {words}, mean over strata of equal "
        f"{across}",
        units="cells",
        relevant=CORRELATION,
        needs=("pinn-grid.metrics", "pinn-grid.choices"),
        test=correlation("relative_error", measure, stratum, "pinn-grid"),
        instead=SCALED,
    )


# Persistence as it is, and what is left of it without the scale of the loss.
MEASURES = {
    "minima": ("minima_resolved", "minima"),
    "persistence": ("mean_persistence_resolved", "persistence"),
    "relative-persistence": ("relative_persistence", "persistence relative to the loss range"),
    "log-persistence": ("mean_log_persistence", "persistence of the log loss"),
    "SMAD": ("smad_normalized", "SMAD relative to the loss range"),
}
SCALED_GRID = ("pinn-grid-scaled.metrics", "pinn-grid-scaled.choices")
GRID = ("pinn-grid.metrics", "pinn-grid.choices")
FOUR = ("pinn-4d.metrics", "pinn-4d.choices")
UNET = ("unet-epochs.metrics", "unet-epochs.choices")
_grid = partial(Claim, paper="profiles", figure="tlp-fig3", units="cells", needs=GRID)
_scaled = partial(_grid, needs=SCALED_GRID, instead=FIXED)
_four = partial(Claim, paper="profiles", figure="tlp-a5", units="cells", needs=FOUR)
_unet = partial(Claim, paper="profiles", units="cells", needs=UNET)

PINN = (
    *(
        _simpler(name, measure, words, stratum)
        for stratum in (BETA, RATE)
        for name, (measure, words) in MEASURES.items()
    ),
    _grid(
        id="variation-at-transition",
        source="section 4.1",
        sentence="Shapes differ most between seeds near the transition to failure.",
        statistic="Spearman's rho of nearness to the transition in log beta, located on two seeds, "
        "and mean distance of width curves between the other seeds, within learning rates",
        relevant=CORRELATION,
        test=_variation,
        instead=SCALED,
    ),
    _scaled(
        id="funnel-at-low-beta",
        source="section 4.1",
        sentence="At low beta landscapes are funnels.",
        statistic=f"mean width slope less {BETWEEN_BOWL_AND_CONE} (bowl 1, cone 2) at beta up to "
        f"{LOW:g}, on the curvature-scaled grid",
        relevant=SLOPE,
        test=partial(_slope, 0.0, LOW, 1.0),
    ),
    _scaled(
        id="bowl-at-high-beta",
        source="section 4.1",
        sentence="At high beta landscapes are bowls.",
        statistic=f"{BETWEEN_BOWL_AND_CONE} less mean width slope (bowl 1, cone 2) at beta from "
        f"{HIGH:g}, on the curvature-scaled grid",
        relevant=SLOPE,
        test=partial(_slope, HIGH, np.inf, -1.0),
    ),
    _grid(
        id="flatter-at-high-beta",
        source="section 4.1",
        sentence="Landscapes get flatter as beta rises.",
        statistic="Spearman's rho of beta and the share of points below a tenth of the loss range, "
        "within learning rates",
        relevant=CORRELATION,
        test=correlation(BETA, "volume_below_10", RATE, "pinn-grid"),
        instead=SCALED,
    ),
    _grid(
        id="rougher-at-high-beta",
        source="section 4.1",
        sentence="Landscapes have more saddles as beta rises.",
        statistic="Spearman's rho of beta and saddles, within learning rates",
        relevant=CORRELATION,
        test=correlation(BETA, "saddles_resolved", RATE, "pinn-grid"),
        instead=SCALED,
    ),
    _four(
        id="more-points-in-four",
        source="appendix A.5",
        sentence="Four dimensions show many more critical points than three.",
        statistic="log10 of minima and saddles in 4-D over those of the 3-D slice of the same grid",
        relevant=FACTOR,
        test=_more_in_four,
    ),
    _four(
        id="same-shape-in-four",
        source="appendix A.5",
        sentence="Four dimensions show the same global shape as three.",
        statistic="median distance of width curves to the 3-D slices of other cells, less that to "
        "its own",
        relevant=0.0,
        test=_same_in_four,
    ),
)
SEGMENTATION = (
    _unet(
        id="minimum-first",
        figure="tlp-fig4",
        source="section 4.2",
        sentence="Early in training the minimum drops while the edges stay high.",
        statistic=f"log10 of the factor by which the minimum drops up to epoch {EARLY}, less that "
        "of the median border",
        relevant=FACTOR,
        test=_minimum_first,
    ),
    _unet(
        id="border-later",
        figure="tlp-fig4",
        source="section 4.2",
        sentence="Later in training the edges drop too.",
        statistic=f"log10 of the factor by which the median border drops after epoch {EARLY}",
        relevant=FACTOR,
        test=_border_later,
    ),
    _unet(
        id="deeper-at-wrong-rates",
        figure="tlp-b6",
        source="appendix B.6",
        sentence="Learning rates that are too small or too large give deeper basins.",
        statistic="lower of two Spearman's rhos, below and above the best rate, located on two "
        "seeds: of the distance from it and depth (median border less minimum) on the others",
        relevant=CORRELATION,
        test=_deep_at_ends,
    ),
)
PROFILES = (*PINN, *SEGMENTATION)
