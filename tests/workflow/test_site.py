"""The site that a run made, in a real browser, from disk and from a host that has nothing else."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import pytest
from pypdf import PdfReader

pytestmark = pytest.mark.workflow
MEGABYTE = 2**20
PHONE = 375
FIGURES = 6
OWN = ("index", "runs", "claims", "provenance")
HAS_ID = "id => document.getElementById(id) !== null"


def pages(reports: Path) -> list[Path]:
    return sorted(reports.rglob("*.html"))


def pictures(page) -> list[int]:
    """Scroll to each picture and return the widths."""
    for picture in page.locator("img").all():
        picture.scroll_into_view_if_needed()
    page.wait_for_function("[...document.images].every(image => image.complete)")
    return page.eval_on_selector_all("img", "all => all.map(i => i.naturalWidth)")


def links(page) -> list[str]:
    return page.eval_on_selector_all("a", "all => all.map(a => a.href)")


def test_every_page_opens_with_its_pictures_and_links(page, smoke):
    reports = smoke.path / "reports/smoke"
    expected = {"index.html": FIGURES, "profiles.html": 2, "companion.html": 1}
    expected["jump-and-retrain.html"] = 3
    assert len(pages(reports)) == len(OWN) + 4 + FIGURES + 5 + 1
    anchored = set()
    for path in pages(reports):
        page.goto(path.as_uri())
        widths = pictures(page)
        assert len(widths) == expected.get(path.name, int(path.parent.name == "figures")), path
        assert all(width > 0 for width in widths)
        for link in links(page):
            target = Path(unquote(urlsplit(link).path))
            assert target.is_relative_to(reports) and target.is_file(), link
            anchored.add((target, unquote(urlsplit(link).fragment)))
    for target in {path for path, anchor in anchored if anchor}:
        page.goto(target.as_uri())
        # Leaving while a picture loads would count as a request that failed.
        pictures(page)
        for path, anchor in anchored:
            assert path != target or not anchor or page.evaluate(HAS_ID, anchor), anchor


def test_every_page_fits_a_phone(page, smoke):
    page.set_viewport_size({"width": PHONE, "height": 800})
    for path in pages(smoke.path / "reports/smoke"):
        page.goto(path.as_uri())
        page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE, path
        pictures(page)


def test_every_landscape_has_an_interactive_page(page, smoke):
    reports = smoke.path / "reports/smoke"
    profiles = sorted((reports / "profiles").glob("*.html"))
    landscapes = (smoke.path / "results/smoke/landscape").glob("*/*.nc")
    assert [path.name for path in profiles] == sorted(
        f"{path.parent.name}.{path.stem}.html" for path in landscapes
    )
    assert len(profiles) == 5
    runs = (reports / "runs.html").read_text()
    for path in profiles:
        assert f'href="profiles/{path.name}"' in runs
        assert path.stat().st_size < MEGABYTE / 2
        page.goto(path.as_uri())
        assert page.locator("#profile .minimum").count() >= 1


def test_the_site_works_from_a_host_that_has_nothing_else(browser, smoke):
    reports = smoke.path / "reports/smoke"
    handler = partial(QuietHandler, directory=str(reports))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        page = browser.new_page()
        answers = {}
        page.on("response", lambda answer: answers.update({answer.url: answer.status}))
        linked = set()
        for name in OWN:
            page.goto(f"{address}/{name}.html")
            pictures(page)
            linked |= {link.partition("#")[0] for link in links(page)}
        page.close()
        assert len(answers) >= len(OWN) + FIGURES
        assert set(answers.values()) <= {200, 304}
        assert all(url.startswith((address, "data:")) for url in {*answers, *linked})
        assert {urlopen(link).status for link in linked} == {200}
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder without a line for each request."""

    def log_message(self, *_: object) -> None:
        pass


def test_histories_reach_the_data(page, smoke):
    page.goto((smoke.path / "reports/smoke/provenance.html").as_uri())
    for figure in ("tlp-fig3", "jr-fig3a"):
        history = page.locator(f"#figure-{figure}")
        trained = history.locator("a", has_text="train/")
        assert trained.count() == 2
        assert history.locator("small", has_text="data ").count() >= 1
    assert page.get_by_text("unknown").count() == 0


def test_the_pdf_has_every_figure_and_run(smoke):
    reader = PdfReader(smoke.path / "reports/smoke/report.pdf")
    assert len(reader.pages) == 1 + FIGURES + 1
    runs = "".join(reader.pages[-1].extract_text().split())
    for weights in (smoke.path / "results/smoke/train").glob("*/weights.safetensors"):
        assert weights.parent.name in runs


def test_the_site_is_light(smoke):
    reports = smoke.path / "reports/smoke"
    files = {path: path.stat().st_size for path in reports.rglob("*") if path.is_file()}
    # The page of a surface holds the whole library that turns it.
    surfaces = {path for path in files if path.parent.name == "surfaces"}
    assert all(files[path] < 6 * MEGABYTE for path in surfaces)
    heavy = {*surfaces, reports / "report.pdf"}
    assert sum(size for path, size in files.items() if path not in heavy) < 5 * MEGABYTE
    assert (reports / "report.pdf").stat().st_size < MEGABYTE
