"""The site of a study: the overview, and all pages beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from topograph.report.cells import TrainedCell, by_experiment
from topograph.report.finished import Figure, FinishedStudy, duration
from topograph.report.page import write_html
from topograph.report.paper_pages import write_papers
from topograph.report.papers import PAPERS
from topograph.report.pdf import write_pdf
from topograph.report.provenance_page import write_provenance
from topograph.report.runs_page import write_runs


def build_site(study: FinishedStudy) -> list[Path]:
    """Write the overview, runs, claims, provenance, papers and PDF; return their paths.

    No page asks for anything outside ``study.reports``. Equal studies give equal bytes. Raises
    TopographError when a page cannot be written.
    """
    claims = write_html(study.reports / "claims.html", "claims.html", study=study.name)
    return [
        _write_overview(study),
        write_runs(study),
        claims,
        *write_papers(study),
        *write_provenance(study),
        write_pdf(study),
    ]


def _write_overview(study: FinishedStudy) -> Path:
    own = {figure.name for figure in study.figures}
    jobs = {job for figure in study.figures for job in (figure.job, *figure.before)}
    return write_html(
        study.reports / "index.html",
        "index.html",
        study=study.name,
        config=study.config,
        cards=[_card(study, figure) for figure in study.figures],
        papers=[(paper, len(own & paper.figures.keys())) for paper in PAPERS],
        experiments=[_experiment(*one) for one in by_experiment(study.cells).items()],
        total=duration(jobs),
        job_count=len(jobs),
    )


def _card(study: FinishedStudy, figure: Figure) -> dict[str, Any]:
    return {
        "id": figure.name,
        "title": figure.title,
        "caption": figure.caption,
        "command": study.command_of(figure),
        "own": duration([figure.job]),
        "others": duration(figure.before),
        "other_count": len(figure.before),
    }


def _experiment(name: str, cells: list[TrainedCell]) -> dict[str, Any]:
    return {
        "name": name,
        "cells": len(cells),
        "trained": sum(cell.trained for cell in cells),
        "diverged": sum(cell.diverged for cell in cells),
    }
