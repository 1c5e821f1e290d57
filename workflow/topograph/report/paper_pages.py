"""The pages of the papers: which of their figures this study has."""

from __future__ import annotations

from pathlib import Path

from topograph.report.finished import FinishedStudy
from topograph.report.page import write_html
from topograph.report.papers import PAPERS, Paper


def write_papers(study: FinishedStudy) -> list[Path]:
    """Write ``papers/<paper>.html`` for each paper and return the paths."""
    return [_write(study, paper) for paper in PAPERS]


def _write(study: FinishedStudy, paper: Paper) -> Path:
    own = {figure.name: figure for figure in study.figures}
    return write_html(
        study.reports / "papers" / f"{paper.name}.html",
        "paper.html",
        study=study.name,
        paper=paper,
        own=own,
        count=len(own.keys() & paper.figures.keys()),
    )
