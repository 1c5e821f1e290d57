"""The ledger of claims: what each says, how it is tested, and the verdict by a rule fixed before.

A claim is tested on tables by role: ``<role>.metrics``, ``<role>.choices`` and so on, with columns
run, seed and, for each grid axis of the experiment, its dotted key.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from topograph.claims.statistics import Test, holm
from topograph.topology.choices import AS_SAMPLED, in_slice

ALPHA = 0.05
# Published tables hold nine digits of a p: 3 x 2 / 120 must not exceed 0.05 by the tenth.
ROUNDING = 1e-8
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Claim:
    """A published statement as data, with the test of it.

    ``test`` maps tables and a choice of `topology.choices` to a statistic that is above 0 where the
    claim holds; ``relevant`` is the smallest value that would make the claim worth stating, fixed
    before any run. ``needs`` are the tables that it reads; ``instead`` are tables to read in
    their place, by the name under which the sensitivity lists them.
    """

    id: str
    paper: str
    figure: str
    source: str
    sentence: str
    statistic: str
    units: str
    relevant: float
    needs: tuple[str, ...]
    test: Callable[[Tables, str], Test]
    varies: bool = True
    instead: Mapping[str, Mapping[str, str]] | None = None

    @property
    def rule(self) -> str:
        """The rule of the verdict, in words."""
        return (
            f"supported if Holm's p is at most {ALPHA:g} and the interval lies above 0; not "
            f"supported if the interval lies below {self.relevant:g}, the smallest value worth the "
            f"claim; otherwise, or if even the smallest attainable p exceeds {ALPHA:g} when it is "
            "corrected alike, inconclusive"
        )


def verdict(claim: Claim, test: Test, p: float, p_smallest: float) -> str:
    """Return the verdict on a claim by its rule, for p that are both adjusted or both not."""
    if not test.n:
        return "not tested"
    if math.isnan(test.value) or math.isnan(p) or _exceeds(p_smallest):
        return "inconclusive"
    if not _exceeds(p) and test.low > 0:
        return "supported"
    return "not supported" if test.high < claim.relevant else "inconclusive"


def evaluate(claims: Sequence[Claim], tables: Tables) -> pd.DataFrame:
    """Return a row for each claim: what it says, its statistic and interval, p, and the verdict.

    A claim whose tables are missing, or hold no unit with all that it needs, is ``not tested``, and
    its note says why. ``roles`` are those of the tables that were read.
    """
    rows = []
    for claim in claims:
        test, note = _tested(claim, tables)
        rows.append(
            {
                "claim": claim.id,
                "paper": claim.paper,
                "figure": claim.figure,
                "source": claim.source,
                "sentence": claim.sentence,
                "statistic": claim.statistic,
                **test._asdict(),
                "units": claim.units,
                "p_holm": float("nan"),
                "rule": claim.rule,
                "verdict": "not tested",
                "note": note,
                "roles": _roles(claim.needs),
            }
        )
    return ruled(claims, pd.DataFrame(rows))


def ruled(claims: Sequence[Claim], tests: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `evaluate` with Holm's p over all that were tested, and verdicts by it.

    The rows may come from several machines, each of which tested claims that others could not.
    """
    known = {claim.id: claim for claim in claims}
    p = tests["p"].tolist()
    adjusted = holm(p)
    rows = []
    for place, row in enumerate(tests.to_dict("records")):
        test = Test(*(row[name] for name in Test._fields))
        least = holm([*p[:place], test.p_smallest, *p[place + 1 :]])[place]
        verdict_now = verdict(known[row["claim"]], test, adjusted[place], least)
        note = (_limits(test) or _out_of_reach(test, least)) if test.n else row["note"]
        rows.append({**row, "p_holm": adjusted[place], "verdict": verdict_now, "note": note})
    return pd.DataFrame(rows)


def sensitivity(claims: Sequence[Claim], tables: Tables) -> pd.DataFrame:
    """Return each claim's statistic and verdict under every choice that its tables hold.

    These verdicts take p as it is, without Holm's correction: the question is what hangs on the
    choice, not how many claims there are.
    """
    rows = []
    for claim in claims:
        for choice, name, replaced in _variants(claim, tables):
            read = [replaced.get(table, table) for table in claim.needs]
            chosen = {**tables, **{table: tables[by] for table, by in replaced.items()}}
            test = claim.test(chosen, name)
            row = {"claim": claim.id, "choice": choice, **test._asdict()}
            ruling = verdict(claim, test, test.p, test.p_smallest)
            rows.append({**row, "verdict": ruling, "roles": _roles(read)})
    columns = ["claim", "choice", *Test._fields, "verdict", "roles"]
    return pd.DataFrame(rows, columns=columns).drop(columns="p_smallest")


def _variants(claim: Claim, tables: Tables) -> list[tuple[str, str, Mapping[str, str]]]:
    """Return the name of each choice, the choice within its tables, and the tables replaced."""
    found: list[tuple[str, str, Mapping[str, str]]] = []
    if not _lacking(claim.needs, tables):
        found.append((AS_SAMPLED, AS_SAMPLED, {}))
        found += [(name, name, {}) for name in _choices(claim, tables)]
    for choice, replaced in (claim.instead or {}).items():
        if not _lacking([replaced.get(name, name) for name in claim.needs], tables):
            found.append((choice, AS_SAMPLED, replaced))
    return found


def _choices(claim: Claim, tables: Tables) -> list[str]:
    if not claim.varies:
        return []
    listed = [tables[name]["choice"] for name in claim.needs if name.endswith(".choices")]
    names = dict.fromkeys(name for column in listed for name in column)
    # What is chosen within a slice belongs to the choice that the claim compares it with.
    own = {in_slice(name) for name in names if name != AS_SAMPLED}
    return [name for name in names if name not in {AS_SAMPLED, *own}]


def _tested(claim: Claim, tables: Tables) -> tuple[Test, str]:
    nan = float("nan")
    if lacking := _lacking(claim.needs, tables):
        return Test(nan, nan, nan, nan, nan, 0), f"the study has no {', '.join(lacking)}"
    test = claim.test(tables, AS_SAMPLED)
    return test, "" if test.n else "no unit has all that the statistic needs"


def _exceeds(p: float) -> bool:
    return p > ALPHA * (1 + ROUNDING)


def _limits(test: Test) -> str:
    """Say what even a perfect effect on a claim's units could not show."""
    if test.p_smallest == 1:
        return "what is compared is alike in all units"
    if _exceeds(test.p_smallest):
        return f"{test.n} units cannot give a p below {test.p_smallest:.3g}"
    return ""


def _out_of_reach(test: Test, least: float) -> str:
    """Say so where a perfect effect on a claim's units would not survive Holm's correction."""
    if not _exceeds(least):
        return ""
    return (
        f"even a perfect effect on {test.n} units would have Holm's p of {least:.3g} among the "
        "claims tested with it"
    )


def _lacking(needs: Sequence[str], tables: Tables) -> list[str]:
    return [name for name in needs if name not in tables or tables[name].empty]


def _roles(names: Sequence[str]) -> str:
    return " ".join(dict.fromkeys(name.split(".")[0] for name in names))
