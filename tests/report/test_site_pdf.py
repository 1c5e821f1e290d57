"""The report as PDF: every figure as vectors, its caption and origin, and all runs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pypdf import PdfReader

from topograph.report.pdf import write_pdf


@pytest.fixture
def reader(fake_study: Any) -> PdfReader:
    return PdfReader(write_pdf(fake_study.read()))


def words(text: str) -> str:
    """Undo the breaking of lines."""
    return " ".join(text.split())


def test_it_has_a_title_page_each_figure_and_the_runs(reader: PdfReader) -> None:
    assert len(reader.pages) == 4
    first = words(reader.pages[0].extract_text())
    assert "Report of the study “demo”" in first
    assert "convection: 2 cells, 6 networks trained, 3 diverged" in first
    assert "No published claim has been tested" in first
    assert [entry.title.partition(":")[0] for entry in reader.outline] == [
        "tlp-fig3",
        "jr-fig1.a",
        "Runs",
    ]


def test_the_title_page_counts_the_verdicts(tested_study: Any) -> None:
    first = PdfReader(write_pdf(tested_study.read())).pages[0]
    told = "3 of 4 claims tested (1 supported, 1 not supported, 1 inconclusive)"
    text = words(first.extract_text())
    assert told in text and "No published claim" not in text


def test_a_figure_stands_with_caption_origin_and_command(reader: PdfReader) -> None:
    text = words(reader.pages[1].extract_text())
    assert "what lies between the points is not seen" in text
    assert "<b>three</b> networks & their merge trees" in text
    assert "Made from 9 jobs (3 train, 6 unknown) on 3 cells: convection beta 1.0" in text
    assert "make reports/demo/figures/tlp-fig3.html" in text


def test_figures_stay_vectors(reader: PdfReader, fake_study: Any) -> None:
    drawn = PdfReader(fake_study.reports / "figures" / "tlp-fig3.pdf").pages[0]
    marks = drawn.get_contents().get_data().count(b" l\n")
    assert marks > 20
    page = reader.pages[1]
    assert not page.images
    assert page.get_contents().get_data().count(b" l\n") >= marks


def test_the_table_of_runs_has_every_cell(reader: PdfReader) -> None:
    text = words(reader.pages[3].extract_text())
    runs = ("convection-mlp-0a1b2c3d4e", "convection-mlp-5f6a7b8c9d", "digits-wide-resnet-12345")
    for run in runs:
        assert run in text
    assert "0.01 to 0.03" in text and "one seed" in text


def test_it_has_a_title_a_language_and_no_date(reader: PdfReader) -> None:
    assert reader.metadata is not None
    assert reader.metadata.title == "Topograph: report of the study “demo”"
    assert reader.metadata.creation_date is None
    assert reader.trailer["/Root"]["/Lang"] == "en"


def test_a_caption_of_a_page_leaves_room_for_the_picture(fake_study: Any) -> None:
    values = fake_study.reports / "figures" / "tlp-fig3.values.json"
    values.write_text(values.read_text().replace("Sublevel sets", "Sublevel sets " * 400))
    reader = PdfReader(write_pdf(fake_study.read()))
    assert len(reader.pages) > 4
    assert reader.outline[1].title.startswith("jr-fig1.a")
    page = reader.get_destination_page_number(reader.outline[1])
    assert "jr-fig1.a" in reader.pages[page].extract_text()


def test_another_process_writes_the_same_bytes(fake_study: Any) -> None:
    study = fake_study
    first = write_pdf(study.read()).read_bytes()
    code = (
        "from pathlib import PosixPath\n"
        "from topograph.report.finished import read_finished\n"
        "from topograph.report.pdf import write_pdf\n"
        f"write_pdf(read_finished('demo', files=[{study.file!r}], reports={study.reports!r}, "
        f"results={study.results!r}, figures={study.figures!r}, profiles={study.profiles!r}, "
        f"papers={study.papers!r}))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONHASHSEED": "7"})
    assert (study.reports / "report.pdf").read_bytes() == first
