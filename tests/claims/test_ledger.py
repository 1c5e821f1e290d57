"""The rule of the verdict, Holm's correction in it, and the tables that claims are read from."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from topograph.claims import statistics
from topograph.claims.ledger import ALPHA, Claim, Tables, evaluate, sensitivity, verdict
from topograph.claims.statistics import Test as Found
from topograph.claims.tables import (
    CLAIMS,
    code_of,
    evaluate_claims,
    write_claims,
)
from topograph.comparison.roles import read_tables
from topograph.foundation.errors import TopographError
from topograph.foundation.storage import read_table, write_table
from topograph.topology.choices import AS_SAMPLED, NUMBERS, WIDTHS

NAN = float("nan")
ROWS = pd.DataFrame({"run": ["a"], "seed": [0]})
BETA = "problem.kwargs.beta"


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "PERMUTATIONS", 999)
    monkeypatch.setattr(statistics, "DRAWS", 200)


def found(p: float, *, low: float = 0.1, high: float = 0.9, smallest: float = 0.001) -> Found:
    return Found((low + high) / 2, low, high, p, smallest, 10)


def claim(name: str, test: Found | None = None, **more: object) -> Claim:
    """Return a claim whose test has a result known before, or one by choice in the tables."""

    def by_choice(tables: Tables, choice: str) -> Found:
        (row,) = tables["a.choices"].query("choice == @choice").to_dict("records")
        return found(row["p"])

    given = {
        **dict.fromkeys(("paper", "figure", "source", "sentence", "statistic"), "x"),
        "units": "cells",
        "relevant": 0.3,
        "needs": ("a.metrics",),
        "test": by_choice if test is None else lambda *_: test,
    }
    return Claim(id=name, **{**given, **more})


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (found(0.01), "supported"),
        (found(ALPHA), "supported"),
        (found(0.051), "inconclusive"),
        # A small p with an interval that reaches 0, and an interval that holds nothing relevant.
        (found(0.01, low=-0.01), "inconclusive"),
        (found(0.01, low=0.0), "inconclusive"),
        (found(0.5, low=-0.2, high=0.29), "not supported"),
        (found(0.5, low=-0.2, high=0.3), "inconclusive"),
        (found(0.9, low=-0.8, high=-0.2), "not supported"),
        # Above 0 for certain, though less than is worth the claim: what was said still holds.
        (found(0.001, low=0.1, high=0.2), "supported"),
        (found(0.06, low=0.1, high=0.9, smallest=0.06), "inconclusive"),
        (found(0.9, low=-0.9, high=-0.8, smallest=0.06), "inconclusive"),
        (Found(NAN, NAN, NAN, NAN, NAN, 0), "not tested"),
        (found(0.01, low=NAN), "inconclusive"),
    ],
)
def test_the_verdict_follows_the_rule(test: Found, expected: str) -> None:
    assert verdict(claim("c"), test, test.p, test.p_smallest) == expected


def test_holm_makes_one_of_borderline_ps_inconclusive() -> None:
    """Each alone is at most 0.05; of three 0.03 has to be at most 0.025."""
    ps = {"first": 0.01, "second": 0.03, "third": 0.04}
    claims = [claim(name, found(p)) for name, p in ps.items()]
    table = evaluate(claims, {"a.metrics": ROWS}).set_index("claim")
    assert table["p_holm"].tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert table["verdict"].tolist() == ["supported", "inconclusive", "inconclusive"]
    for one in claims:
        assert evaluate([one], {"a.metrics": ROWS})["verdict"].item() == "supported"


def test_claims_that_cannot_be_tested_are_not_in_the_family() -> None:
    nothing = Found(NAN, NAN, NAN, NAN, NAN, 0)
    claims = [claim("a", found(0.04)), claim("b", nothing)]
    claims += [claim(f"c{i}", found(0.04), needs=("b.metrics",)) for i in range(5)]
    table = evaluate(claims, {"a.metrics": ROWS}).set_index("claim")
    assert table.loc["a", ["p_holm", "verdict"]].tolist() == [0.04, "supported"]
    assert table.loc["b", ["verdict", "note"]].tolist() == [
        "not tested",
        "no unit has all that the statistic needs",
    ]
    row = table.loc["c0"]
    assert row["verdict"] == "not tested" and row["note"] == "the study has no b.metrics"
    assert math.isnan(row["value"]) and math.isnan(row["p_holm"]) and row["n"] == 0


def test_too_few_units_are_noted() -> None:
    few = claim("a", found(0.0625, smallest=0.0625))
    row = evaluate([few], {"a.metrics": ROWS}).iloc[0]
    assert row["verdict"] == "inconclusive"
    assert row["note"] == "10 units cannot give a p below 0.0625"


def test_sensitivity_takes_every_choice_without_holms_correction() -> None:
    choices = {AS_SAMPLED: 0.04, "half the range": 0.2, "axis connectivity": 0.03}
    rows = [{"run": "a", "seed": 0, "choice": name, "p": p} for name, p in choices.items()]
    tables = {"a.choices": pd.DataFrame(rows), "b.choices": pd.DataFrame(rows[:1])}
    more = {"needs": ("a.choices",), "instead": {"another grid": {"a.choices": "b.choices"}}}
    claims = [claim(name, **more) for name in "ab"]
    table = sensitivity([*claims, claim("untested")], tables)
    assert table["claim"].tolist() == ["a"] * 4 + ["b"] * 4
    assert table["choice"].tolist()[:4] == [*choices, "another grid"]
    assert table["verdict"].tolist()[:4] == ["supported", "inconclusive"] + ["supported"] * 2
    assert set(evaluate(claims, tables)["verdict"]) == {"inconclusive"}
    del tables["b.choices"]
    assert "another grid" not in set(sensitivity(claims, tables)["choice"])
    fixed = sensitivity([claim("a", **more, varies=False)], tables)
    assert fixed["choice"].tolist() == [AS_SAMPLED]


def test_no_tables_have_no_sensitivity_but_its_columns() -> None:
    table = sensitivity(CLAIMS, {})
    expected = ["claim", "choice", "value", "low", "high", "p", "n", "verdict", "roles"]
    assert list(table) == expected and table.empty


@pytest.mark.parametrize(("column", "other"), [("seed", "run"), ("run", "seed")])
def test_a_table_without_its_columns_is_refused(column: str, other: str) -> None:
    with pytest.raises(TopographError, match=f"'pinn-4d.metrics' has no column {column}; a claim"):
        evaluate_claims({"pinn-4d.metrics": pd.DataFrame({other: [0]})})


def test_a_table_without_the_axes_of_its_claims_is_refused() -> None:
    rows = pd.DataFrame({"run": ["a"], "seed": [0], "test_accuracy": [0.9]})
    with pytest.raises(TopographError, match=r"'residual.metrics' has no column model.kwargs.skip"):
        evaluate_claims({"residual.metrics": rows})


@pytest.fixture
def finished(tmp_path: Path) -> tuple[Path, dict]:
    """Six runs of two seeds, one of which no experiment asks for: landscapes and spectra."""
    runs = []
    for beta in range(6):
        run = f"run-{5 - beta}"
        runs.append({"run": run, "seeds": [0, 1], "parameters": {BETA: beta, "variant": "v"}})
        rows = pd.DataFrame({"run": run, "seed": [1, 0, 7], "absolute_error": [beta, beta, -99]})
        write_table(tmp_path / "train" / run / "metrics.parquet", rows)
        numbers = dict.fromkeys((*NUMBERS, *WIDTHS), 1.0) | {"saddles_resolved": beta}
        chosen = rows[["run", "seed"]].assign(choice=AS_SAMPLED, **numbers)
        write_table(tmp_path / "topology" / run / "map.choices.parquet", chosen)
        curved = rows[["run", "seed"]].assign(top_eigenvalue=beta, trace=-beta)
        write_table(tmp_path / "spectrum" / run / "top.quantities.parquet", curved)
    roles = {
        "pinn-betas": {"stage": "topology", "table": "choices", "analysis": "map", "runs": runs},
        "pinn-betas-spectrum": {
            "stage": "spectrum",
            "table": "quantities",
            "analysis": "top",
            "runs": runs,
        },
    }
    return tmp_path, roles


def test_tables_hold_the_seeds_and_axes_of_their_experiment(finished: tuple[Path, dict]) -> None:
    tables = read_tables(*finished)
    assert set(tables) == {
        "pinn-betas.metrics",
        "pinn-betas.choices",
        "pinn-betas-spectrum.metrics",
        "pinn-betas-spectrum.quantities",
    }
    for table in tables.values():
        assert len(table) == 12 and "variant" not in table
        assert table["seed"].tolist() == [0, 1] * 6
        assert table[BETA].tolist() == [5 - int(run[-1]) for run in table["run"]]


def test_maps_that_no_run_has_leave_their_claims_untested(finished: tuple[Path, dict]) -> None:
    folder, roles = finished
    runs = roles["pinn-betas"]["runs"]
    for entry in runs:
        rows = pd.DataFrame({"run": entry["run"], "seed": [0, 1], "method": "phate", "points": 3})
        write_table(folder / "embedding" / entry["run"] / "jumps.quality.parquet", rows)
    maps = {"stage": "embedding", "table": "quality", "analysis": "jumps", "runs": runs}
    outputs = {name: folder / f"{name}.parquet" for name in ("claims", "sensitivity")}
    write_claims(folder, {**roles, "jumps-maps": maps}, outputs)
    found = read_table(outputs["claims"]).set_index("claim")
    mapped = [claim.id for claim in CLAIMS if "jumps-maps.quality" in claim.needs]
    assert mapped and set(found.loc[mapped, "verdict"]) == {"not tested"}
    assert found.loc["saddles-with-beta", "verdict"] == "supported"


def test_both_tables_of_a_study_are_written(finished: tuple[Path, dict]) -> None:
    folder, roles = finished
    outputs = {name: folder / f"{name}.parquet" for name in ("claims", "sensitivity")}
    write_claims(folder, roles, outputs)
    table = read_table(outputs["claims"])
    assert set(table["command"]) == {f"make {outputs['claims']}"}
    rows = table.set_index("claim")
    assert rows["verdict"].value_counts()["not tested"] == len(CLAIMS) - 7
    assert rows.loc["saddles-with-beta", ["verdict", "n"]].tolist() == ["supported", 6]
    assert rows.loc["trace-with-beta", "verdict"] == "not supported"
    # What tests the claims of one paper is no part of another's.
    codes = {claim.paper: code_of(claim) for claim in CLAIMS}
    assert len(set(codes.values())) == len(codes)
    assert dict(zip(rows["paper"], rows["code"], strict=True)) == codes
    # The same rows in the same order: the usual choice has the same numbers in both tables.
    usual = read_table(outputs["sensitivity"]).set_index("claim")
    for name in ("value", "low", "high", "p"):
        assert usual.loc["saddles-with-beta", name] == rows.loc["saddles-with-beta", name]
