"""The site that a run made, in a real browser."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytestmark = pytest.mark.workflow
MEGABYTE = 2**20


def test_every_page_opens_with_its_pictures_and_links(page, smoke):
    reports = smoke.path / "reports/smoke"
    pages = [reports / "index.html", *sorted((reports / "figures").glob("*.html"))]
    assert len(pages) == 5
    for path in pages:
        page.goto(path.as_uri())
        widths = page.eval_on_selector_all("img", "all => all.map(i => i.naturalWidth)")
        assert len(widths) == (len(pages) - 1 if path.name == "index.html" else 1)
        assert all(width > 0 for width in widths)
        for link in page.eval_on_selector_all("a", "all => all.map(a => a.href)"):
            assert Path(unquote(urlsplit(link).path)).is_file(), link


def test_every_landscape_has_an_interactive_page(page, smoke):
    reports = smoke.path / "reports/smoke"
    pages = sorted((reports / "profiles").glob("*.html"))
    landscapes = (smoke.path / "results/smoke/landscape").glob("*/*.nc")
    assert [path.name for path in pages] == sorted(
        f"{path.parent.name}.{path.stem}.html" for path in landscapes
    )
    assert len(pages) == 5
    index = (reports / "index.html").read_text()
    for path in pages:
        assert f'href="profiles/{path.name}"' in index
        assert path.stat().st_size < MEGABYTE / 2
        page.goto(path.as_uri())
        assert page.locator("#profile .minimum").count() >= 1
        for link in page.eval_on_selector_all("a", "all => all.map(a => a.href)"):
            assert Path(unquote(urlsplit(link).path)).is_file(), link


def test_the_site_is_light(smoke):
    files = [path for path in (smoke.path / "reports/smoke").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files if path.suffix != ".pdf") < 5 * MEGABYTE
