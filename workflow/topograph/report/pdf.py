"""The report as one PDF: title page, each figure as it was drawn, and the table of runs."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import NamedTuple, cast

import matplotlib
from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace
from pypdf import PageObject, PdfReader, PdfWriter, Transformation
from pypdf.generic import BooleanObject, DictionaryObject, NameObject, TextStringObject

from topograph.foundation.storage import atomic
from topograph.report.cells import TrainedCell, by_experiment, in_words, metrics_of, rounded
from topograph.report.finished import Figure, FinishedStudy, duration
from topograph.report.verdicts import summary

_FONTS = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf"}
_MARGIN = 18.0  # mm
_POINTS = 72 / 25.4  # to a mm
_LINE = 1.35  # of the size of the type
# A title, a caption and an origin are never so long that less is left for the picture.
_LEAST_PICTURE = 60.0
_COLUMNS = 6


class _Place(NamedTuple):
    """Where a figure goes: the page's number, and the box from the upper left in mm."""

    page: int
    x: float
    y: float
    width: float
    height: float


class _Report(FPDF):
    """A4 pages with the name of the study and their number at the foot."""

    def __init__(self, study: str) -> None:
        super().__init__(format="A4")
        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        for style, name in _FONTS.items():
            self.add_font("DejaVu", style, fonts / name)
        self.set_margin(_MARGIN)
        self.set_auto_page_break(True, _MARGIN + 4)
        self._study = study

    def footer(self) -> None:
        self.set_y(-_MARGIN)
        self.set_font("DejaVu", size=7.5)
        self.set_text_color(90)
        self.cell(0, 5, f"Topograph: {self._study}")
        self.set_x(_MARGIN)
        self.cell(0, 5, str(self.page_no()), align="R")
        self.set_text_color(0)

    def write_lines(self, text: str, size: float, *, bold: bool = False) -> None:
        self.set_font("DejaVu", "B" if bold else "", size)
        self.multi_cell(
            0, _LINE * size / _POINTS, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT
        )

    def height_of(self, text: str, size: float) -> float:
        self.set_font("DejaVu", size=size)
        line = _LINE * size / _POINTS
        lines = self.multi_cell(0, line, text, align="L", dry_run=True, output="LINES")
        return line * len(cast("list[str]", lines))


def write_pdf(study: FinishedStudy) -> Path:
    """Write ``report.pdf`` and return its path; figures stay vectors, equal studies equal bytes.

    Raises TopographError when the file cannot be written.
    """
    report = _Report(study.name)
    _title_page(report, study)
    places = [_figure_page(report, study, figure) for figure in study.figures]
    report.add_page(orientation="landscape")
    runs_page = report.page_no()
    _runs(report, study)
    writer = PdfWriter()
    for page in PdfReader(io.BytesIO(bytes(report.output()))).pages:
        writer.add_page(page)
    for figure, place in zip(study.figures, places, strict=True):
        drawn = PdfReader(study.reports / "figures" / f"{figure.name}.pdf").pages[0]
        _insert(writer.pages[place.page - 1], drawn, place)
        title = f"{figure.name}: {figure.title}"
        writer.add_outline_item(title=title, page_number=place.page - 1)
    writer.add_outline_item(title="Runs", page_number=runs_page - 1)
    _describe(writer, study)
    target = study.reports / "report.pdf"
    with atomic(target) as temporary:
        writer.write(temporary)
    return target


def _title_page(report: _Report, study: FinishedStudy) -> None:
    report.add_page()
    report.set_y(70)
    report.write_lines("Topograph: loss landscapes of neural networks", 10)
    report.write_lines(f"Report of the study “{study.name}”", 22, bold=True)
    report.ln(6)
    experiments = [
        f"{name}: {len(cells)} cell{'' if len(cells) == 1 else 's'}, "
        f"{sum(cell.trained for cell in cells)} networks trained, "
        f"{sum(cell.diverged for cell in cells)} diverged"
        for name, cells in by_experiment(study.cells).items()
    ]
    jobs = study.jobs.values()
    commits = sorted({str(job.content.get("commit", "unknown")) for job in jobs})
    facts = {
        "Study file": study.config,
        "Experiments": "\n".join(experiments),
        "Jobs": f"{len(jobs)}, {duration(jobs)} in all",
        "Commits": "\n".join(commits),
        "To make it all": f"make study STUDY={study.name}",
        "Figures": "\n".join(f"{figure.name}: {figure.title}" for figure in study.figures),
        "Claims": _claims(study),
    }
    for name, text in facts.items():
        report.write_lines(name, 9, bold=True)
        report.write_lines(text, 9)
        report.ln(3)


