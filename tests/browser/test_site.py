"""The site opens from disk in a real browser: complete, silent, and readable on a phone.

The `page` fixture fails a test that logs an error or asks for anything but a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

PHONE = 375
PAGES = (
    "index.html",
    "runs.html",
    "claims.html",
    "provenance.html",
    "papers/profiles.html",
    "figures/tlp-fig3.html",
    "figures/jr-fig1.a.html",
)
PICTURES = {"index.html": 2, "papers/profiles.html": 1}
# Relative luminance and contrast as WCAG 2 defines them, of every text against what is behind it.
CONTRAST = """() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const unread = ["SCRIPT", "STYLE"].includes(element.tagName);
    if (unread || !texts.currentNode.textContent.trim()) continue;
    const two = [luminance(parse(getComputedStyle(element).color)), luminance(behind(element))];
    found.push((Math.max(...two) + 0.05) / (Math.min(...two) + 0.05));
  }
  return found;
}"""


def visit(page: Any, path: Path) -> None:
    """Open a page and all its pictures: one left while it loads would count as failed."""
    page.goto(path.as_uri())
    loaded(page)


def loaded(page: Any) -> list[list[Any]]:
    """Scroll to each picture, and return its width and its alternative text."""
    for picture in page.locator("img").all():
        picture.scroll_into_view_if_needed()
    page.wait_for_function("[...document.images].every(image => image.complete)")
    return page.eval_on_selector_all("img", "all => all.map(i => [i.naturalWidth, i.alt])")


@pytest.mark.parametrize("name", PAGES)
def test_pictures_load_and_links_resolve(page: Any, fake_site: Path, name: str) -> None:
    page.goto((fake_site / name).as_uri())
    pictures = loaded(page)
    assert len(pictures) == PICTURES.get(name, int("figures" in name))
    assert all(width > 0 and alt for width, alt in pictures)
    links = page.eval_on_selector_all("a", "all => all.map(a => a.href)")
    assert len(links) >= 8
    for link in links:
        parts = urlsplit(link)
        assert parts.scheme == "file"
        assert Path(unquote(parts.path)).is_file(), link


def test_the_navigation_leads_from_every_page_to_every_other(page: Any, fake_site: Path) -> None:
    for name in PAGES:
        visit(page, fake_site / name)
        navigation = page.get_by_role("navigation", name="Site")
        assert navigation.locator("[aria-current]").count() == 1
        for words, target in (("Runs", "runs.html"), ("Overview", "index.html")):
            page.get_by_role("navigation", name="Site").get_by_role("link", name=words).click()
            assert page.url.endswith(f"/{target}")
            loaded(page)


def test_a_card_leads_to_its_figure_and_that_to_its_history(page: Any, fake_site: Path) -> None:
    visit(page, fake_site / "index.html")
    page.get_by_role("heading", name="jr-fig1.a").get_by_role("link").click()
    assert page.url.endswith("/figures/jr-fig1.a.html")
    page.get_by_role("link", name="full history").click()
    history = page.locator("details.history[open]")
    assert history.count() == 1 and "jr-fig1.a" in history.locator("summary").inner_text()
    history.get_by_role("link", name="train/convection-mlp-0a1b2c3d4e/weights").click()
    job = page.locator("details.job[open]")
    assert job.count() == 1 and "c0de12345678" in job.inner_text()


@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_a_phone(page: Any, fake_site: Path, name: str) -> None:
    page.set_viewport_size({"width": PHONE, "height": 800})
    visit(page, fake_site / name)
    page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out(page: Any, fake_site: Path, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    for name in PAGES:
        visit(page, fake_site / name)
        found = page.evaluate(CONTRAST)
        assert len(found) > 10
        assert min(found) >= 4.5, name


def test_dark_mode_changes_the_page_and_keeps_the_pictures_on_white(
    page: Any, fake_site: Path
) -> None:
    colour = "selector => getComputedStyle(document.querySelector(selector)).{}"
    seen = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        visit(page, fake_site / "index.html")
        seen[scheme] = [
            page.evaluate(colour.format("backgroundColor"), "body"),
            page.evaluate(colour.format("color"), "body"),
        ]
        white = page.evaluate(colour.format("backgroundColor"), ".picture")
        assert white == "rgb(255, 255, 255)"
    assert seen["light"][0] != seen["dark"][0]
    assert seen["light"][1] != seen["dark"][1]


def test_the_first_tab_stop_skips_to_the_content(page: Any, fake_site: Path) -> None:
    for name in PAGES:
        visit(page, fake_site / name)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"


def test_verdicts_differ_without_colour(page: Any, fake_site: Path) -> None:
    visit(page, fake_site / "claims.html")
    words = page.locator(".counts .verdict").all_inner_texts()
    borders = page.eval_on_selector_all(
        ".counts .verdict", "all => all.map(one => getComputedStyle(one).borderStyle)"
    )
    assert len(set(words)) == len(set(borders)) == 4
    changed = page.locator("td.differs")
    assert changed.count() == 1 and "≠ differs" in changed.inner_text()


def test_claims_lead_to_their_figure_and_back(page: Any, fake_site: Path) -> None:
    visit(page, fake_site / "papers/profiles.html")
    page.locator("#claims + p").get_by_role("link", name="claims").click()
    table = page.get_by_role("region", name="Visualizing Loss Functions")
    table.get_by_role("link", name="tlp-fig3").first.click()
    assert page.url.endswith("/figures/tlp-fig3.html")
    loaded(page)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_landmarks_and_a_language(page: Any, fake_site: Path, name: str) -> None:
    visit(page, fake_site / name)
    for role in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.locator("th:not([scope])").count() == page.locator(".outputs th").count()


def shown(page: Any) -> list[str]:
    return page.locator("table.cells tbody tr:visible th code").all_inner_texts()


def test_search_keeps_the_rows_with_all_words(page: Any, fake_site: Path) -> None:
    visit(page, fake_site / "runs.html")
    assert len(shown(page)) == 3
    state = page.get_by_role("status")
    assert state.inner_text() == "3 of 3 cells shown"
    page.get_by_label("Search the runs").fill("convection mlp")
    assert shown(page) == ["convection-mlp-0a1b2c3d4e", "convection-mlp-5f6a7b8c9d"]
    page.get_by_label("Search the runs").fill("DIVERGED")
    assert shown(page) == ["convection-mlp-5f6a7b8c9d", "digits-wide-resnet-1234567890"]
    page.get_by_label("Search the runs").fill("convection 30.0")
    assert shown(page) == ["convection-mlp-5f6a7b8c9d"]
    assert state.inner_text() == "1 of 3 cells shown"
    assert not page.get_by_role("heading", name="digits").is_visible()
    page.get_by_label("Search the runs").fill("<b>")
    assert shown(page) == [] and state.inner_text() == "0 of 3 cells shown"
    page.keyboard.press("Enter")
    assert page.url.endswith("/runs.html")


def test_columns_sort_by_keyboard_with_missing_values_last(page: Any, fake_site: Path) -> None:
    visit(page, fake_site / "runs.html")
    first = page.locator("table.cells").first

    def order() -> list[str]:
        return first.locator("tbody th code").all_inner_texts()

    both = order()
    first.get_by_role("button", name="Beta").focus()
    page.keyboard.press("Enter")
    assert order() == both
    heading = first.get_by_role("columnheader", name="Beta")
    assert heading.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert order() == both[::-1]
    assert heading.get_attribute("aria-sort") == "descending"
    assert page.get_by_role("status").inner_text() == "Sorted by Beta, descending"
    error = first.get_by_role("button", name="Relative error")
    for _ in range(2):
        error.click()
        assert order() == both
    assert heading.get_attribute("aria-sort") is None


def test_without_javascript_the_tables_are_whole(browser: Any, fake_site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((fake_site / "runs.html").as_uri())
    assert page.locator("table.cells tbody tr:visible").count() == 3
    assert not page.locator("form").is_visible()
    context.close()
