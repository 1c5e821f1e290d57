"""The page of claims: every claim of every paper, what tested it, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from topograph.foundation.storage import atomic
from topograph.report.finished import FinishedStudy
from topograph.report.page import write_html
from topograph.report.papers import PAPERS
from topograph.report.verdicts import BASELINE, Claim, Claims, number, summary, verdict_counts


def write_claims(study: FinishedStudy) -> list[Path]:
    """Write ``claims.html`` and, where claims were tested, their tables as CSV; return the paths.

    A study that tests none has a page that says so.
    """
    claims = study.claims
    page = write_html(
        study.reports / "claims.html",
        "claims.html",
        study=study.name,
        claims=claims,
        papers=[] if claims is None else _papers(claims),
        number=number,
        **({} if claims is None else _told(study, claims)),
    )
    return [page, *_write_tables(study.reports, claims)]


def _told(study: FinishedStudy, claims: Claims) -> dict[str, Any]:
    others = [
        variation
        for varied in claims.variations.values()
        for choice, variation in varied.items()
        if choice != BASELINE and not variation.unchanged
    ]
    return {
        "summary": summary(claims.rows),
        "counts": verdict_counts(claims.rows),
        "own": {figure.name for figure in study.figures},
        "commands": list(dict.fromkeys(c.command for c in claims.rows if c.command)),
        "origin": study.name_of_maker(claims.file),
        "varied": sum(variation.verdict != "not tested" for variation in others),
        "differing": sum(variation.differs for variation in others),
    }


def _papers(claims: Claims) -> list[dict[str, Any]]:
    of_papers = ((paper, claims.of(paper.name)) for paper in PAPERS.values())
    return [
        {
            "paper": paper,
            "claims": own,
            "summary": summary(own),
            "rules": _rules(own),
            "varied": [claim for claim in own if claims.variations[claim.name]],
        }
        for paper, own in of_papers
        if own
    ]


def _rules(claims: Iterable[Claim]) -> dict[str, list[Claim]]:
    """Return each rule with the claims that it rules."""
    found: dict[str, list[Claim]] = {}
    for claim in claims:
        found.setdefault(claim.rule, []).append(claim)
    return found


def _write_tables(reports: Path, claims: Claims | None) -> list[Path]:
    written = []
    for name, table in ({} if claims is None else claims.tables).items():
        path = reports / f"{name}.csv"
        with atomic(path) as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")
        written.append(path)
    return written
