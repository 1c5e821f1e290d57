"""The claims together: which can be tested, on which choices, and what Holm leaves of them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from planted import (
    everything,
    four_of,
    grid_of,
    ranked,
    residual_of,
    unet_of,
    verdicts,
)
from planted_glossary import planted as planted_glossary
from planted_jumps import planted

from topograph.claims.ledger import evaluate, sensitivity
from topograph.claims.profiles import FOUR, GRID, UNET
from topograph.claims.published import BETAS
from topograph.claims.tables import CLAIMS, evaluate_claims
from topograph.report.papers import PAPERS
from topograph.topology.choices import AS_SAMPLED

pytestmark = pytest.mark.usefixtures("fewer_draws")


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
    tables["pinn-grid-scaled.metrics"] = tables[GRID[0]]
    found = sensitivity(CLAIMS, {**tables, **four_of(6, 3.0, 1)}).set_index(["claim", "choice"])
    row = found.loc["simpler-minima-at-equal-beta"]
    assert row["verdict"].to_dict() == {
        AS_SAMPLED: "supported",
        "axis connectivity": "supported",
        "half the range": "not supported",
        "curvature-scaled grid": "inconclusive",
    }
    # Where another machine has the fixed grid, the scaled one is tested alone.
    alone = {name: table for name, table in tables.items() if "scaled" in name}
    (only,) = sensitivity(CLAIMS, alone).query("claim == 'simpler-minima-at-equal-beta'").index
    assert sensitivity(CLAIMS, alone).loc[only, "choice"] == "curvature-scaled grid"
    # Four dimensions are compared with three of the same grid under the same choice.
    row = found.loc["more-points-in-four"]
    assert row["verdict"].to_dict() == {
        AS_SAMPLED: "supported",
        "axis connectivity": "supported",
        "one dimension less": "not tested",
    }
    assert "minimum-first" not in found.index.get_level_values("claim")


def test_tables_without_choices_have_nothing_to_mark() -> None:
    tables = residual_of()
    found = sensitivity(CLAIMS, tables).set_index("claim")
    assert set(found["choice"]) == {AS_SAMPLED} and found.index.is_unique
    assert len(found) == 5 and len(sensitivity(CLAIMS, {})) == 0


def test_the_order_of_rows_and_of_seeds_changes_no_number() -> None:
    tables = everything() | planted() | planted_glossary()
    shuffled = {name: table.sample(frac=1, random_state=3) for name, table in tables.items()}
    expected = evaluate_claims(tables)
    assert (expected["verdict"] != "not tested").all()
    pd.testing.assert_frame_equal(evaluate_claims(shuffled), expected, check_exact=True)


def test_every_claim_has_a_figure_of_its_paper_and_an_id_of_its_own() -> None:
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)
    assert {claim.paper for claim in CLAIMS} == set(PAPERS)
    for paper in PAPERS.values():
        own = [claim for claim in CLAIMS if claim.paper == paper.name]
        assert len(own) >= (len(paper.sayings) or 12)
        # What is said in the field has no figure that showed it first.
        assert {claim.figure for claim in own} <= (set(paper.figures) or {""})
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


def test_a_note_says_where_holm_puts_a_perfect_effect_out_of_reach() -> None:
    alone = verdicts(residual_of()).loc["skips-simplify"]
    assert alone["p"] == alone["p_smallest"] == pytest.approx(1 / 70)
    assert "even a perfect effect on 8 units would have Holm's p of 0.0714" in alone["note"]
    assert alone["verdict"] == "inconclusive"
