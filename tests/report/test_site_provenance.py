"""The page of provenance: every job once, every history down to the data."""

from __future__ import annotations

import json
from typing import Any

from topograph.foundation.storage import read_json, write_json
from topograph.report.provenance_page import write_provenance

RUN = "convection-mlp-0a1b2c3d4e"


def build(study: Any) -> str:
    page, _ = write_provenance(study.read())
    return page.read_text()


def history_of(html: str, figure: str) -> str:
    return html.partition(f'id="figure-{figure}"')[2].partition("</details>")[0]


def job_of(html: str, name: str) -> str:
    return html.partition(f'class="job" id="{name}"')[2].partition("</details>")[0]


def test_a_history_goes_down_to_the_data_and_skips_what_is_implied(fake_study: Any) -> None:
    html = history_of(build(fake_study), "jr-fig1.a")
    names = (f"topology/{RUN}/hessian-3d.profile", f"landscape/{RUN}/hessian-3d")
    places = [html.index(f'href="#{name}"') for name in (*names, f"train/{RUN}/weights")]
    assert places == sorted(places)
    # The topology reads the weights as well, but through the landscape it stands on them anyway.
    assert html.count(f'href="#train/{RUN}/weights"') == 1
    assert html.count("<ul") == html.count("</ul>") == 3
    assert "da7a" * 16 in html


def test_a_job_that_two_others_read_is_followed_once(fake_study: Any) -> None:
    second = fake_study.results / "topology" / RUN / "second.manifest.json"
    path = fake_study.results / "topology" / RUN / "second.parquet"
    path.touch()
    first = read_json(second.with_name("hessian-3d.profile.manifest.json"))
    write_json(second, first | {"outputs": {str(path): ""}})
    figure = fake_study.reports / "figures" / "jr-fig1.a.manifest.json"
    content = read_json(figure)
    write_json(figure, content | {"inputs": content["inputs"] | {str(path): ""}})
    html = history_of(build(fake_study), "jr-fig1.a")
    assert html.count(f'href="#landscape/{RUN}/hessian-3d"') == 2
    assert html.count("followed above") == 1
    assert html.count(f'href="#train/{RUN}/weights"') == 1


def test_a_job_is_described_once_with_all_that_its_manifest_says(fake_study: Any) -> None:
    html = build(fake_study)
    assert html.count(f'id="train/{RUN}/weights"') == 1
    train = job_of(html, f"train/{RUN}/weights")
    told = ("make results/demo/train", "0123abc", "on cpu", "c0de12345678", "20 s", "da7a" * 16)
    for text in told:
        assert text in train
    landscape = job_of(html, f"landscape/{RUN}/hessian-3d")
    assert f'href="#train/{RUN}/weights"><code>results/demo/train/{RUN}/weights' in landscape
    # Nothing but an old manifest: what it does not say is not made up.
    assert landscape.count("unknown") == 4
    assert "versions" not in landscape and "numpy 2.0" in html


def test_every_input_stands_with_its_sum(fake_study: Any) -> None:
    html = build(fake_study)
    inputs = read_json(fake_study.reports / "figures" / "tlp-fig3.manifest.json")["inputs"]
    figure = job_of(html, "figures/tlp-fig3")
    assert len(inputs) == 3
    for path, digest in inputs.items():
        assert path.partition("demo/")[2] in figure and digest in figure


def test_an_input_that_was_made_anew_since_is_marked(fake_study: Any) -> None:
    assert "made anew since" not in build(fake_study)
    manifest = fake_study.results / "train" / RUN / "weights.manifest.json"
    content = read_json(manifest)
    write_json(manifest, content | {"outputs": {name: "other" for name in content["outputs"]}})
    html = build(fake_study)
    assert "made anew since" in job_of(html, f"landscape/{RUN}/hessian-3d")
    assert html.count("made anew since") == 2


def test_the_study_file_and_each_environment_are_shown(fake_study: Any) -> None:
    html = build(fake_study)
    assert "study: demo  # &lt;b&gt;" in html
    assert "Environment of 3 jobs" in html and "10c4" * 16 in html
    assert "Environment of 13 jobs" in html


def test_all_manifests_lie_in_one_file(fake_study: Any) -> None:
    _, path = write_provenance(fake_study.read())
    manifests = json.loads(path.read_text())
    assert len(manifests) == 16
    name = f"train/{RUN}/weights"
    assert manifests[name] == read_json(fake_study.results / f"{name}.manifest.json")


def test_hundreds_of_jobs_stay_small(fake_study: Any) -> None:
    before = len(build(fake_study))
    figure = fake_study.reports / "figures" / "tlp-fig3.manifest.json"
    content = read_json(figure)
    folder = fake_study.results / "train" / RUN
    for number in range(300):
        output = str(folder / f"more-{number}.nc")
        write_json(
            folder / f"more-{number}.manifest.json",
            read_json(folder / "weights.manifest.json") | {"outputs": {output: "a" * 64}},
        )
        content["inputs"][output] = "a" * 64
    write_json(figure, content)
    assert len(build(fake_study)) - before < 300 * 2500
