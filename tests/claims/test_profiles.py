"""Claims on tables of planted truth: what lies in the tables is found, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from topograph.claims import statistics
from topograph.claims.cells import BETA, RATE, SKIP
from topograph.claims.ledger import evaluate, sensitivity
from topograph.claims.profiles import EARLY, FAILED, FOUR, GRID, UNET
from topograph.claims.published import (
    BETAS,
    companion_numbers,
    pinn_errors,
    residual_numbers,
    unet_accuracy,
)
from topograph.claims.statistics import transition
from topograph.claims.tables import CLAIMS, evaluate_claims
from topograph.report.papers import PAPERS
from topograph.topology.choices import AS_SAMPLED, NUMBERS, WIDTHS

RATES = (1.0, 0.1, 0.01, 0.001, 0.0001)
UNET_RATES = (0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)
PERCENT = np.linspace(0, 1, len(WIDTHS))
ERRORS = pinn_errors()
Tables = dict[str, pd.DataFrame]
Numbers = Callable[[dict[str, Any], int], Mapping[str, float]]


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "PERMUTATIONS", 999)
    monkeypatch.setattr(statistics, "DRAWS", 200)


def widths(curve: np.ndarray) -> dict[str, float]:
    return dict(zip(WIDTHS, map(float, curve), strict=True))


def tables_of(
    role: str,
    settings: list[dict[str, Any]],
    numbers: Numbers,
    metrics: Numbers,
    *,
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    choices: tuple[str, ...] = (AS_SAMPLED,),
    epochs: tuple[int, ...] = (1,),
) -> Tables:
    """Return the tables of a role; what ``numbers`` leaves out is alike in every landscape."""
    alike = dict.fromkeys(NUMBERS, 1.0) | widths(PERCENT)
    trained, chosen = [], []
    for number, setting in enumerate(settings):
        for seed in seeds:
            known = {"run": f"run-{number}", "seed": seed, **setting}
            trained.append({**known, **metrics(setting, seed)})
            for choice, epoch in product(choices, epochs):
                found = numbers({**setting, "epoch": epoch, "choice": choice}, seed)
                chosen.append({**known, "epoch": epoch, "choice": choice, **alike, **found})
    return {f"{role}.metrics": pd.DataFrame(trained), f"{role}.choices": pd.DataFrame(chosen)}


def grid_of(
    numbers: Numbers, *, betas: tuple[float, ...] = BETAS, rates: tuple[float, ...] = RATES, **more
) -> Tables:
    """Return a grid of 14 betas and 5 rates whose errors are those published, alike over seeds."""
    settings = [{BETA: beta, RATE: rate} for beta, rate in product(betas, rates)]
    return tables_of(
        "pinn-grid",
        settings,
        numbers,
        lambda setting, _: {"relative_error": math.sqrt(ERRORS.loc[setting[RATE], setting[BETA]])},
        **more,
    )


# Places of the errors among those at equal beta, and transitions in log10 beta by rate.
PLACES = ERRORS.apply(rankdata).to_dict()
WHERE = {rate: transition(BETAS, np.sqrt(row), FAILED) for rate, row in ERRORS.iterrows()}


def ranked(setting: dict[str, Any], sign: int) -> float:
    """Return minima that rise (or fall) with the error at equal beta and fall with beta."""
    place = PLACES[setting[BETA]][setting[RATE]]
    return 1000 - 50 * BETAS.index(setting[BETA]) + sign * place


def verdicts(tables: Tables) -> pd.DataFrame:
    return evaluate_claims(tables).set_index("claim")


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
        assert found.loc[name, "verdict"] == "inconclusive" and found.loc[name, "n"] == 0
        assert "no unit" in found.loc[name, "note"]


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
    assert row["verdict"] == "inconclusive"
    assert (row["n"] == 0) == (len(rates) < 3)


def varied(sign: int) -> Numbers:
    """Return width curves that differ between seeds the more (or less) near the transition."""

    def numbers(setting: dict[str, Any], seed: int) -> dict[str, float]:
        away = abs(math.log10(setting[BETA]) - WHERE[setting[RATE]])
        height = math.exp(-sign * away) * (seed - 2) / 10
        return widths(PERCENT + height * np.sin(np.pi * PERCENT))

    return numbers


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

    assert verdicts(grid_of(numbers)).loc["variation-at-transition", "n"] == 0


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(2.0, 1.0, "supported"), (1.0, 2.0, "not supported")]
)
def test_funnels_at_low_and_bowls_at_high_beta(low: float, high: float, expected: str) -> None:
    def numbers(setting: dict[str, Any], seed: int) -> dict[str, float]:
        jitter = 0.02 * seed + 0.01 * math.log10(setting[RATE])
        between = 1.5 if 3 < setting[BETA] < 30 else None
        return {"width_slope": (between or (low if setting[BETA] <= 3 else high)) + jitter}

    found = verdicts(grid_of(numbers))
    for name, cells in (("funnel-at-low-beta", 15), ("bowl-at-high-beta", 15)):
        assert found.loc[name, ["verdict", "n"]].tolist() == [expected, cells]


def test_shares_and_saddles_that_rise_with_beta_are_flatter_and_rougher() -> None:
    found = verdicts(
        grid_of(lambda s, _: {"volume_below_10": s[BETA] / 100, "saddles_resolved": -s[BETA]})
    )
    assert found.loc["flatter-at-high-beta", "verdict"] == "supported"
    assert found.loc["rougher-at-high-beta", "verdict"] == "not supported"


def four_of(runs: int, factor: float, sign: int) -> Tables:
    """Return 4-D grids with ``factor`` times the points of their slices, of like shape or not."""

    def numbers(setting: dict[str, Any], seed: int) -> dict[str, float]:
        whole = setting["choice"] == AS_SAMPLED
        points = (factor if whole else 1.0) * (10 + setting[BETA])
        # Of a ring of shapes the own slice is the same, or the one across.
        place = setting[BETA] if whole or sign > 0 else (setting[BETA] + runs / 2) % runs
        curve = PERCENT ** (1 + place / 10 + seed / 1000)
        return {"minima_resolved": points, "saddles_resolved": 2 * points, **widths(curve)}

    settings = [{BETA: float(beta)} for beta in range(1, runs + 1)]
    choices = (AS_SAMPLED, "one dimension less")
    return tables_of("pinn-4d", settings, numbers, lambda *_: {}, choices=choices)


def test_four_dimensions_with_more_points_and_the_same_shape() -> None:
    found = verdicts(four_of(10, 3.0, 1))
    for name in ("more-points-in-four", "same-shape-in-four"):
        assert found.loc[name, ["verdict", "n"]].tolist() == ["supported", 10]
    assert found.loc["more-points-in-four", "value"] == pytest.approx(math.log10(3))
    reversed_ = verdicts(four_of(10, 0.5, -1))
    for name in ("more-points-in-four", "same-shape-in-four"):
        assert reversed_.loc[name, "verdict"] == "not supported"


def unet_of(rates: tuple[float, ...] = UNET_RATES, *, first: str = "loss_minimum") -> Tables:
    """Return landscapes in which one level drops at once and the other later, deeper off 0.001."""

    def numbers(setting: dict[str, Any], seed: int) -> dict[str, float]:
        level = {0: 1.0, EARLY: 0.2, 15: 0.1, 30: 0.08}[setting["epoch"]] * (1 + seed / 100)
        late = {0: 1.0, EARLY: 0.95, 15: 0.5, 30: 0.3}[setting["epoch"]]
        if first == "loss_border":
            level, late = late, 2 * level
        depth = abs(math.log10(setting[RATE] / 0.001))
        return {"loss_minimum": level, "loss_border": 1 + late + depth * late}

    def metrics(setting: dict[str, Any], seed: int) -> dict[str, float]:
        return {"test_accuracy": 0.9 - abs(math.log10(setting[RATE] / 0.001)) / 10}

    settings = [{RATE: rate} for rate in rates]
    return tables_of("unet-epochs", settings, numbers, metrics, epochs=(0, EARLY, 15, 30))


def test_a_minimum_that_drops_first_and_a_border_that_follows() -> None:
    found = verdicts(unet_of())
    for name in ("minimum-first", "border-later", "deeper-at-wrong-rates"):
        assert found.loc[name, ["verdict", "n"]].tolist() == ["supported", 7], name
    assert found.loc["minimum-first", "p"] == 1 / 2**7
    reversed_ = verdicts(unet_of(first="loss_border"))
    assert reversed_.loc["minimum-first", "verdict"] == "not supported"


def test_four_learning_rates_cannot_tell_which_drops_first() -> None:
    """However strong: of 16 ways to flip 4 signs one is the best, and 1/16 exceeds 0.05."""
    row = verdicts(unet_of(UNET_RATES[:4])).loc["minimum-first"]
    assert row["value"] > 0.3 and row["low"] > 0
    assert (row["p"], row["p_smallest"]) == (1 / 16, 1 / 16)
    assert row["verdict"] == "inconclusive"
    assert row["note"] == "4 units cannot give a p below 0.0625"


def residual_of(seeds: tuple[int, ...] = (0, 123, 2023, 123456)) -> Tables:
    """Return networks whose saddles, accuracy, persistence and curvature all agree with the paper.

    With skips each number but the saddles is higher in every network.
    """
    settings = [{SKIP: True}, {SKIP: False}]
    found = tables_of(
        "residual",
        settings,
        lambda s, seed: {
            "saddles_resolved": (1 if s[SKIP] else 20) + seed % 7,
            "mean_persistence_with_global": s[SKIP] + seed % 7 / 10,
        },
        lambda s, seed: {"test_accuracy": 0.9 + 0.05 * s[SKIP] + seed % 7 / 1000},
        seeds=seeds,
    )
    table = found["residual.metrics"]
    curvature = {name: 10.0 * table[SKIP] + table["test_accuracy"] for name in ("trace",)}
    curved = table.assign(**curvature, top_eigenvalue=-curvature["trace"])
    return {**found, "residual-spectrum.quantities": curved}


def test_four_networks_against_four_have_seventy_arrangements() -> None:
    found = verdicts(residual_of())
    for name in ("simplify", "persistence", "accuracy", "trace"):
        row = found.loc[f"skips-{name}"]
        assert row["n"] == 8 and row["value"] == 0.5
        assert row["p"] == row["p_smallest"] == pytest.approx(1 / 70)
    assert found.loc["skips-eigenvalue", "verdict"] == "not supported"
    assert found.loc["skips-eigenvalue", "value"] == -0.5


def test_one_claim_of_seventy_arrangements_may_be_supported() -> None:
    tables = residual_of()
    row = verdicts({"residual.metrics": tables["residual.metrics"]}).loc["skips-accuracy"]
    assert row["verdict"] == "supported" and row["p_holm"] == row["p"]


def betas_of() -> Tables:
    """Return the published numbers of beta 1 to 10 for three seeds that agree."""
    published = companion_numbers()
    settings = [{BETA: beta} for beta in published.index]
    tables = tables_of(
        "pinn-betas",
        settings,
        lambda s, _: {
            "saddles_resolved": published.loc[s[BETA], "saddles"],
            "mean_persistence_with_global": published.loc[s[BETA], "mean_persistence"],
        },
        lambda s, _: {"absolute_error": published.loc[s[BETA], "absolute_error"]},
        seeds=(0, 1, 2),
    )
    curved = tables["pinn-betas.metrics"].assign(
        **{n: lambda t, n=n: t[BETA].map(published[n]) for n in ("top_eigenvalue", "trace")}
    )
    return {**tables, "pinn-betas-spectrum.quantities": curved}


def test_the_published_numbers_of_the_companion_rise_with_beta_as_it_says() -> None:
    found = verdicts(betas_of())
    for name in ("saddles", "persistence", "error", "eigenvalue", "trace"):
        row = found.loc[f"{name}-with-beta"]
        assert row["verdict"] == "supported" and row["n"] == 10, name
    assert found.loc["relative-persistence-with-beta", "verdict"] == "inconclusive"


def test_missing_tables_are_named_and_their_claims_not_tested() -> None:
    found = verdicts({})
    assert set(found["verdict"]) == {"not tested"} and found["p_holm"].isna().all()
    assert found.loc["minimum-first", "note"] == f"the study has no {', '.join(UNET)}"
    assert found.loc["trace-with-beta", "note"] == "the study has no pinn-betas-spectrum.quantities"
    tables = four_of(3, 3.0, 1)
    assert verdicts({FOUR[0]: tables[FOUR[0]]}).loc["same-shape-in-four", "note"] == (
        "the study has no pinn-4d.choices"
    )
    empty = {name: table.iloc[:0] for name, table in tables.items()}
    assert verdicts(empty).loc["same-shape-in-four", "verdict"] == "not tested"


def test_sensitivity_lists_every_choice_of_the_tables_and_the_scaled_grid() -> None:
    def numbers(setting: dict[str, Any], _: int) -> dict[str, float]:
        return {"minima_resolved": ranked(setting, -1 if "half" in setting["choice"] else 1)}

    choices = (AS_SAMPLED, "axis connectivity", "half the range")
    tables = grid_of(numbers, betas=BETAS[::3], seeds=(0, 1, 2), choices=choices)
    scaled = tables[GRID[1]][tables[GRID[1]]["choice"] == AS_SAMPLED]
    tables["pinn-grid-scaled.choices"] = scaled.assign(minima_resolved=1.0)
    found = sensitivity(CLAIMS, {**tables, **four_of(6, 3.0, 1)}).set_index(["claim", "choice"])
    row = found.loc["simpler-minima-at-equal-beta"]
    assert row["verdict"].to_dict() == {
        AS_SAMPLED: "supported",
        "axis connectivity": "supported",
        "half the range": "not supported",
        "curvature-scaled grid": "inconclusive",
    }
    # Four dimensions are compared with three of one grid: its choices are the statistic itself.
    assert list(found.loc["more-points-in-four"].index) == [AS_SAMPLED]
    assert "minimum-first" not in found.index.get_level_values("claim")


def test_tables_without_choices_have_nothing_to_mark() -> None:
    tables = residual_of()
    found = sensitivity(CLAIMS, tables).set_index("claim")
    assert set(found["choice"]) == {AS_SAMPLED} and found.index.is_unique
    assert len(found) == 5 and len(sensitivity(CLAIMS, {})) == 0


def everything() -> Tables:
    """Return tables of every role, with noise in every number."""
    draw = np.random.default_rng(0)

    def noisy(tables: Tables) -> Tables:
        def changed(table: pd.DataFrame) -> pd.DataFrame:
            names = [name for name in table if name in (*NUMBERS, *WIDTHS, "relative_error")]
            factors = draw.uniform(0.8, 1.2, (len(table), len(names)))
            return table.assign(**dict(zip(names, (table[names] * factors).T.values, strict=True)))

        return {name: changed(table) for name, table in tables.items()}

    grid = grid_of(varied(1), betas=BETAS[::2], rates=RATES[:3])
    return noisy({**grid, **four_of(5, 3.0, 1), **unet_of(), **residual_of(), **betas_of()})


def test_the_order_of_rows_and_of_seeds_changes_no_number() -> None:
    tables = everything()
    shuffled = {name: table.sample(frac=1, random_state=3) for name, table in tables.items()}
    expected = evaluate_claims(tables)
    assert (expected["verdict"] != "not tested").all()
    pd.testing.assert_frame_equal(evaluate_claims(shuffled), expected, check_exact=True)


def test_every_claim_has_a_figure_of_its_paper_and_an_id_of_its_own() -> None:
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)
    assert {claim.paper for claim in CLAIMS} == {"profiles", "companion"}
    for paper in ("profiles", "companion"):
        own = [claim for claim in CLAIMS if claim.paper == paper]
        assert len(own) >= 12
        assert {claim.figure for claim in own} <= set(PAPERS[paper].figures)
    for claim in CLAIMS:
        assert claim.sentence.endswith(".") and claim.source and claim.statistic
        assert f"below {claim.relevant:g}, the smallest value" in claim.rule


def test_what_is_tested_alone_is_tested_alike_in_the_family() -> None:
    """Only Holm's correction, and with it the verdict, depends on the other claims."""
    tables = unet_of()
    both = evaluate(CLAIMS, tables).set_index("claim")
    for claim in [one for one in CLAIMS if one.needs == UNET]:
        alone = evaluate([claim], tables).iloc[0]
        assert alone["p_holm"] == alone["p"] == both.loc[claim.id, "p"]
        assert alone["value"] == both.loc[claim.id, "value"]


