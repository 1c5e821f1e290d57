"""The claims of the jump-and-retrain paper on tables of planted truth, and of its opposite."""

from __future__ import annotations

import numpy as np
import pytest
from planted import verdicts
from planted_jumps import planted

from topograph.claims.jumps import JUMP_CLAIMS

pytestmark = pytest.mark.usefixtures("fewer_draws")


def test_every_claim_is_supported_where_it_is_planted() -> None:
    found = verdicts(planted())
    for claim in JUMP_CLAIMS:
        row = found.loc[claim.id]
        assert row["verdict"] == "supported", (claim.id, row)
        assert row["n"] == (28 if claim.id.startswith("memorising") else 12)


def test_no_claim_is_supported_where_the_opposite_is_planted() -> None:
    found = verdicts(planted(-1.0))
    for claim in JUMP_CLAIMS:
        row = found.loc[claim.id]
        assert row["verdict"] == "not supported" and row["value"] < 0, (claim.id, row)


def test_persistence_that_is_all_range_orders_nothing_at_equal_range() -> None:
    tables = planted()
    rows = tables["jumps-homology.statistics"]
    worse = rows["max_jump_loss"]
    tables["jumps-homology.statistics"] = rows.assign(
        loss_range_squared=worse**2,
        total_persistence_published=4 * worse**2,
        total_persistence_finite=1e-3 * worse**2,
    )
    found = verdicts(tables)["verdict"]
    assert found["persistence-orders-networks"] == "supported"
    assert found["largest-jump-loss-orders-networks"] == "supported"
    for end in ("at-equal-range", "beyond-range-and-components"):
        assert found[f"persistence-orders-networks-{end}"] != "supported"


def test_a_claim_without_its_tables_is_not_tested() -> None:
    tables = planted()
    del tables["jumps-memorising.points"]
    found = verdicts(tables)
    assert found.loc["memorising-leave", "verdict"] == "not tested"
    assert found.loc["good-return-at-once", "verdict"] == "supported"
    assert np.isfinite(found.loc["good-return-at-once", "p_holm"])
