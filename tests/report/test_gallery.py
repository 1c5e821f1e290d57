"""What methods cost and how good their maps are: in values.json, and on the overview."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from topograph.foundation.errors import DataError
from topograph.foundation.storage import read_json, write_json, write_table
from topograph.report.cells import TrainedCell
from topograph.report.finished import FinishedStudy
from topograph.report.gallery import QUALITY, gallery_of, gallery_values, write_values
from topograph.report.methods import SHOWN
from topograph.report.site import build_site

# fmt: off
IDS = [
    "interpolation", "bezier", "nudged_elastic_band", "filter_slice", "hessian_eigenpairs",
    "hessian_trace", "hessian_density", "sharpness", "gradient_norm", "critical_points", "pca",
    "phate", "umap", "tsne", "autoencoder", "cka", "barriers",
]
# fmt: on
# The experiment convection has the first and the second, of three networks each; digits the third.
FIRST, SECOND, THIRD = (
    "convection-mlp-0a1b2c3d4e",
    "convection-mlp-5f6a7b8c9d",
    "digits-wide-resnet-1234567890",
)


def row(method: str, seconds: float, evaluations: float, **quality: Any) -> dict[str, Any]:
    measured = {"seconds": seconds, "evaluations": evaluations, **quality}
    return {"method": method, "seed": -1, "part": "", **measured}


def mapped(method: str, seconds: float, trust: float, stress: float, **more: float) -> dict:
    return row(method, seconds, 0, trustworthiness=trust, stress=stress, **more)


TABLES = {
    ("interpolation", FIRST): [
        row("interpolation", 1.0, 41, barrier=0.5),
        row("interpolation", 2.0, 41, barrier=1.5),
        row("bezier", 6.0, 300, barrier=0.25),
    ],
    ("interpolation", SECOND): [row("interpolation", 3.0, 38, barrier=4.0)],
    ("interpolation", THIRD): [row("interpolation", 10.0, 80, barrier=0.0)],
    ("slices", FIRST): [row("filter_slice", 4.0, 600), row("pca_path", 2.0, 300)],
    ("topography", THIRD): [row("hessian_trace", 5.0, float("nan"), standard_error=0.125)],
    ("weights", FIRST): [
        mapped("pca", 1.0, 0.75, 0.25, reconstruction=0.5, seed_spread=0.0),
        mapped("umap", 4.0, 1.0, 0.5, seed_spread=0.125),
        mapped("tsne", 2.0, 0.99996, 0.75),
    ],
    ("weights", THIRD): [
        mapped("pca", 2.0, 0.25, 0.5, reconstruction=0.25),
        mapped("umap", 4.0, 0.5, 0.125),
    ],
}


CELLS = [
    TrainedCell(experiment, run, label, {}, list(range(seeds)), seeds, 0, {})
    for experiment, run, label, seeds in (
        ("convection", FIRST, "beta 1.0", 3),
        ("convection", SECOND, "beta 30.0", 3),
        ("digits", THIRD, "good", 2),
    )
]


@pytest.fixture
def costs(tmp_path: Path) -> Callable[..., FinishedStudy]:
    """A study that has nothing but its cells and the tables of its methods."""

    def study(tables: Mapping[tuple[str, str], list[dict]], cells: Any = CELLS) -> FinishedStudy:
        folder = tmp_path / "results"
        methods = [write_rows(folder, kind, run, rows) for (kind, run), rows in tables.items()]
        rest: Any = {name: [] for name in ("files", "figures", "profiles", "surfaces", "papers")}
        return FinishedStudy(
            name="demo",
            reports=tmp_path,
            results=folder,
            cells=cells,
            methods=methods,
            claims=None,
            made_by={},
            **rest,
        )

    return study


@pytest.fixture(scope="module")
def gallery(small_study: Any) -> FinishedStudy:
    """The small study with methods, its site built; the notebook maps draws its first figure."""
    methods = []
    for (kind, run), rows in TABLES.items():
        methods.append(write_rows(small_study.results, kind, run, rows))
        add_job(methods[-1].with_name(f"{kind}.nc"))
    surface = small_study.reports / "surfaces" / f"{FIRST}.slices.html"
    add_job(surface)
    maps = {"tlp-fig3": "maps"}
    study = small_study.read(methods=methods, surfaces=[surface], notebooks=maps)
    build_site(study)
    return study


def write_rows(results: Path, kind: str, run: str, rows: list[dict]) -> Path:
    path = results / kind / run / f"{kind}.methods.parquet"
    write_table(path, pd.DataFrame(rows).assign(run=run))
    return path


def add_job(output: Path) -> None:
    """Write an empty output and the manifest of its job."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.touch()
    times = dict.fromkeys(("started", "ended"), "2025-01-01T00:00:00+00:00")
    content = {**times, "inputs": {}, "outputs": {str(output): ""}}
    write_json(output.with_suffix(".manifest.json"), content)


