"""Claims of the profiles paper on planted truth: what the tables hold is found, nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from planted import (
    RATES,
    UNET_RATES,
    as_scaled,
    four_of,
    grid_of,
    ranked,
    unet_of,
    varied,
    verdicts,
)

from topograph.claims.cells import BETA, RATE
from topograph.claims.published import BETAS
from topograph.claims.tables import CLAIMS
from topograph.topology.choices import AS_SAMPLED

pytestmark = pytest.mark.usefixtures("fewer_draws")


def test_minima_that_rise_with_the_error_at_equal_beta_are_found_there_alone() -> None:
    found = verdicts(grid_of(lambda setting, _: {"minima_resolved": ranked(setting, 1)}))
    row = found.loc["simpler-minima-at-equal-beta"]
    assert row["verdict"] == "supported" and row["n"] == 70
    assert row["value"] == pytest.approx(1) and row["low"] > 0.9
    # Over betas minima fall while the error rises.
    assert found.loc["simpler-minima-at-equal-rate", "verdict"] == "not supported"
    assert found.loc["simpler-minima-at-equal-rate", "value"] < -0.8
    # Numbers that are alike everywhere say nothing, whichever way.
    for name in ("simpler-persistence-at-equal-beta", "rougher-at-high-beta"):
        assert found.loc[name, ["verdict", "n"]].tolist() == ["inconclusive", 70]
        assert "alike in all units" in found.loc[name, "note"]


def test_minima_that_fall_with_the_error_are_not_simpler() -> None:
    found = verdicts(grid_of(lambda setting, _: {"minima_resolved": ranked(setting, -1)}))
    row = found.loc["simpler-minima-at-equal-beta"]
    assert row["verdict"] == "not supported" and row["value"] == pytest.approx(-1)


@pytest.mark.parametrize(
    ("betas", "rates"),
    [(BETAS, RATES[:2]), (BETAS[:1], RATES[:3]), (BETAS[:1], RATES[:4]), (BETAS[:1], RATES[:1])],
)
def test_too_few_cells_are_inconclusive(betas: tuple, rates: tuple) -> None:
    tables = grid_of(
        lambda setting, _: {"minima_resolved": ranked(setting, 1)}, betas=betas, rates=rates
    )
    row = verdicts(tables).loc["simpler-minima-at-equal-beta"]
    assert row["verdict"] == ("inconclusive" if row["n"] else "not tested")
    assert (row["n"] == 0) == (len(rates) < 3)


def test_variation_near_the_transition_alone_is_found() -> None:
    row = verdicts(grid_of(varied(1))).loc["variation-at-transition"]
    assert row["verdict"] == "supported" and row["value"] > 0.99
    row = verdicts(grid_of(varied(-1))).loc["variation-at-transition"]
    assert row["verdict"] == "not supported" and row["value"] < -0.99


def test_the_transition_is_located_on_the_first_two_seeds_alone() -> None:
    tables = grid_of(varied(1))
    (claim,) = [one for one in CLAIMS if one.id == "variation-at-transition"]
    expected = claim.test(tables, AS_SAMPLED)
    metrics = tables["pinn-grid.metrics"]
    for seeds, same in (((2, 3, 4), True), ((0, 1), False)):
        other = metrics["relative_error"].where(~metrics["seed"].isin(seeds), metrics[BETA] / 100)
        changed = {**tables, "pinn-grid.metrics": metrics.assign(relative_error=other)}
        assert (claim.test(changed, AS_SAMPLED) == expected) == same


def test_shapes_of_the_seeds_that_locate_the_transition_are_not_measured() -> None:
    """Only seeds 0 and 1 differ in shape: nothing varies among those that are measured."""

    def numbers(setting: dict[str, Any], seed: int) -> Mapping[str, float]:
        return varied(1)(setting, seed if seed < 2 else 2)

    row = verdicts(grid_of(numbers)).loc["variation-at-transition"]
    assert row["value"] == 0 and row["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(2.0, 1.0, "supported"), (1.0, 2.0, "not supported")]
)
def test_funnels_at_low_and_bowls_at_high_beta(low: float, high: float, expected: str) -> None:
    def numbers(setting: dict[str, Any], seed: int) -> dict[str, float]:
        jitter = 0.02 * seed + 0.01 * math.log10(setting[RATE])
        between = 1.5 if 3 < setting[BETA] < 30 else None
        return {"width_slope": (between or (low if setting[BETA] <= 3 else high)) + jitter}

    found = verdicts(as_scaled(grid_of(numbers)))
    for name, cells in (("funnel-at-low-beta", 15), ("bowl-at-high-beta", 15)):
        assert found.loc[name, ["verdict", "n"]].tolist() == [expected, cells]


def test_shares_and_saddles_that_rise_with_beta_are_flatter_and_rougher() -> None:
    found = verdicts(
        grid_of(lambda s, _: {"volume_below_10": s[BETA] / 100, "saddles_resolved": -s[BETA]})
    )
    assert found.loc["flatter-at-high-beta", "verdict"] == "supported"
    assert found.loc["rougher-at-high-beta", "verdict"] == "not supported"


def test_four_dimensions_with_more_points_and_the_same_shape() -> None:
    found = verdicts(four_of(10, 3.0, 1))
    for name in ("more-points-in-four", "same-shape-in-four"):
        assert found.loc[name, ["verdict", "n"]].tolist() == ["supported", 10]
    assert found.loc["more-points-in-four", "value"] == pytest.approx(math.log10(3))
    reversed_ = verdicts(four_of(10, 0.5, -1))
    for name in ("more-points-in-four", "same-shape-in-four"):
        assert reversed_.loc[name, "verdict"] == "not supported"


def test_a_minimum_that_drops_first_and_a_border_that_follows() -> None:
    found = verdicts(unet_of())
    for name in ("minimum-first", "border-later", "deeper-at-wrong-rates"):
        assert found.loc[name, ["verdict", "n"]].tolist() == ["supported", 7], name
    assert found.loc["minimum-first", "p"] == 1 / 2**7
    reversed_ = verdicts(unet_of(first="loss_border"))
    assert reversed_.loc["minimum-first", "verdict"] == "not supported"


def test_basins_that_deepen_on_one_side_alone_are_not_deeper_at_wrong_rates() -> None:
    """Of seven rates the best is the third: all deepen the further from it, or the small ones."""
    tables = unet_of()
    (claim,) = [one for one in CLAIMS if one.id == "deeper-at-wrong-rates"]
    both = claim.test(tables, AS_SAMPLED)
    rows = tables["unet-epochs.choices"]
    towards = rows.assign(loss_border=rows["loss_minimum"] - np.log10(rows[RATE]))
    one = claim.test({**tables, "unet-epochs.choices": towards}, AS_SAMPLED)
    assert both.value == pytest.approx(1) and both.p <= 0.01
    assert one.value == pytest.approx(-1) and one.p > 0.5


def test_four_learning_rates_cannot_tell_which_drops_first() -> None:
    """However strong: of 16 ways to flip 4 signs one is the best, and 1/16 exceeds 0.05."""
    row = verdicts(unet_of(UNET_RATES[:4])).loc["minimum-first"]
    assert row["value"] > 0.3 and row["low"] > 0
    assert (row["p"], row["p_smallest"]) == (1 / 16, 1 / 16)
    assert row["verdict"] == "inconclusive"
    assert row["note"] == "4 units cannot give a p below 0.0625"
