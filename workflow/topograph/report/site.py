"""The site of a study: the overview, and all pages beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from topograph.report.cells import TrainedCell, by_experiment
from topograph.report.claims_page import write_claims
from topograph.report.finished import Figure, FinishedStudy, duration
from topograph.report.gallery import gallery_of, is_drawn_there, write_values
from topograph.report.page import write_html
from topograph.report.papers import PAPERS, Paper
from topograph.report.pdf import write_pdf
from topograph.report.provenance_page import write_provenance
from topograph.report.runs_page import write_runs
from topograph.report.verdicts import summary


def build_site(study: FinishedStudy) -> list[Path]:
    """Write the overview, runs, claims, provenance, PDF and values; return their paths.

    The pages of figures, landscapes and papers are there already. No page asks for anything outside
    ``study.reports``. Equal studies give equal bytes. Raises TopographError when a page cannot be
    written.
    """
    return [
        _write_overview(study),
        write_runs(study),
        *write_claims(study),
        *write_provenance(study),
        write_pdf(study),
        *write_values(study),
    ]


def _write_overview(study: FinishedStudy) -> Path:
    gallery = gallery_of(study)
    jobs = {job for figure in study.figures for job in (figure.job, *figure.before)}
    return write_html(
        study.reports / "index.html",
        "index.html",
        study=study.name,
        config=study.config,
        gallery=gallery,
        cards=[
            _card(study, figure)
            for figure in study.figures
            if gallery is None or not is_drawn_there(figure)
        ],
        papers=[_paper(study, paper) for paper in PAPERS.values()],
        summary=summary(study.claims.rows) if study.claims else None,
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


def _paper(study: FinishedStudy, paper: Paper) -> dict[str, Any]:
    claims = study.claims.of(paper.name) if study.claims else []
    return {
        "paper": paper,
        "own": len({figure.name for figure in study.figures} & paper.figures.keys()),
        "summary": summary(claims) if claims else None,
    }


def _experiment(name: str, cells: list[TrainedCell]) -> dict[str, Any]:
    return {
        "name": name,
        "cells": len(cells),
        "trained": sum(cell.trained for cell in cells),
        "diverged": sum(cell.diverged for cell in cells),
    }