def test_values_has_every_method_in_order(costs: Any) -> None:
    study = costs(TABLES)
    assert [shown.id for shown in SHOWN] == IDS
    assert list(gallery_values(study)) == IDS
    (path,) = write_values(study)
    written = read_json(path)
    assert path.name == "values.json" and written.keys() == set(IDS)
    keys = {"seconds", "evaluations", "experiments", *(quality.key for quality in QUALITY)}
    assert {"trustworthiness", "continuity", "reconstruction", "stress"} < keys
    assert all(written[name].keys() == keys for name in IDS)


def test_totals_are_sums_over_all_runs(costs: Any) -> None:
    values = gallery_values(costs(TABLES))
    totals = {name: (one["seconds"], one["evaluations"]) for name, one in values.items()}
    assert totals["interpolation"] == (16, 200)
    assert totals["bezier"] == (6, 300)
    assert totals["umap"] == (8, 0)
    # The plane of the path is a slice.
    assert totals["filter_slice"] == (6, 900)


def test_an_experiment_has_its_cost_per_network_and_its_means(costs: Any) -> None:
    values = gallery_values(costs(TABLES))
    found = values["interpolation"]["experiments"]
    assert list(found) == ["convection", "digits"]
    # Six networks in two runs, and two in one.
    assert [one["networks"] for one in found.values()] == [6, 2]
    assert [one["seconds_per_network"] for one in found.values()] == [1.0, 5.0]
    assert [one["evaluations_per_network"] for one in found.values()] == [20.0, 40.0]
    assert [one["barrier"] for one in found.values()] == [2.0, 0.0]
    # A run without the method counts no networks for it.
    assert values["bezier"]["experiments"]["convection"]["networks"] == 3


def test_a_method_that_looks_at_fewer_networks_is_divided_by_these(costs: Any) -> None:
    pairs = [row("bezier", 1.0, 10) | {"part": part} for part in ("0-1", "0-2", "1-2")]
    single = [row("sharpness", 6.0, 10) | {"seed": 4, "part": ""}]
    stages = [row("hessian_trace", 1.0, 96) | {"seed": 4, "part": f"epoch {n}"} for n in (0, 1)]
    tables = {("interpolation", FIRST): pairs[:1], ("topography", FIRST): single + stages}
    for found, (networks, seconds) in (
        (gallery_values(costs(tables))["bezier"], (2, 0.5)),
        (gallery_values(costs(tables))["sharpness"], (1, 6.0)),
        (gallery_values(costs(tables))["hessian_trace"], (1, 2.0)),
        (gallery_values(costs({("interpolation", FIRST): pairs}))["bezier"], (3, 1.0)),
    ):
        (one,) = found["experiments"].values()
        assert (one["networks"], one["seconds_per_network"]) == (networks, seconds)


def test_quality_is_the_mean_over_experiments(costs: Any) -> None:
    values = gallery_values(costs(TABLES))
    assert values["pca"]["trustworthiness"] == 0.5 and values["pca"]["stress"] == 0.375
    assert values["pca"]["reconstruction"] == 0.375
    assert values["umap"]["experiments"]["digits"]["stress"] == 0.125


def test_a_run_of_two_experiments_counts_once_in_all(costs: Any) -> None:
    again = dataclasses.replace(CELLS[0], experiment="again")
    values = gallery_values(costs(TABLES, [*CELLS, again]))["bezier"]
    assert values["seconds"] == 6
    assert [one["seconds_per_network"] for one in values["experiments"].values()] == [2.0, 2.0]


def test_a_barrier_is_that_between_seeds_not_that_on_the_way_of_a_training(costs: Any) -> None:
    ways = [
        row("interpolation", 1.0, 20, barrier=8.0, part="initial"),
        row("interpolation", 1.0, 20, barrier=0.5, part="0-1"),
    ]
    values = gallery_values(costs(TABLES | {("interpolation", THIRD): ways}))["interpolation"]
    assert values["experiments"]["digits"]["barrier"] == 0.5
    assert values["experiments"]["digits"]["evaluations_per_network"] == 20


def test_what_is_missing_or_infinite_is_null_and_never_0(costs: Any) -> None:
    walled = [row("interpolation", 1.0, 80, barrier=float("inf"))]
    (path,) = write_values(costs(TABLES | {("interpolation", THIRD): walled}))
    values = read_json(path)
    nothing = dict.fromkeys(values["gradient_norm"]) | {"experiments": {}}
    assert values["gradient_norm"] == nothing
    trace = values["hessian_trace"]
    assert trace["seconds"] == 5 and trace["evaluations"] is None
    assert trace["experiments"]["digits"]["evaluations_per_network"] is None
    assert values["umap"]["reconstruction"] is None and values["pca"]["continuity"] is None
    assert values["interpolation"]["experiments"]["digits"]["barrier"] is None
    # Maps evaluate no loss: that was counted.
    assert values["umap"]["evaluations"] == 0


def test_equal_tables_give_equal_bytes(costs: Any) -> None:
    (path,) = write_values(costs(TABLES))
    first = path.read_bytes()
    write_values(costs(TABLES))
    assert path.read_bytes() == first