def _claims(study: FinishedStudy) -> str:
    if study.claims is None:
        return "No published claim has been tested in this study yet."
    return f"{summary(study.claims.rows)}. Statistics, rules and sensitivity: claims.html"


def _figure_page(report: _Report, study: FinishedStudy, figure: Figure) -> _Place:
    report.add_page()
    report.write_lines(figure.name, 8.5)
    report.write_lines(figure.title, 14, bold=True)
    report.ln(4)
    origin = _origin(study, figure)
    text = report.height_of(figure.caption, 9) + report.height_of(origin, 7.5) + 8
    top = report.get_y()
    free = report.page_break_trigger - top - text
    box = PdfReader(study.reports / "figures" / f"{figure.name}.pdf").pages[0].mediabox
    width, height = float(box.width) / _POINTS, float(box.height) / _POINTS
    scale = min(report.epw / width, max(free, _LEAST_PICTURE) / height)
    number = report.page_no()
    report.set_y(top + scale * height + 4)
    report.write_lines(figure.caption, 9)
    report.ln(3)
    report.write_lines(origin, 7.5)
    left = _MARGIN + (report.epw - scale * width) / 2
    return _Place(number, left, top, scale * width, scale * height)


def _origin(study: FinishedStudy, figure: Figure) -> str:
    rules = Counter(str(job.content.get("rule", "unknown")) for job in figure.before)
    jobs = ", ".join(f"{count} {rule}" for rule, count in sorted(rules.items()))
    labels = [
        f"{cell.experiment} {cell.label}"
        for cell in study.cells
        if figure in study.figures_of(cell.run)
    ]
    few = "; ".join(labels[:_COLUMNS]) + (" …" if len(labels) > _COLUMNS else "")
    return (
        f"Made from {len(figure.before)} jobs ({jobs}) on {len(labels)} cells: {few}.\n"
        f"Commit {figure.job.content.get('commit', 'unknown')}.\n"
        f"To remake it: {study.command_of(figure)}"
    )


def _runs(report: _Report, study: FinishedStudy) -> None:
    report.write_lines("Runs", 14, bold=True)
    report.write_lines(
        "Metrics are the mean over the seeds that did not diverge, with the smallest and the "
        "largest value.",
        8,
    )
    for experiment, cells in by_experiment(study.cells).items():
        metrics = metrics_of(cells)
        # No table is wider than the page: further metrics go below, with the run's name again.
        for start in range(0, max(len(metrics), 1), _COLUMNS):
            report.ln(4)
            report.write_lines(experiment, 10, bold=True)
            _runs_table(report, cells, metrics[start : start + _COLUMNS])


def _runs_table(report: _Report, cells: list[TrainedCell], metrics: list[str]) -> None:
    report.set_font("DejaVu", size=7)
    widths = (30, 6, 8, *[11] * len(metrics))
    with report.table(
        col_widths=widths,
        width=report.epw * sum(widths) / (44 + 11 * _COLUMNS),
        align="LEFT",
        text_align="LEFT",
        borders_layout="HORIZONTAL_LINES",
        headings_style=FontFace(emphasis="BOLD"),
        line_height=_LINE * 7 / _POINTS,
        padding=0.8,
    ) as table:
        table.row(("Run", "Seeds", "Diverged", *map(in_words, metrics)))
        for cell in cells:
            spreads = [cell.metrics.get(name) for name in metrics]
            values = [f"{rounded(s.mean)}\n{s.range}" if s else "–" for s in spreads]
            name = f"{cell.label}\n{cell.run}"
            table.row((name, str(cell.trained), str(cell.diverged), *values))


def _insert(page: PageObject, drawn: PageObject, place: _Place) -> None:
    scale = place.width * _POINTS / float(drawn.mediabox.width)
    bottom = float(page.mediabox.height) - (place.y + place.height) * _POINTS
    move = Transformation().scale(scale).translate(place.x * _POINTS, bottom)
    page.merge_transformed_page(drawn, move)
    page.compress_content_streams()


def _describe(writer: PdfWriter, study: FinishedStudy) -> None:
    # No date: equal studies would make different files.
    writer.metadata = {"/Title": f"Topograph: report of the study “{study.name}”"}
    writer.root_object[NameObject("/Lang")] = TextStringObject("en")
    shown = {NameObject("/DisplayDocTitle"): BooleanObject(True)}
    writer.root_object[NameObject("/ViewerPreferences")] = DictionaryObject(shown)
