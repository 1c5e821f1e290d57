"""Every mistake in a study file is one line: file, key path, what was received, what would do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
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
      jump-retrain: {kind: jump-retrain, weights_seed: 3, seeds: [0], steps: [0.5], epochs: 15}
figures:
  tlp-fig3: {title: A title, experiment: waves, analysis: hessian-3d}
"""  # noqa: E501


def message_of(folder: Path, *replacements: tuple[str, str]) -> str:
    """Return the error for the study above after replacing its words, without the file's name."""
    text = STUDY
    for old, new in replacements:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the study"
        text = text.replace(old, new)
    path = folder / "mine.yaml"
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


# What stands in the study, what the mistake puts there, and what the message must be: from its
# start, with ... where words are left out.
MISTAKES = {
    "key at the top": (
        "figures:",
        "figure:",
        "unknown key 'figure' (did you mean 'figures'?); allowed: study, experiments, figures",
    ),
    "key of an experiment": (
        "optimiser: {name: lbfgs, learning_rate: 0.5}",
        "optimizer: {name: lbfgs}",
        "experiments.waves: unknown key 'optimizer' (did you mean 'optimiser'?); allowed: seeds",
    ),
    "key of another family": (
        "optimiser: {name: lbfgs, learning_rate: 0.5}",
        "optimiser: {name: lbfgs}\n    schedule: {epochs: 3, batch: 8}",
        "experiments.waves: unknown key 'schedule'; allowed: seeds",
    ),
    "key of an optimiser": (
        "learning_rate: 0.1}",
        "learning_rat: 0.1}",
        "experiments.digits.optimiser: unknown key 'learning_rat' (did you mean 'learning_rate'?)",
    ),
    "key of another optimiser": (
        "{name: sgd, learning_rate: 0.1}",
        "{name: adam, learning_rate: 0.1, momentum: 0.9}",
        "experiments.digits.optimiser: unknown key 'momentum'; allowed: name, learning_rate",
    ),
    "key of an analysis": (
        "points: 9",
        "point: 9",
        "experiments.waves.analyses.hessian-3d: unknown key 'point' (did you mean 'points'?); all",
    ),
    "key of a figure": (
        "{title: A title",
        "{titel: A title",
        "figures.tlp-fig3: unknown key 'titel' (did you mean 'title'?); allowed: title, notebook",
    ),
    "number without a point": (
        "learning_rate: 0.1}",
        "learning_rate: 1e-3}",
        "experiments.digits.optimiser.learning_rate: ... received '1e-3' (YAML 1.1 reads 1e-3 as "
        "text: write 1.0e-3)",
    ),
    "number without a sign": (
        "learning_rate: 0.1}",
        "learning_rate: 2.5e3}",
        "experiments.digits.optimiser.learning_rate: ... received '2.5e3' (... write 2.5e+3)",
    ),
    "number as text in an argument": (
        "{beta: 1.0}",
        "{beta: 1e1}",
        "experiments.waves.problem.kwargs.beta: ... received '1e1' (... write 1.0e+1)",
    ),
    "number as text in a grid": (
        "[1.0, 6.0]",
        "[1.0, 6e0]",
        "experiments.waves, cell 'beta 6e0': problem.kwargs.beta: ... received '6e0' (... 6.0e+0)",
    ),
    "a word that YAML takes for a boolean": (
        "name: sgd, learning_rate: 0.1",
        "name: sgd, learning_rate: on",
        "experiments.digits.optimiser.learning_rate: ... received True (YAML 1.1 reads on, off,",
    ),
    "a boolean for a choice": (
        "batch: 128}",
        "batch: 128, keep: off}",
        "experiments.digits.schedule.keep: Input should be 'all' or 'last', received False (YAML",
    ),
    "infinity": (
        "learning_rate: 0.1}",
        "learning_rate: .inf}",
        "experiments.digits.optimiser.learning_rate: Input should be a finite number, received inf",
    ),
    "infinity in an argument": (
        "{beta: 1.0}",
        "{beta: .inf}",
        "experiments.waves.problem.kwargs.beta: ... a finite number, ... received inf",
    ),
    "a date in an argument": (
        "{beta: 1.0}",
        "{beta: 2020-01-01}",
        "experiments.waves.problem.kwargs.beta: Input should be text, a finite number, ... receiv",
    ),
    "family": (
        "family: supervised",
        "family: supervized",
        "experiments.digits: unknown 'family' 'supervized' (did you mean 'supervised'?); allowed: "
        "'pinn', 'supervised'",
    ),
    "no family": (
        "family: pinn",
        "",
        "experiments.waves: the key 'family' is required",
    ),
    "kind of analysis": (
        "kind: jump-retrain",
        "kind: jump-retrian",
        "experiments.digits.analyses.jump-retrain: unknown 'kind' 'jump-retrian' (did you mean "
        "'jump-retrain'?); allowed: 'landscape', 'jump-retrain'",
    ),
    "optimiser": (
        "name: sgd",
        "name: sdg",
        "experiments.digits.optimiser: unknown 'name' 'sdg' (did you mean 'sgd'?); allowed: 'sgd',",
    ),
    "choice": (
        "directions: hessian",
        "directions: hesian",
        "experiments.waves.analyses.hessian-3d.directions: Input should be 'hessian' or 'random', "
        "received 'hesian' (did you mean 'hessian'?)",
    ),
    "model": (
        "target: wide-resnet",
        "target: wide-resnets",
        "experiments.digits.model.target: unknown model 'wide-resnets' (did you mean "
        "'wide-resnet'?); allowed: mlp, unet, wide-resnet, or a dotted path like",
    ),
    "data set": (
        "target: digits",
        "target: digit",
        "experiments.digits.data.target: unknown data 'digit' (did you mean 'digits'?); allowed: ",
    ),
    "problem": (
        "target: convection",
        "target: convektion",
        "experiments.waves.problem.target: unknown problem 'convektion' (did you mean 'convection'",
    ),
    "package": (
        "target: wide-resnet",
        "target: 'no_package.models:Net'",
        "experiments.digits.model.target: ... no package 'no_package' is installed; install it",
    ),
    "module": (
        "target: wide-resnet",
        "target: 'topograph.models.resnet:Net'",
        "experiments.digits.model.target: ... 'topograph' has no module 'topograph.models.resnet'",
    ),
    "name in a module": (
        "target: wide-resnet",
        "target: 'topograph.models.wide_resnet:WideResnet'",
        "experiments.digits.model.target: ... defines no 'WideResnet' (did you mean 'WideResNet'?)",
    ),
    "argument": (
        "width: 1,",
        "widht: 1,",
        "experiments.digits.model.kwargs.widht: model 'wide-resnet' takes no argument 'widht' (did "
        "you mean 'width'?); allowed: ",
    ),
    "argument left out": (
        "{beta: 1.0}",
        "{}",
        "experiments.waves.problem.kwargs: problem 'convection' needs beta",
    ),
    "key left out": (
        "points: 9, ",
        "",
        "experiments.waves.analyses.hessian-3d.points: this key is required",
    ),
    "axis of a grid": (
        "problem.kwargs.beta:",
        "problem.kwargs.betta:",
        "experiments.waves.grid: no axis 'problem.kwargs.betta' (did you mean "
        "'problem.kwargs.beta'?); allowed: ",
    ),
    "the family as an axis": (
        "problem.kwargs.beta: [1.0, 6.0]",
        "family: [pinn]",
        "experiments.waves.grid: no axis 'family'; allowed: model.kwargs.depth",
    ),
    "axis of a variant": (
        "optimiser.weight_decay: 0.001",
        "optimiser.weight_decy: 0.001",
        "experiments.digits.variants.good: no axis 'optimiser.weight_decy' (did you mean "
        "'optimiser.weight_decay'?); allowed: ",
    ),
    "axis of a grid and of a variant": (
        "    variants:\n",
        "    grid: {optimiser.weight_decay: [0.1, 0.2]}\n    variants:\n",
        "experiments.digits.variants.good: the grid also sets 'optimiser.weight_decay'; leave out",
    ),
    "value of a grid": (
        "    variants:\n",
        "    grid: {optimiser.learning_rate: [0.1, -0.2]}\n    variants:\n",
        "experiments.digits, cell 'good, learning rate -0.2': optimiser.learning_rate: Input should"
        " be greater than 0, received -0.2",
    ),
    "value of a variant": (
        "data.kwargs.augment: true",
        "schedule.batch: 0",
        "experiments.digits, cell 'good': schedule.batch: ... received 0",
    ),
    "empty grid": (
        "[1.0, 6.0]",
        "[]",
        "experiments.waves.grid.problem.kwargs.beta: at least one entry is needed, received []",
    ),
    "grid without a list": (
        "[1.0, 6.0]",
        "6.0",
        "experiments.waves.grid.problem.kwargs.beta: a list is needed, received 6.0",
    ),
    "no seeds": (
        "seeds: [3, 4]",
        "seeds: []",
        "experiments.digits.seeds: at least one entry is needed, received []",
    ),
    "negative seed": (
        "seeds: [3, 4]",
        "seeds: [3, -4]",
        "experiments.digits.seeds.1: ... received -4",
    ),
    "negative rate": (
        "learning_rate: 0.5",
        "learning_rate: -0.5",
        "experiments.waves.optimiser.learning_rate: Input should be greater than 0, received -0.5",
    ),
    "fraction of a point": (
        "points: 9",
        "points: 9.5",
        "experiments.waves.analyses.hessian-3d.points: Input should be a valid integer, received 9",
    ),
    "text for a mapping": (
        "model: {target: mlp, kwargs: {inputs: 2, outputs: 1, width: 8, depth: 2}}",
        "model: mlp",
        "experiments.waves.model: a mapping of keys is needed, received 'mlp'",
    ),
    "nothing for a mapping": (
        "{epochs: 12, batch: 128}",
        "",
        "experiments.digits.schedule: a mapping of keys is needed, received None",
    ),
    "experiment of a figure": (
        "experiment: waves",
        "experiment: wave",
        "figures.tlp-fig3.experiment: 'wave' is not defined (did you mean 'waves'?); allowed: "
        "waves, digits",
    ),
    "analysis of a figure": (
        "analysis: hessian-3d",
        "analysis: hessian-2d",
        "figures.tlp-fig3.analysis: 'hessian-2d' is not defined (did you mean 'hessian-3d'?); all",
    ),
    "seed of a jump": (
        "weights_seed: 3",
        "weights_seed: 0",
        "experiments.digits.analyses.jump-retrain: weights_seed 0 is not among seeds [3, 4]",
    ),
    "jump of a pinn": (
        "{kind: landscape, directions: hessian, dimensions: 3, points: 9, distance: 2.0}",
        "{kind: jump-retrain, seeds: [0], steps: [1.0], epochs: 1}",
        "experiments.waves.analyses.hessian-3d: jump-retrain needs a supervised family",
    ),
    "epoch after the last": (
        "epochs: [0, last]",
        "epochs: [0, 13]",
        "experiments.digits.analyses.random-2d: epochs [13] lie after the last epoch, 12",
    ),
    "epoch that is not kept": (
        "batch: 128}",
        "batch: 128, keep: last}",
        "experiments.digits.analyses.random-2d: epochs before the last are not kept: set schedule",
    ),
    "epochs of a pinn": (
        "distance: 2.0}",
        "distance: 2.0, epochs: [0]}",
        "experiments.waves.analyses.hessian-3d: a pinn is trained in one step on fixed points",
    ),
    "path as a name": (
        "study: good-name",
        "study: ../other",
        "study: ... '^[a-z][a-z0-9-]{0,63}$', received '../other'",
    ),
    "upper case in a name": (
        "study: good-name",
        "study: Good",
        "study: ... '^[a-z][a-z0-9-]{0,63}$', received 'Good'",
    ),
    "name of an experiment": (
        "  digits:\n",
        "  my digits:\n",
        "experiments.my digits: ... '^[a-z][a-z0-9-]{0,63}$', received 'my digits'",
    ),
    "name that YAML takes for a boolean": (
        "  digits:\n",
        "  no:\n",
        "experiments.False: ... received False (YAML 1.1 reads on, off, yes and no as true",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_its_remedy(tmp_path, mistake):
    old, new, expected = MISTAKES[mistake]
    message = message_of(tmp_path, (old, new))
    pattern = ".+".join(re.escape(part) for part in expected.split("..."))
    assert re.match(pattern, message), message
    assert "\n" not in message


def test_the_study_without_mistakes_is_accepted(tmp_path):
    path = tmp_path / "mine.yaml"
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
    path = tmp_path / "mine.yaml"
    text = STUDY.replace("waves", "pinn").replace("points: 9", "points: 0")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r": experiments\.pinn\.analyses\.hessian-3d\.points: I"):
        load_study(path)


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
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))} is not valid YAML: "):
        load_study(path)


def test_the_line_of_broken_yaml_is_shown(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(STUDY.replace("seeds: [0, 1]", "seeds: [0, 1"))
    with pytest.raises(ConfigError, match=r"line \d+, column \d+"):
        load_study(path)


@pytest.mark.parametrize("content", ["", "[]", "text", "3"])
def test_yaml_that_is_not_a_mapping_is_named(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match="mine.yaml: a mapping of keys is needed, received "):
        load_study(path)
