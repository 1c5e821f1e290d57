"""Every mistake in a study file is one line: file, key path, what was received, what would do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from topograph.config.load import load_study
from topograph.config.runs import members
from topograph.foundation.errors import ConfigError

STUDY = """
study: good-name
experiments:
  waves:
    family: pinn
    problem: {target: convection, kwargs: {beta: 1.0}}
    model: {target: mlp, kwargs: {inputs: 2, outputs: 1, width: 8, depth: 2}}
    optimiser: {name: lbfgs, learning_rate: 0.5}
    seeds: [0, 1]
    grid:
      problem.kwargs.beta: [1.0, 6.0]
    analyses:
      hessian-3d: {kind: landscape, directions: hessian, dimensions: 3, points: 9, distance: 2.0}
  digits:
    family: supervised
    data: {target: digits}
    model: {target: wide-resnet, kwargs: {depth: 10, width: 1, in_channels: 1}}
    optimiser: {name: sgd, learning_rate: 0.1}
    schedule: {epochs: 12, batch: 128}
    seeds: [3, 4]
    variants:
      good: {optimiser.weight_decay: 0.001, data.kwargs.augment: true}
    analyses:
      random-2d: {kind: landscape, directions: random, dimensions: 2, points: 5, distance: 1.0, epochs: [0, last]}
      jump-retrain: {kind: jump-retrain, weights_seeds: [3], seeds: [0], steps: [0.5], epochs: 15}
figures:
  tlp-fig3: {title: A title, experiment: waves, analysis: hessian-3d}
"""  # noqa: E501


def message_of(folder: Path, *replacements: tuple[str, str]) -> str:
    """Return the error for the study above after replacing its words, without the file's name."""
    text = STUDY
    for old, new in replacements:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the study"
        text = text.replace(old, new)
    path = folder / "good-name.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        members(load_study(path), str(path))
    lines = str(raised.value).splitlines()
    for line in lines:
        # Neither pydantic's addresses nor the names of its unions, classes and rules.
        assert not re.search(r"https?://|\.pinn|\.supervised|\.landscape\.|instance of|type=", line)
        assert "\\n" not in line
    assert all(line.startswith(f"{path}: ") for line in lines)
    return "\n".join(line.removeprefix(f"{path}: ") for line in lines)


MISTAKES = yaml.safe_load(Path(__file__).with_name("mistakes.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_its_remedy(tmp_path, mistake):
    case = MISTAKES[mistake]
    message = message_of(tmp_path, (case["right"], case["wrong"]))
    pattern = ".+".join(re.escape(part) for part in case["message"].split("..."))
    assert re.match(pattern, message), message
    assert "\n" not in message


def test_the_study_without_mistakes_is_accepted(tmp_path):
    path = tmp_path / "good-name.yaml"
    path.write_text(STUDY, encoding="utf-8")
    assert len(members(load_study(path), str(path))) == 3


def test_an_epoch_after_the_last_of_a_single_cell_is_found(tmp_path):
    message = message_of(
        tmp_path,
        ("epochs: [0, last]", "epochs: [0, 5]"),
        ("    variants:\n", "    grid: {schedule.epochs: [12, 2]}\n    variants:\n"),
    )
    assert message == (
        "experiments.digits.analyses.random-2d, cell 'good, epochs 2': "
        "epochs [5] lie after the last epoch, 2"
    )


def test_several_mistakes_are_several_lines(tmp_path):
    message = message_of(
        tmp_path,
        ("study: good-name", "study: Bad"),
        ("seeds: [3, 4]", "seeds: []"),
        ("learning_rate: 0.5", "learning_rate: -1.0"),
        ("points: 9", "points: nine"),
        ("{title: A title, ", "{"),
    )
    keys = [line.split(": ")[0] for line in message.splitlines()]
    assert sorted(keys) == [
        "experiments.digits.seeds",
        "experiments.waves.analyses.hessian-3d.points",
        "experiments.waves.optimiser.learning_rate",
        "figures.tlp-fig3.title",
        "study",
    ]


def test_names_of_families_stay_in_paths_when_the_user_wrote_them(tmp_path):
    path = tmp_path / "good-name.yaml"
    text = STUDY.replace("waves", "pinn").replace("points: 9", "points: 0")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r": experiments\.pinn\.analyses\.hessian-3d\.points: I"):
        load_study(path)


@settings(deadline=None)
@given(
    mantissa=st.from_regex(r"[+-]?[0-9]{1,3}(\.[0-9]{0,3})?", fullmatch=True),
    exponent=st.from_regex(r"[eE][+-]?[0-9]{1,2}", fullmatch=True),
)
def test_the_number_that_is_proposed_is_the_one_meant(tmp_path_factory, mantissa, exponent):
    path = tmp_path_factory.getbasetemp() / "number.yaml"
    written = mantissa + exponent
    if not isinstance(yaml.safe_load(written), str):
        return
    path.write_text(STUDY.replace("learning_rate: 0.5", f"learning_rate: {written}"))
    with pytest.raises(ConfigError) as raised:
        load_study(path)
    proposed = re.search(r"write (\S+)\)", str(raised.value))
    assert proposed is not None
    assert yaml.safe_load(proposed.group(1)) == float(written)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError) as raised:
        load_study(tmp_path / "none.yaml")
    assert str(raised.value) == f"{tmp_path / 'none.yaml'} does not exist; studies lie in config/"


def test_a_folder_is_not_a_study(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_study(tmp_path)


@pytest.mark.parametrize(
    "content", [b"study: [a\nb: c", b"a: b: c", b"\tstudy: a", b"\xff\xfe\x00"]
)
def test_what_is_not_yaml_is_named(tmp_path, content):
    path = tmp_path / "good-name.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))} is not valid YAML: "):
        load_study(path)


def test_the_line_of_broken_yaml_is_shown(tmp_path):
    path = tmp_path / "good-name.yaml"
    path.write_text(STUDY.replace("seeds: [0, 1]", "seeds: [0, 1"))
    with pytest.raises(ConfigError, match=r"line \d+, column \d+"):
        load_study(path)


@pytest.mark.parametrize("content", ["", "[]", "text", "3"])
def test_yaml_that_is_not_a_mapping_is_named(tmp_path, content):
    path = tmp_path / "good-name.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match="good-name.yaml: a mapping of keys is needed, received "):
        load_study(path)
