"""The table of runs: what was asked, what came of it, and where it is shown."""

from __future__ import annotations

import re
from typing import Any

from topograph.report.cells import in_words, metrics_of, rounded
from topograph.report.runs_page import write_runs

RUNS = ("convection-mlp-0a1b2c3d4e", "convection-mlp-5f6a7b8c9d", "digits-wide-resnet-1234567890")


def rows(html: str) -> dict[str, str]:
    """Return the HTML of each row by its run."""
    found = re.findall(r"<tr[^>]*>\n<th scope=\"row\">.*?</tr>", html, flags=re.DOTALL)
    return {re.search("<code>(.*?)</code>", row).group(1): row for row in found}


def test_diverged_runs_are_marked_and_left_out_of_the_mean(fake_study: Any) -> None:
    table = rows(write_runs(fake_study.read()).read_text())
    assert list(table) == list(RUNS)
    good, gone, some = table.values()
    assert "0 of 3" in good and 'data-value="0.02">0.02<br><small>0.01 to 0.03' in good
    assert "<strong>diverged</strong>: 3 of 3" in gone
    assert gone.count("no value") == 2 and "data-value" not in gone
    assert "<strong>diverged</strong>: 1 of 2" in some
    assert "0.95<br><small>one seed</small>" in some


def test_a_row_links_its_profiles_figures_and_manifest(fake_study: Any) -> None:
    good, gone, _ = rows(write_runs(fake_study.read()).read_text()).values()
    assert f'href="profiles/{RUNS[0]}.hessian-3d.html">hessian-3d<' in good
    assert 'href="figures/tlp-fig3.html"' in good and 'href="figures/jr-fig1.a.html"' in good
    assert f'href="provenance.html#train/{RUNS[0]}/weights"' in good
    assert "profiles/" not in gone and "jr-fig1.a" not in gone
    assert 'href="figures/tlp-fig3.html"' in gone


def test_each_experiment_has_the_columns_that_its_cells_have(fake_study: Any) -> None:
    html = write_runs(fake_study.read()).read_text()
    first, second = (table.split("</thead>")[0] for table in html.split("<table")[1:])
    assert '<th scope="col" title="problem.kwargs.beta">Beta</th>' in first
    assert "Relative error" in first and "Test accuracy" not in first
    assert "Test accuracy" in second and "Relative error" not in second
    # The variant is the label.
    assert "Variant" not in second


def test_metrics_that_no_seed_has_are_no_column(fake_study: Any) -> None:
    cells = fake_study.read().cells
    assert metrics_of(cells[:1]) == ["relative_error", "train_loss"]
    assert metrics_of(cells[1:2]) == []


def test_numbers_and_names_are_written_for_readers() -> None:
    assert [rounded(value) for value in (1169.4, 0.012345, 2.5e7, 3.0)] == [
        "1169",
        "0.0123",
        "2.5e+07",
        "3",
    ]
    assert in_words("optimiser.learning_rate") == "Learning rate"
    assert in_words("iou_grey_matter") == "IoU grey matter"
