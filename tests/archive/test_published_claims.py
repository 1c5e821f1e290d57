"""Published claims: tested in pieces, ruled together, current while all behind them is today's."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pandas as pd
import pytest

from topograph.archive.asked import Asked
from topograph.archive.publish import publish
from topograph.claims.tables import CLAIMS as LEDGER
from topograph.claims.tables import code_of
from topograph.config.runs import claims_roles, entries
from topograph.foundation.errors import DataError
from topograph.foundation.provenance import file_digest
from topograph.foundation.storage import write_table

CLAIMS = Path("reports/published/tiny/claims/claims.csv")
SENSITIVITY = CLAIMS.with_name("sensitivity.csv")
# Two claims of the ledger, each said to be tested on a role of its own.
CODE = code_of(LEDGER[0])
TESTED_ON = dict(zip((claim.id for claim in LEDGER[:2]), ("pinn-grid", "pinn-betas"), strict=True))
CLAIMS_BLOCK = """claims:
  pinn-grid: {experiment: convection, analysis: hessian-3d}
  pinn-betas: {experiment: convection, analysis: hessian-3d}
figures:
"""


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def current(path: Path) -> list[str]:
    return [row["current"] for row in rows(path)]


def claim_rows(*tested: str, **more: object) -> pd.DataFrame:
    """Return the table of both claims, of which those named were tested."""
    numbers = {"value": 0.9, "low": 0.5, "high": 1.0, "p": 0.03, "p_smallest": 1e-4}
    rows = []
    for claim, role in TESTED_ON.items():
        known = claim in tested
        values = numbers if known else dict.fromkeys(numbers, float("nan"))
        ruled = {"p_holm": 0.03, "verdict": "supported" if known else "not tested", "note": ""}
        rows.append(
            {
                "claim": claim,
                **values,
                "n": 10 * known,
                **ruled,
                "roles": role,
                "code": CODE,
                **more,
            }
        )
    return pd.DataFrame(rows)


def finish_claims(finished, *tested: str, sensitivity: pd.DataFrame | None = None, **more: object):
    """Leave what the claims rule leaves where only the roles of some claims are finished."""
    if "claims:" not in finished.study.read_text():
        finished.edit_study("figures:\n", CLAIMS_BLOCK)
    made = [Path(f"results/tiny/claims/{name}.parquet") for name in ("claims", "sensitivity")]
    write_table(made[0], claim_rows(*tested, **more))
    write_table(
        made[1],
        claim_rows(*tested).head(0).assign(choice="") if sensitivity is None else sensitivity,
    )
    asked = Asked.of(finished.study)
    every = claims_roles(asked.study, entries(asked.members))
    roles = {TESTED_ON[claim]: every[TESTED_ON[claim]] for claim in tested}
    read = [
        file
        for run in (0, 1)
        for file in (
            finished.file("train", "metrics.parquet", run),
            finished.file("topology", "hessian-3d.choices.parquet", run),
        )
    ]
    finished.finish("claims", made, read if tested else [], roles=roles)
    return made


def test_claims_tested_in_pieces_are_ruled_together(finished):
    first, second = TESTED_ON
    for piece in TESTED_ON:
        finish_claims(finished, piece)
        publish(finished.study)
    found = {row["claim"]: row for row in rows(CLAIMS)}
    assert list(found) == [first, second]
    assert current(CLAIMS) == ["true", "true"]
    # Each alone would be supported; Holm's correction over both says otherwise.
    assert [row["p_holm"] for row in found.values()] == ["0.06", "0.06"]
    assert {row["verdict"] for row in found.values()} == {"inconclusive"}
    finish_claims(finished)
    publish(finished.study)
    assert [row["n"] for row in rows(CLAIMS)] == ["10", "10"]


def test_a_claim_says_what_every_job_behind_it_was_made_under(finished):
    finish_claims(finished, *TESTED_ON)
    published = {table.path: table for table in publish(finished.study)}
    assert published[CLAIMS].rows == published[CLAIMS].current == 2 and published[CLAIMS].written
    rules = [part.split(":")[0] for part in rows(CLAIMS)[0]["code"].split(" ")]
    assert rules == ["claims", "topology", "sample_landscape", "train"]
    assert rows(CLAIMS)[0]["code"].startswith(f"claims:{CODE} ")
    assert not any(table.written for table in publish(finished.study))


@pytest.mark.parametrize(
    ("old", "new"),
    [("points: 5", "points: 7"), ("seeds: [0, 1]\n    grid", "seeds: [0, 1, 2]\n    grid")],
)
def test_a_claim_of_another_grid_or_other_seeds_is_not_current(finished, old, new):
    finish_claims(finished, *TESTED_ON)
    publish(finished.study)
    finished.edit_study(old, new)
    shutil.rmtree("results/tiny/claims")
    publish(finished.study)
    assert current(CLAIMS) == ["false", "false"]
    # What is not current keeps its verdict and takes no part in the correction of others.
    assert [row["p_holm"] for row in rows(CLAIMS)] == ["0.06", "0.06"]


def test_tables_that_are_not_what_the_study_asks_for_make_a_claim_unknown(finished):
    finish_claims(finished, *TESTED_ON)
    finished.edit_study("points: 5", "points: 7")
    publish(finished.study)
    assert ["unknown" in row["code"] for row in rows(CLAIMS)] == [True, True]
    assert current(CLAIMS) == ["false", "false"]


def test_a_current_claim_is_kept_before_one_of_other_code(finished):
    finish_claims(finished, *TESTED_ON)
    publish(finished.study)
    finish_claims(finished, *TESTED_ON, value=0.8, code="of-old")
    published = {table.path: table for table in publish(finished.study)}[CLAIMS]
    assert current(CLAIMS) == ["true"] * 2 and published.current == 2 and published.kept == 2
    assert [row["value"] for row in rows(CLAIMS)] == ["0.9", "0.9"]


def test_choices_that_are_gone_do_not_outlive_a_new_test_of_their_claim(finished):
    first, second = TESTED_ON
    varied = [claim_rows(first, second).assign(choice=choice) for choice in ("as sampled", "axis")]
    finish_claims(finished, *TESTED_ON, sensitivity=pd.concat(varied))
    publish(finished.study)
    again = claim_rows(first).head(1).assign(choice="as sampled")
    finish_claims(finished, first, sensitivity=again)
    publish(finished.study)
    found = [(row["claim"], row["choice"]) for row in rows(SENSITIVITY)]
    assert found == [(first, "as sampled"), (second, "as sampled"), (second, "axis")]
    # On another role: beside what is there, not in its place.
    other = again.assign(choice="scaled", roles=TESTED_ON[second])
    finish_claims(finished, second, sensitivity=other)
    publish(finished.study)
    found = [row["choice"] for row in rows(SENSITIVITY) if row["claim"] == first]
    assert found == ["as sampled", "scaled"]


@pytest.mark.parametrize("column", ["roles", "code"])
def test_a_table_of_claims_without_its_lineage_is_refused(finished, column):
    made = finish_claims(finished, *TESTED_ON)
    write_table(made[0], claim_rows(*TESTED_ON).drop(columns=column))
    finished.edit_manifest(
        made[0], lambda content: content["outputs"].update({str(made[0]): file_digest(made[0])})
    )
    with pytest.raises(
        DataError, match=rf"has no column {column}; remake it: make results/tiny/claims"
    ):
        publish(finished.study)


def test_an_altered_table_of_claims_is_refused(finished):
    made = finish_claims(finished, *TESTED_ON)
    made[0].write_bytes(made[0].read_bytes() + b" ")
    with pytest.raises(DataError, match="was altered after it was made and is not published"):
        publish(finished.study)
