"""The page of claims: every claim with its numbers, its verdict, and what would change it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from topograph.foundation.errors import DataError
from topograph.foundation.storage import read_table, write_table
from topograph.report.claims_page import write_claims
from topograph.report.site import build_site
from topograph.report.verdicts import read_claims, summary


def build(study: Any) -> str:
    return write_claims(study.read())[0].read_text()


def text_of(html: str) -> str:
    """Return what is read of HTML, in one line."""
    return " ".join(re.sub("<[^>]*>", " ", html).split())


def row_of(html: str, claim: str) -> list[str]:
    """Return the cells of a claim's row."""
    row = html.partition(f'<tr id="claim-{claim}">')[2].partition("</tr>")[0]
    return [text_of(cell) for cell in re.split("</t[hd]>", row)[:-1]]


def varied_of(html: str, claim: str) -> list[str]:
    """Return the cells of a claim in the table of sensitivity."""
    table = html.partition('<table class="varied">')[2]
    row = table.partition(f'href="#claim-{claim}"')[2].partition("</tr>")[0]
    return re.split("</t[hd]>", row)[1:-1]


def test_without_claims_no_page_speaks_of_a_verdict(fake_study: Any) -> None:
    (page,) = write_claims(fake_study.read())
    html = page.read_text()
    assert "No published claim has been tested in this study yet" in html
    assert "supported" not in html and "inconclusive" not in html


def test_verdicts_are_counted_once_for_each_claim(tested_study: Any) -> None:
    build_site(tested_study.read())
    told = "3 of 4 claims tested (1 supported, 1 not supported, 1 inconclusive)"
    html = build(tested_study)
    counts = html.partition('<ul class="counts"')[2].partition("</ul>")[0]
    assert text_of(counts).endswith(
        "1 ✓ supported 1 ✗ not supported 1 ? inconclusive 1 – not tested"
    )
    assert told in html
    overview = (tested_study.reports / "index.html").read_text()
    assert told in overview and "No <a" not in overview
    assert "; 2 of 3 claims tested (1 supported, 1 inconclusive)</small>" in overview
    assert summary([]) == "0 of 0 claims tested"


def test_a_row_has_the_numbers_of_its_claim(tested_study: Any) -> None:
    html = build(tested_study)
    assert row_of(html, "simpler-minima") == [
        "What is said about simpler-minima. simpler-minima , section 4",
        "✓ supported",
        "Kendall's tau of minima and error over cells".replace("'", "&#39;"),
        "0.612 0.312 to 0.812",
        "70 cells",
        "0.0004",
        "0.0012",
        "1e-05",
        "tlp-fig3",
    ]
    assert row_of(html, "saddles-grow")[3:8] == ["-1234", "10 cells", *["– none"] * 3]
    assert 'href="figures/tlp-fig3.html"' in html
    assert row_of(html, "early-minima")[8] == "tlp-fig4 not in this study"
    assert "figures/tlp-fig4" not in html


def test_words_are_escaped(tested_study: Any) -> None:
    html = build(tested_study)
    assert "Basins are &lt;b&gt;deep&lt;/b&gt; &amp; few." in html
    assert "2 &lt; 7 cells: &lt;i&gt;beta 50" in html
    assert "<b>deep" not in html and "<i>beta" not in html


def test_claims_stand_below_their_paper_with_each_rule_once(tested_study: Any) -> None:
    html = build(tested_study)
    places = [
        html.index(f'id="{name}"')
        for name in (
            *("paper-profiles", "claim-simpler-minima", "claim-early-minima", "rules-profiles"),
            *("paper-companion", "claim-saddles-grow", "rules-companion"),
        )
    ]
    assert places == sorted(places)
    assert "paper-jump-and-retrain" not in html
    assert html.count("supported where the interval lies above 0") == 2


def test_a_verdict_that_another_choice_changes_is_marked_in_words(tested_study: Any) -> None:
    html = build(tested_study)
    heads = html.partition('<table class="varied">')[2].partition("</thead>")[0]
    assert re.findall(r'scope="col">(.*?)</th>', heads) == [
        "Claim",
        "As sampled",
        "Axis connectivity",
        "Half the range",
    ]
    usual, changed, untested = varied_of(html, "simpler-minima")
    assert text_of(usual) == "✓ supported 0.612"
    assert text_of(changed) == "? inconclusive ≠ differs 0.1" and 'class="differs"' in changed
    # What was not tested says nothing against the verdict.
    assert text_of(untested) == "– not tested – none" and "differs" not in untested
    same, unmoved = varied_of(html, "saddles-grow")[1:]
    assert text_of(same) == "✗ not supported -1100" and text_of(unmoved) == "– unchanged"
    assert "Of 2 verdicts under another choice 1 differs" in text_of(html)


def test_the_tables_lie_beside_the_page_in_full(tested_study: Any) -> None:
    _, claims, sensitivity = write_claims(tested_study.read())
    assert len(pd.read_csv(sensitivity)) == 6
    table = pd.read_csv(claims).set_index("claim")
    assert table.loc["simpler-minima", "value"] == 0.61234
    assert table.loc["deep-basins", "sentence"] == "Basins are <b>deep</b> & few."


def test_the_job_that_tested_them_is_in_the_history(tested_study: Any) -> None:
    build_site(tested_study.read())
    assert 'href="provenance.html#claims/claims"' in build(tested_study)
    assert 'id="claims/claims"' in (tested_study.reports / "provenance.html").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": "suported"}, "has the verdict 'suported' .did you mean 'supported'"),
        ({"paper": "profile"}, "has the paper 'profile' .did you mean 'profiles'"),
    ],
)
def test_a_foreign_table_is_named(tested_study: Any, change: dict[str, str], message: str) -> None:
    path: Path = tested_study.claims[0]
    table = read_table(path)
    write_table(path, table.assign(**change))
    with pytest.raises(DataError, match=rf"claims\.parquet {message}"):
        read_claims(tested_study.claims)
    write_table(path, table.drop(columns="p_holm"))
    with pytest.raises(DataError, match=r"claims\.parquet lacks the columns p_holm"):
        read_claims(tested_study.claims)
