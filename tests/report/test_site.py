"""The front page and the figure pages link real files and add up."""

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


def build(study: Any) -> str:
    target = build_site(
        "demo",
        config="config/demo.yaml",
        reports=study.reports,
        results=study.results,
        figures=study.figures,
    )
    assert target == study.reports / "index.html"
    return target.read_text()


class Links(HTMLParser):
    """Collects every href and src."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in {"href", "src"} and value]


def test_every_link_is_a_file(fake_study: Any) -> None:
    build(fake_study)
    pages = [fake_study.reports / "index.html", *fake_study.reports.glob("figures/*.html")]
    assert len(pages) == 3
    for page in pages:
        parser = Links()
        parser.feed(page.read_text())
        local = [link for link in parser.found if not link.startswith(("#", "data:"))]
        assert len(local) >= 6
        for link in local:
            assert (page.parent / unquote(link)).is_file(), link


def test_captions_are_escaped(fake_study: Any) -> None:
    pages = [build(fake_study), (fake_study.reports / "figures" / "tlp-fig3.html").read_text()]
    for html in pages:
        assert "of &lt;b&gt;three&lt;/b&gt; networks &amp; their" in html
        assert "<b>three" not in html


def test_a_page_names_its_command_config_and_tables(fake_study: Any) -> None:
    html = (fake_study.reports / "figures" / "jr-fig1.a.html").read_text()
    assert "make reports/demo/figures/jr-fig1.a.html" in html
    assert "config/demo.yaml" in html
    assert "<td>30</td>" in html
    assert 'src="jr-fig1.a.svg"' in html


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


def test_diverged_runs_are_marked_and_left_out_of_the_mean(fake_study: Any) -> None:
    html = build(fake_study)
    assert "<strong>diverged</strong>: 3 of 3 seeds" in html
    assert "<strong>diverged</strong>: 1 of 2 seeds" in html
    assert "finished: 3 seeds" in html
    assert "0.02<br><small>0.01 to 0.03</small>" in html
    assert "0.95<br><small>one seed</small>" in html


def test_interactive_profiles_are_linked_where_they_are(fake_study: Any) -> None:
    profiles = fake_study.reports / "profiles"
    profiles.mkdir()
    run = "convection-mlp-0a1b2c3d4e"
    for name in (f"{run}.hessian-3d.html", f"{run}.random-2d.html", "gone-0000000000.a.html"):
        (profiles / name).touch()
    html = build(fake_study)
    for analysis in ("hessian-3d", "random-2d"):
        assert f'<a href="profiles/{run}.{analysis}.html">{analysis}<' in html
    assert html.count('<a href="profiles/') == 2
    # The other two runs.
    assert html.count('<td><span aria-label="none">–</span></td>') == 2
    page = fake_study.reports / "figures" / "tlp-fig3.html"
    assert "Interactive profiles" not in page.read_text()
    write_page(
        page,
        figure="tlp-fig3",
        study="demo",
        config="config/demo.yaml",
        body="",
        command="make it",
        runs=[{"run": run, "label": "beta < 1"}, {"run": "gone", "label": "beta 2"}],
        analysis="hessian-3d",
    )
    html = page.read_text()
    assert f'<a href="../profiles/{run}.hessian-3d.html">beta &lt; 1</a></dd>' in html
    assert "beta 2" not in html


@pytest.mark.parametrize(
    "missing",
    [
        "results/demo/index.parquet",
        "results/demo/train/digits-wide-resnet-1234567890/metrics.parquet",
        "results/demo/train/digits-wide-resnet-1234567890/weights.manifest.json",
        "reports/demo/figures/tlp-fig3.values.json",
        "reports/demo/figures/tlp-fig3.manifest.json",
        "reports/demo/figures/tlp-fig3.svg",
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
