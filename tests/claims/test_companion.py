"""The companion's claims on tables of planted truth, and on its own published numbers."""

from __future__ import annotations

import pytest
from planted import betas_of, residual_of, verdicts

pytestmark = pytest.mark.usefixtures("fewer_draws")


def test_four_networks_against_four_have_seventy_arrangements() -> None:
    found = verdicts(residual_of())
    for name in ("simplify", "persistence", "accuracy", "trace"):
        row = found.loc[f"skips-{name}"]
        assert row["n"] == 8 and row["value"] == 0.5
        assert row["p"] == row["p_smallest"] == pytest.approx(1 / 70)
    # Nor could it have been supported: the family has five claims.
    assert found.loc["skips-eigenvalue", "verdict"] == "inconclusive"
    assert found.loc["skips-eigenvalue", "value"] == -0.5


def test_one_claim_of_seventy_arrangements_may_be_supported() -> None:
    tables = residual_of()
    row = verdicts({"residual.metrics": tables["residual.metrics"]}).loc["skips-accuracy"]
    assert row["verdict"] == "supported" and row["p_holm"] == row["p"]


def test_the_published_numbers_of_the_companion_rise_with_beta_as_it_says() -> None:
    found = verdicts(betas_of())
    for name in ("saddles", "persistence", "error", "eigenvalue", "trace"):
        row = found.loc[f"{name}-with-beta"]
        assert row["verdict"] == "supported" and row["n"] == 10, name
    row = found.loc["relative-persistence-with-beta"]
    assert row["verdict"] == "inconclusive"
    assert row["note"] == "what is compared is alike in all units"
