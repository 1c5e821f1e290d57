"""The page of a paper: its claims, its figures in its order, ours beside them."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from topograph.archive.asked import Asked
from topograph.foundation.errors import DataError
from topograph.report.paper_pages import write_paper
from topograph.report.papers import PAPERS
from topograph.report.verdicts import read_claims


def page(study: Any, paper: str) -> str:
    return (study.reports / "papers" / f"{paper}.html").read_text()


def section(html: str, figure: str) -> str:
    return html.partition(f'aria-labelledby="{figure}"')[2].partition("</section>")[0]


@pytest.mark.parametrize("paper", PAPERS)
def test_figures_and_sayings_stand_in_the_order_of_the_paper(fake_study: Any, paper: str) -> None:
    html = page(fake_study, paper)
    sayings = [saying.name for saying in PAPERS[paper].sayings]
    assert re.findall(r'<h2 id="(.*?)">', html) == [*sayings, *PAPERS[paper].figures]
    assert PAPERS[paper].source in html


def test_a_page_tells_what_the_study_has_and_lacks(fake_study: Any) -> None:
    html = page(fake_study, "profiles")
    assert "has 1 of the paper's 6 figures and tables" in html
    assert html.count("There is no such figure") == 5
    own, other = section(html, "tlp-fig3"), section(html, "tlp-fig4")
    assert 'src="../figures/tlp-fig3.svg"' in own
    assert "make reports/demo/figures/tlp-fig3.html" in own
    assert "of &lt;b&gt;three&lt;/b&gt; networks &amp; their" in own
    assert "There is no such figure" in other and "<img" not in other
    assert page(fake_study, "jump-and-retrain").count("There is no such figure") == 11


def test_claims_of_the_paper_alone_stand_on_top_and_beside_their_figure(tested_study: Any) -> None:
    html = page(tested_study, "profiles")
    assert "2 of 3 claims tested (1 supported, 1 inconclusive)" in html
    assert html.index('id="claim-simpler-minima"') < html.index('id="tlp-fig1"')
    assert "0.612<br><small>0.312 to 0.812</small>" in html
    assert "saddles-grow" not in html
    assert "Basins are &lt;b&gt;deep&lt;/b&gt; &amp; few." in html
    beside = section(html, "tlp-fig3")
    assert 'href="#claim-simpler-minima"' in beside and 'href="#claim-deep-basins"' in beside
    assert "early-minima" not in beside and "early-minima" in section(html, "tlp-fig4")
    assert "saddles-grow" in page(tested_study, "companion")
    other = page(tested_study, "jump-and-retrain")
    assert 'No <a href="../claims.html">claim</a> of the paper' in other
    assert 'class="verdict' not in other


def test_sayings_that_nobody_tested_have_no_verdict_and_no_figures(fake_study: Any) -> None:
    html = page(fake_study, "sayings")
    assert 'No <a href="../claims.html">claim</a> of the field has been tested' in html
    assert "figures and tables" not in html and 'class="verdict' not in html


def test_what_each_saying_means_stands_above_its_verdicts(
    tested_study: Any, tmp_path: Path
) -> None:
    claims = read_claims(tested_study.claims)
    assert claims is not None
    told = claims.of("profiles")[0]
    rows = [replace(told, name="flat-minima-by-trace", paper="sayings", figure="")]
    options = {"study": "demo", "figures": [], "claims": replace(claims, rows=rows)}
    html = write_paper(tmp_path / "reports/papers/sayings.html", "sayings", **options).read_text()
    assert "1 of 1 claim tested (1 supported)" in html
    flat, saddles = section(html, "flat-minima"), section(html, "saddles")
    assert "It would be refuted by cells of equal augmentation" in flat
    assert 'href="#claim-flat-minima-by-trace"' in flat and "✓ </span>supported" in flat
    assert "It would be refuted by slices" in saddles and 'class="verdict' not in saddles


def test_a_page_reads_nothing_but_the_figures_of_its_paper(
    tested_study: Any, tmp_path: Path
) -> None:
    kept = tmp_path / "alone" / "reports" / "demo"
    for suffix in ("html", "svg", "values.json"):
        target = kept / "figures" / f"tlp-fig3.{suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tested_study.reports / "figures" / target.name, target)
    options = {
        "study": "demo",
        "figures": tested_study.figures,
        "claims": read_claims(tested_study.claims),
    }
    written = write_paper(kept / "papers" / "profiles.html", "profiles", **options)
    assert written.read_text() == page(tested_study, "profiles")
    (kept / "figures" / "tlp-fig3.svg").unlink()
    with pytest.raises(DataError, match=r"tlp-fig3\.svg does not exist; make it"):
        write_paper(kept / "papers" / "profiles.html", "profiles", **options)


def test_a_study_says_what_it_asks_of_the_page() -> None:
    asked = Asked.of(Path(__file__).parents[2] / "config/smoke.yaml")
    assert asked.parameters("reports/smoke/papers/profiles.html") == {
        "figures": [
            *["tlp-fig3", "tlp-fig4", "topo-fig1"],
            *["jr-fig1b", "jr-fig2d", "jr-fig3a"],
        ],
        "claims": [
            *["pinn-grid", "pinn-betas-spectrum", "unet-epochs"],
            *["jumps", "jumps-maps", "jumps-homology"],
        ],
    }
