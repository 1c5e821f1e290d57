"""The studies of config/: valid, of the published size, and described by the schema beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from topograph.config.load import load_study
from topograph.config.runs import analyses, cells, members
from topograph.config.schema import schema_text

CONFIG = Path(__file__).parents[2] / "config"
NOTEBOOKS = CONFIG.parent / "workflow" / "notebooks"
STUDIES = sorted(CONFIG.glob("*.yaml"))
EACH_STUDY = pytest.mark.parametrize("path", STUDIES, ids=[path.stem for path in STUDIES])


@pytest.mark.parametrize(
    ("name", "asked", "trained"), [("smoke", 6, 5), ("study", 10, 10), ("paper", 237, 212)]
)
def test_a_study_has_its_number_of_members_and_of_networks(name, asked, trained):
    path = CONFIG / f"{name}.yaml"
    found = members(load_study(path), str(path))
    assert len(found) == asked
    # The runs shown in figures of the paper are among those of its grids.
    assert len(cells(found)) == trained


def test_runs_keep_their_ids_so_that_finished_results_stay_theirs():
    path = CONFIG / "smoke.yaml"
    assert [member.cell.run for member in members(load_study(path), str(path))] == [
        "convection-mlp-b144a9219c",
        "convection-mlp-f7606c07db",
        "convection-mlp-b144a9219c",
        "brain-unet-670a184493",
        "digits-wide-resnet-ea7a36d452",
        "digits-wide-resnet-88fda8eb59",
    ]


def test_the_paper_has_the_published_grids():
    study = load_study(CONFIG / "paper.yaml")
    found = members(study, "paper")
    by_experiment = {name: [m for m in found if m.experiment == name] for name in study.experiments}
    counts = {name: len(listed) for name, listed in by_experiment.items()}
    assert counts["convection"] == 14 * 5
    assert counts["cifar10"] == 108
    grid = {m.cell.run for m in by_experiment["cifar10"]}
    assert {m.cell.run for m in by_experiment["cifar10-figure"]} <= grid


@EACH_STUDY
def test_a_study_is_named_after_its_file(path):
    assert load_study(path).study == path.stem


@EACH_STUDY
def test_analyses_of_one_name_agree_where_experiments_share_a_run(path):
    study = load_study(path)
    found = members(study, str(path))
    assert set(analyses(study, found, str(path))) == {
        (m.cell.run, name) for m in found for name in study.experiments[m.experiment].analyses
    }


@EACH_STUDY
def test_every_figure_has_its_notebook(path):
    for name, figure in load_study(path).figures.items():
        assert (NOTEBOOKS / f"{figure.notebook or name}.py").is_file()


@EACH_STUDY
def test_editors_find_the_schema(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=schema.json"


def test_the_schema_file_is_that_of_the_models():
    committed = (CONFIG / "schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "config/schema.json is old: run make schema"


def test_the_schema_refuses_unknown_keys_everywhere_but_in_arguments():
    schema = json.loads(schema_text())
    parts = {"Study": schema, **schema["$defs"]}
    for part in parts.values():
        assert part["additionalProperties"] is False
        assert part["description"]
    free = parts["Target"]["properties"]["kwargs"]["additionalProperties"]
    assert free in (True, {})


@EACH_STUDY
def test_no_key_is_written_twice(path):
    """YAML takes the last of two equal keys without a word."""

    def check(node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), keys
        for child in node.value if isinstance(node.value, list) else []:
            for part in child if isinstance(child, tuple) else (child,):
                check(part)

    check(yaml.compose(path.read_text(encoding="utf-8")))
