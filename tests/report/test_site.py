"""The site links real files, escapes what it is given, and adds up."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from topograph.foundation.errors import DataError
from topograph.foundation.storage import read_table, write_json, write_table
from topograph.report.page import write_page
from topograph.report.site import build_site

PAGES = ("index.html", "runs.html", "claims.html", "provenance.html")


def build(study: Any) -> str:
    build_site(study.read())
    return (study.reports / "index.html").read_text()


class Tags(HTMLParser):
    """Collects every href and src, every id, and the levels of headings."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.levels: list[int] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if name in {"href", "src"} and value]
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag in {"h1", "h2", "h3", "h4"}:
            self.levels.append(int(tag[1]))


def test_the_site_has_a_page_for_everything(fake_study: Any) -> None:
    written = build_site(fake_study.read())
    names = [path.relative_to(fake_study.reports).as_posix() for path in written]
    assert sorted(names) == sorted([*PAGES, "manifests.json", "report.pdf"])
    assert all(path.stat().st_size > 100 for path in written)


@pytest.mark.parametrize("study", ["fake_study", "tested_study"])
def test_every_link_is_a_file_of_the_site_and_every_anchor_is_there(
    request: pytest.FixtureRequest, study: str
) -> None:
    fake_study = request.getfixturevalue(study)
    build(fake_study)
    pages = [page for page in fake_study.reports.rglob("*.html") if page.stat().st_size]
    assert len(pages) == 10
    for page in pages:
        for link in Tags(page).links:
            if link == "data:,":
                continue
            path, _, anchor = unquote(link).partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.is_relative_to(fake_study.reports), link
            assert target.is_file(), link
            assert not anchor or anchor in Tags(target).ids, link


def test_every_page_has_the_same_navigation_one_heading_and_no_id_twice(tested_study: Any) -> None:
    build(tested_study)
    for page in tested_study.reports.rglob("*.html"):
        if not page.stat().st_size:
            continue
        tags = Tags(page)
        root = "../" if page.parent != tested_study.reports else ""
        for name in (*PAGES, "index.html#figures", "index.html#papers", "report.pdf"):
            assert f"{root}{name}" in tags.links, (page, name)
        assert page.read_text().count("aria-current=") == 1
        assert len(tags.ids) == len(set(tags.ids)), page
        assert tags.levels[0] == 1 and tags.levels.count(1) == 1
        steps = zip(tags.levels, tags.levels[1:], strict=False)
        assert all(after - before <= 1 for before, after in steps), page


def test_no_page_names_an_address_outside(fake_study: Any) -> None:
    build(fake_study)
    for page in fake_study.reports.rglob("*.html"):
        assert "//" not in " ".join(Tags(page).links)


def test_equal_studies_give_equal_bytes(tested_study: Any) -> None:
    first = [path.read_bytes() for path in build_site(tested_study.read())]
    assert [path.read_bytes() for path in build_site(tested_study.read())] == first


def test_captions_are_escaped(fake_study: Any) -> None:
    build(fake_study)
    for name in ("index.html", "figures/tlp-fig3.html", "papers/profiles.html"):
        html = (fake_study.reports / name).read_text()
        assert "of &lt;b&gt;three&lt;/b&gt; networks &amp; their" in html
        assert "<b>three" not in html


def test_a_page_names_its_command_config_tables_and_history(fake_study: Any) -> None:
    html = (fake_study.reports / "figures" / "jr-fig1.a.html").read_text()
    assert "make reports/demo/figures/jr-fig1.a.html" in html
    assert "config/demo.yaml" in html
    assert "<td>30</td>" in html
    assert 'src="jr-fig1.a.svg"' in html
    assert 'href="../provenance.html#figure-jr-fig1.a"' in html


def test_run_times_count_each_job_once(fake_study: Any) -> None:
    html = build(fake_study)
    # A run is 20 + 7 + 1 seconds in three jobs; its weights are input of two of them.
    assert "3 s for the figure, 1 min 24 s for the 9 jobs before it" in html
    assert "3 s for the figure, 28 s for the 3 jobs before it" in html
    assert "took 1 min 30 s in all, each of their jobs (11) counted once" in html


def test_paths_relative_to_the_working_directory_meet_absolute_ones(
    fake_study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fake_study.reports.parents[1]
    monkeypatch.chdir(root)
    for path in root.glob("results/demo/t*/**/*.manifest.json"):
        path.write_text(path.read_text().replace(f"{root}/", ""))
    assert "1 min 24 s for the 9 jobs before it" in build(fake_study)


def test_a_figure_links_the_interactive_profiles_that_are_there(fake_study: Any) -> None:
    page = fake_study.reports / "figures" / "tlp-fig3.html"
    assert "Interactive profiles" not in page.read_text()
    run = "convection-mlp-0a1b2c3d4e"
    write_page(
        page,
        figure="tlp-fig3",
        study="demo",
        config="config/demo.yaml",
        body="",
        command="make it",
        sources={
            "": {
                "analysis": "hessian-3d",
                "runs": [{"run": run, "label": "beta < 1"}, {"run": "gone", "label": "beta 2"}],
            }
        },
    )
    html = page.read_text()
    assert f'<a href="../profiles/{run}.hessian-3d.html">beta &lt; 1</a></dd>' in html
    assert "beta 2" not in html


def test_the_overview_counts_the_figures_of_each_paper(fake_study: Any) -> None:
    html = build(fake_study)
    assert "1 of its 6 figures and tables" in html
    assert "0 of its 11 figures and tables" in html


@pytest.mark.parametrize(
    "missing",
    [
        "config/demo.yaml",
        "results/demo/index.parquet",
        "results/demo/train/digits-wide-resnet-1234567890/metrics.parquet",
        "results/demo/train/digits-wide-resnet-1234567890/weights.manifest.json",
        "reports/demo/figures/tlp-fig3.values.json",
        "reports/demo/figures/tlp-fig3.manifest.json",
        "reports/demo/figures/tlp-fig3.svg",
        "reports/demo/figures/tlp-fig3.pdf",
        "reports/demo/profiles/convection-mlp-0a1b2c3d4e.hessian-3d.html",
        "reports/demo/papers/companion.html",
        "reports/demo/papers/companion.manifest.json",
    ],
)
def test_a_missing_file_is_named(fake_study: Any, tmp_path: Path, missing: str) -> None:
    (tmp_path / missing).unlink()
    with pytest.raises(DataError, match=f"{missing} does not exist; make it"):
        build(fake_study)


def test_foreign_files_are_named(fake_study: Any) -> None:
    index = fake_study.results / "index.parquet"
    kept = index.with_suffix(".kept")
    shutil.copy(index, kept)
    write_table(index, read_table(kept).drop(columns="label"))
    with pytest.raises(DataError, match=r"index\.parquet lacks the columns label"):
        build(fake_study)
    write_table(index, read_table(kept).assign(parameters="beta 1"))
    with pytest.raises(DataError, match="not the JSON text of a mapping"):
        build(fake_study)
    write_json(fake_study.results / "landscape" / "a.manifest.json", {"started": "today"})
    with pytest.raises(DataError, match=r"a\.manifest\.json is not a manifest"):
        build(fake_study)
