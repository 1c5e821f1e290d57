"""The site opens from disk in a real browser: complete, silent, and readable on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from topograph.report.site import build_site

PHONE = 390
PAGES = ("index.html", "figures/tlp-fig3.html", "figures/jr-fig1.a.html")


@pytest.fixture
def site(fake_study: Any) -> Path:
    study = fake_study
    build_site(
        "demo",
        config="config/demo.yaml",
        reports=study.reports,
        results=study.results,
        figures=study.figures,
    )
    return study.reports


@pytest.mark.parametrize("name", PAGES)
def test_pictures_load_and_links_resolve(page: Any, site: Path, name: str) -> None:
    page.goto((site / name).as_uri())
    pictures = page.eval_on_selector_all("img", "all => all.map(i => [i.naturalWidth, i.alt])")
    assert len(pictures) == (2 if name == "index.html" else 1)
    assert all(width > 0 and alt for width, alt in pictures)
    links = page.eval_on_selector_all("a", "all => all.map(a => a.href)")
    assert len(links) >= 5
    for link in links:
        parts = urlsplit(link)
        assert parts.scheme == "file"
        assert Path(unquote(parts.path)).is_file(), link
        assert not parts.fragment or page.locator(f"#{parts.fragment}").count() == 1


def test_cards_and_pages_lead_to_each_other(page: Any, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    page.get_by_role("heading", name="jr-fig1.a").get_by_role("link").click()
    assert page.url.endswith("/figures/jr-fig1.a.html")
    page.get_by_role("link", name="All figures").click()
    assert page.url.endswith("/index.html")


@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_a_phone(page: Any, site: Path, name: str) -> None:
    page.set_viewport_size({"width": PHONE, "height": 800})
    page.goto((site / name).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


def test_dark_mode_changes_the_page_and_keeps_the_pictures_on_white(page: Any, site: Path) -> None:
    colour = "selector => getComputedStyle(document.querySelector(selector)).{}"
    seen = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto((site / "index.html").as_uri())
        seen[scheme] = [
            page.evaluate(colour.format("backgroundColor"), "body"),
            page.evaluate(colour.format("color"), "body"),
        ]
        white = page.evaluate(colour.format("backgroundColor"), ".picture")
        assert white == "rgb(255, 255, 255)"
    assert seen["light"][0] != seen["dark"][0]
    assert seen["light"][1] != seen["dark"][1]


def test_the_first_tab_stop_skips_to_the_content(page: Any, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_the_table_of_runs_has_a_caption_and_scopes(page: Any, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    assert page.locator("table caption").count() == 1
    assert page.locator("th:not([scope])").count() == 0
