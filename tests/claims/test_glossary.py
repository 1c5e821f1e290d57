"""The sayings of the field on tables of planted truth, of its opposite, and of confounders."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from planted import verdicts
from planted_glossary import critical_of, planted, shapes_of
from planted_jumps import AXES

from topograph.claims.glossary import CARDS, CRITICAL, SAYINGS
from topograph.report.papers import PAPERS

pytestmark = pytest.mark.usefixtures("fewer_draws")
UNITS = {"topography.card": 12, CARDS: 22, CRITICAL: 22, "residual-slices.shape": 12}
FACTOR_OF_TWO = "steps-of-two-over-curvature"


def alone(role: str, table: pd.DataFrame) -> pd.DataFrame:
    return verdicts({role: table})


def test_every_saying_is_supported_where_it_is_planted() -> None:
    found = verdicts(planted())
    for claim in SAYINGS:
        row = found.loc[claim.id]
        assert row["verdict"] == "supported", (claim.id, row)
        needs = claim.needs if claim.needs in UNITS else claim.needs[0]
        assert row["n"] == UNITS[needs]


def test_every_saying_is_refuted_where_its_opposite_is_planted() -> None:
    found = verdicts(planted(-1.0, off=5.0))
    for claim in SAYINGS:
        assert found.loc[claim.id, "verdict"] == "not supported", (claim.id, found.loc[claim.id])


@pytest.mark.parametrize(
    ("off", "value", "verdict"),
    [
        (2.0, 0.0, "inconclusive"),
        (1.0, 1.0, "supported"),
        (1.5, 1 - np.log2(1.5), "supported"),
        (1 / 1.5, 1 - np.log2(1.5), "supported"),
        (4.0, -1.0, "not supported"),
        (1 / 4, -1.0, "not supported"),
    ],
)
def test_a_factor_of_two_counts_alike_on_both_sides(off, value, verdict) -> None:
    row = verdicts(planted(off=off)).loc[FACTOR_OF_TWO]
    assert row["value"] == pytest.approx(value, abs=1e-12)
    if off != 2.0:
        # At the very border rounding decides.
        assert row["verdict"] == verdict


def test_errors_of_two_seeds_do_not_cancel() -> None:
    tables = planted(off=1.0)
    for name in CARDS:
        factor = np.where(tables[name]["seed"] == 0, 4.0, 1 / 4)
        tables[name]["stable_rate"] *= factor
    assert verdicts(tables).loc[FACTOR_OF_TWO, "value"] == pytest.approx(-1)


def test_augmentation_alone_makes_no_minimum_flat() -> None:
    """Augmented cells have lower gaps and are flatter, and within either nothing is related."""
    card = planted()["topography.card"]
    augmented = card[AXES[2]].astype(bool)
    order = card["run"].str.split("-").str[1].astype(int) // 2
    card["sharpness_adaptive"] = np.where(augmented, 0.0, 100.0) + order
    gap = np.array([3, 1, 5, 0, 4, 2])[order]
    card["test_loss"] = 0.2 + np.where(augmented, 0.0, 100.0) + gap
    found = alone("topography.card", card).loc["flat-minima-by-adaptive-sharpness"]
    assert abs(found["value"]) < 0.1 and found["n"] == 12
    assert found["verdict"] == "inconclusive"
    # A study without augmentation has one stratum.
    mixed = alone("topography.card", card.drop(columns=AXES[2]))
    assert mixed.loc["flat-minima-by-adaptive-sharpness", "value"] > 0.6


def test_families_are_not_mixed() -> None:
    """Between the families the rate rises with the eigenvalue; within each it falls."""
    tables = planted()
    pinns = tables["topography-pinns.card"]
    tables["topography-pinns.card"] = pinns.assign(
        top_eigenvalue=1e3 * pinns["top_eigenvalue"], stable_rate=1e3 * pinns["stable_rate"]
    )
    row = verdicts(tables).loc["steep-needs-small-steps"]
    assert row["value"] == pytest.approx(1) and row["verdict"] == "supported"


def test_the_slope_is_that_of_the_planted_growth_from_the_plane_on() -> None:
    """On a line there are maxima and no saddle; Hessian directions and borders do not count."""
    tables = {name: critical_of([("a", 0), ("b", 0)], growth=3.0) for name in CRITICAL}
    row = verdicts(tables).loc["saddles-with-dimension"]
    assert row["value"] == pytest.approx(np.log(3)) and row["n"] == 4
    bowl = {
        name: table.assign(count=(table["index"] == 0).astype(int))
        for name, table in tables.items()
    }
    row = verdicts(bowl).loc["saddles-with-dimension"]
    assert (row["value"], row["p"]) == (0, 1)
    flat = {name: table[table["dimensions"] < 3] for name, table in tables.items()}
    row = verdicts(flat).loc["saddles-with-dimension"]
    assert row["verdict"] == "not tested" and row["note"].startswith("no unit has all")


def test_too_few_units_say_nothing() -> None:
    few = {
        name: table[table["run"].isin(table["run"].unique()[:3])]
        for name, table in planted().items()
        if "slices" not in name
    }
    few["residual-slices.shape"] = shapes_of(seeds=(0, 1))
    found = verdicts(few)
    for claim in SAYINGS:
        row = found.loc[claim.id]
        assert row["verdict"] in ("inconclusive", "not tested"), row
        assert row["verdict"] == "inconclusive" or row["n"] == 0
    assert "4 units cannot give a p below 0.167" in found.loc["skips-less-rough", "note"]


def test_planes_are_no_units() -> None:
    shape = planted()["residual-slices.shape"]
    found = alone("residual-slices.shape", shape)
    more = alone("residual-slices.shape", pd.concat([shape, shape.assign(plane=9)]))
    for name in ("skips-less-rough", "skips-more-convex"):
        assert found.loc[name, "value"] == 0.5
        assert found.loc[name, "p"] == more.loc[name, "p"] == pytest.approx(1 / 924)


def test_the_page_tells_of_every_claim_once() -> None:
    told = [name for saying in PAPERS["sayings"].sayings for name in saying.claims]
    assert told == [claim.id for claim in SAYINGS]