def test_the_published_tables_have_the_printed_shapes_and_values() -> None:
    errors = pinn_errors()
    assert errors.shape == (5, 14) and tuple(errors.columns) == BETAS
    assert tuple(errors.index) == RATES
    assert errors.loc[1.0, 1.0] == 2.6e-5 and errors.loc[0.01, 6.0] == 8.0e-3
    assert errors.loc[0.0001, 4.0] == 0.28 and errors.loc[0.001, 50.0] == 1.0
    accuracy = unet_accuracy()
    assert accuracy.shape == (7, 7) and tuple(accuracy.index) == UNET_RATES
    assert accuracy.loc[0.001].tolist() == [67.9, 83.4, 85.7, 87.1, 87.6, 87.9, 87.9]
    assert accuracy.loc[0.0001, 29] == 82.8
    numbers = companion_numbers()
    assert numbers.shape == (10, 5) and list(numbers.index) == list(range(1, 11))
    assert numbers.loc[10.0, "saddles"] == 27 and numbers.loc[9.0, "mean_persistence"] == 12100
    assert numbers.loc[7.0, ["absolute_error", "top_eigenvalue", "trace"]].tolist() == [
        0.425, 3350, 3850,
    ]  # fmt: skip
    residual = residual_numbers()
    assert residual.loc["without", ["saddles", "test_accuracy"]].tolist() == [26, 0.9]
    assert residual.loc["with", ["saddles", "top_eigenvalue"]].tolist() == [1.5, 2850]


def test_the_published_errors_jump_where_a_network_counts_as_failed() -> None:
    """Between beta 6 and 7; at 0.001 beta 6, at sqrt(0.031), is just beyond the threshold."""
    between = {1.0: 42, 0.1: 42, 0.01: 42, 0.001: 30, 0.0001: 12}
    for rate, errors in np.sqrt(pinn_errors()).iterrows():
        assert 10 ** transition(BETAS, errors, FAILED) == pytest.approx(between[rate] ** 0.5)


def test_a_note_says_where_holm_puts_a_perfect_effect_out_of_reach() -> None:
    alone = verdicts(residual_of()).loc["skips-simplify"]
    assert alone["p"] == alone["p_smallest"] == pytest.approx(1 / 70)
    assert "even a perfect effect on 8 units would have Holm's p of 0.0714" in alone["note"]
    assert alone["verdict"] == "inconclusive"