def test_a_table_of_other_columns_is_named(costs: Any) -> None:
    with pytest.raises(DataError, match=r"lacks the columns seed, part, seconds, evaluations"):
        gallery_values(costs({("weights", FIRST): [{"method": "bezier"}]}))


def marked(study: FinishedStudy, experiment: str, key: str) -> list[str]:
    """Return the maps of an experiment whose value of a quality is marked as best."""
    told = gallery_of(study)
    assert told is not None
    (group,) = (group for group in told["maps"] if group["experiment"] == experiment)
    column = [quality.key for quality in QUALITY].index(key)
    return [shown.id for shown, numbers in group["rows"] if numbers[column][1]]


def test_the_best_map_is_marked_by_the_sense_of_each_quality(costs: Any) -> None:
    study = costs(TABLES)
    assert marked(study, "convection", "stress") == ["pca"]
    assert marked(study, "digits", "stress") == ["umap"]
    assert marked(study, "digits", "trustworthiness") == ["umap"]
    # What reads the same is marked the same.
    assert marked(study, "convection", "trustworthiness") == ["umap", "tsne"]
    # A number that only one map has compares nothing.
    assert marked(study, "convection", "reconstruction") == []
    lower = [quality.key for quality in QUALITY if not quality.higher_is_better]
    assert lower == ["stress", "reconstruction", "reconstruction_held_out", "seed_spread"]


class Sections(HTMLParser):
    """Collects the text, the pictures and the links of each method's section."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.of: dict[str, dict[str, list[str]]] = {}
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "article":
            self._open = given["aria-labelledby"] or ""
            self.of[self._open] = {"img": [], "a": [], "text": []}
        elif self._open and tag in {"img", "a"}:
            self.of[self._open][tag].append(given.get("src") or given.get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        self._open = "" if tag == "article" else self._open

    def handle_data(self, data: str) -> None:
        if self._open:
            self.of[self._open]["text"].append(" ".join(data.split()))


def test_the_overview_begins_with_the_questions_and_has_a_section_for_each_method(
    gallery: FinishedStudy,
) -> None:
    html = (gallery.reports / "index.html").read_text()
    heads = re.findall(r'<h2 id="([^"]+)"', html)
    assert heads == ["questions", "maps", "methods", "figures", "papers", "runs"]
    sections = Sections(html).of
    assert [name for name in sections if name.startswith("method-")] == [
        f"method-{name}" for name in IDS
    ]
    table = html.split('<h2 id="maps">')[0]
    for shown in SHOWN:
        assert f'<a href="#method-{shown.id}">{shown.title}</a>' in table
        told = sections[f"method-{shown.id}"]["text"]
        for words in (shown.question, shown.shows, shown.trust, shown.source):
            assert words in told
    asked = [table.index(f"#method-{shown.id}") for shown in SHOWN]
    assert all(before < after for before, after in pairwise(asked))


def test_costs_are_told_per_network_and_in_all(gallery: FinishedStudy) -> None:
    html = (gallery.reports / "index.html").read_text()
    first = html.split('<a href="#method-interpolation">', 1)[1].split("</tr>")[0]
    assert re.findall(r'class="number">(.*?)</td>', first) == ["1 to 5", "20 to 40"]
    told = " ".join(Sections(html).of["method-interpolation"]["text"])
    assert "In all 16 s and 200 evaluations" in told and "Mean barrier" in told
    none = " ".join(Sections(html).of["method-gradient_norm"]["text"])
    assert "Not measured on its own in this study" in none


def test_figures_stand_with_their_methods_and_not_again_as_cards(gallery: FinishedStudy) -> None:
    html = (gallery.reports / "index.html").read_text()
    sections = Sections(html).of
    for name in ("pca", "phate", "umap", "tsne", "autoencoder"):
        section = sections[f"method-{name}"]
        assert section["img"] == ["figures/tlp-fig3.svg"]
        assert "figures/tlp-fig3.html" in section["a"]
    assert sections["method-cka"]["img"] == []
    # The other figure is of no method.
    assert [name for name in sections if name.startswith("figure-")] == ["figure-jr-fig1.a"]


def test_slices_link_their_surfaces_and_so_do_runs(gallery: FinishedStudy) -> None:
    sections = Sections((gallery.reports / "index.html").read_text()).of
    href = f"surfaces/{FIRST}.slices.html"
    assert href in sections["method-filter_slice"]["a"]
    assert href not in sections["method-pca"]["a"]
    assert f'href="{href}">slices<' in (gallery.reports / "runs.html").read_text()


def test_the_jobs_of_methods_and_surfaces_have_their_provenance(gallery: FinishedStudy) -> None:
    jobs = read_json(gallery.reports / "manifests.json")
    assert {f"weights/{FIRST}/weights", f"surfaces/{FIRST}.slices"} <= jobs.keys()


def test_a_study_without_methods_has_no_values_and_no_gallery(costs: Any) -> None:
    assert gallery_of(costs({})) is None
    assert write_values(costs({})) == []
