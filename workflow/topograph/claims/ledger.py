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
    if math.isnan(test.value) or math.isnan(p) or p_smallest > ALPHA:
        return "inconclusive"
    if p <= ALPHA and test.low > 0:
        return "supported"
    return "not supported" if test.high < claim.relevant else "inconclusive"


def evaluate(claims: Sequence[Claim], tables: Tables) -> pd.DataFrame:
    """Return a row for each claim: what it says, its statistic and interval, p, and the verdict.

    Holm's correction is over the claims that could be tested. A claim whose tables are missing, or
    hold no unit with all that it needs, is ``not tested``, and its note says why.
    """
    found = [_tested(claim, tables) for claim in claims]
    p = [test.p for test, _ in found]
    adjusted = holm(p)
    rows = []
    for place, (claim, (test, note)) in enumerate(zip(claims, found, strict=True)):
        p_holm = adjusted[place]
        least = holm([*p[:place], test.p_smallest, *p[place + 1 :]])[place]
        note = note or _out_of_reach(test, least)
        ruled = verdict(claim, test, p_holm, least)
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
                "p_holm": p_holm,
                "rule": claim.rule,
                "verdict": ruled,
                "note": note,
            }
        )
    return pd.DataFrame(rows)


def sensitivity(claims: Sequence[Claim], tables: Tables) -> pd.DataFrame:
    """Return each claim's statistic and verdict under every choice that its tables hold.

    These verdicts take p as it is, without Holm's correction: the question is what hangs on the
    choice, not how many claims there are.
    """
    rows = []
    for claim in claims:
        if _lacking(claim, tables):
            continue
        for choice, chosen, name in _variants(claim, tables):
            test = claim.test(chosen, name)
            row = {"claim": claim.id, "choice": choice, **test._asdict()}
            rows.append({**row, "verdict": verdict(claim, test, test.p, test.p_smallest)})
    columns = ["claim", "choice", *Test._fields, "verdict"]
    return pd.DataFrame(rows, columns=columns).drop(columns="p_smallest")


def _variants(claim: Claim, tables: Tables) -> list[tuple[str, Tables, str]]:
    """Return the name of each choice, the tables to read and the choice within them."""
    found: list[tuple[str, Tables, str]] = [(AS_SAMPLED, tables, AS_SAMPLED)]
    if claim.varies:
        listed = [tables[name]["choice"] for name in claim.needs if name.endswith(".choices")]
        names = dict.fromkeys(name for column in listed for name in column)
        # What is chosen within a slice belongs to the choice that the claim compares it with.
        own = {in_slice(name) for name in names if name != AS_SAMPLED}
        found += [(name, tables, name) for name in names if name not in {AS_SAMPLED, *own}]
    for choice, replaced in (claim.instead or {}).items():
        if all(name in tables for name in replaced.values()):
            other = {**tables, **{name: tables[by] for name, by in replaced.items()}}
            found.append((choice, other, AS_SAMPLED))
    return found


def _tested(claim: Claim, tables: Tables) -> tuple[Test, str]:
    nan = float("nan")
    if lacking := _lacking(claim, tables):
        return Test(nan, nan, nan, nan, nan, 0), f"the study has no {', '.join(lacking)}"
    test = claim.test(tables, AS_SAMPLED)
    notes = []
    if test.n == 0:
        notes.append("no unit has all that the statistic needs")
    elif test.p_smallest == 1:
        notes.append("what is compared is alike in all units")
    elif test.p_smallest > ALPHA:
        notes.append(f"{test.n} units cannot give a p below {test.p_smallest:.3g}")
    return test, "; ".join(notes)


def _out_of_reach(test: Test, least: float) -> str:
    """Say so where a perfect effect on a claim's units would not survive Holm's correction."""
    if not least > ALPHA:
        return ""
    return (
        f"even a perfect effect on {test.n} units would have Holm's p of {least:.3g} among the "
        "claims tested here"
    )


def _lacking(claim: Claim, tables: Tables) -> list[str]:
    return [name for name in claim.needs if name not in tables or tables[name].empty]
