"""From a study to its cells: what enters a run's id, what does not, and what experiments share."""

from __future__ import annotations

import copy
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topograph.config.load import parse_study
from topograph.config.runs import Cell, Member, analyses, cells, members
from topograph.foundation.errors import ConfigError

PINN = {
    "family": "pinn",
    "problem": {"target": "convection", "kwargs": {"beta": 1.0}},
    "model": {"target": "mlp", "kwargs": {"inputs": 2, "outputs": 1, "width": 8, "depth": 2}},
    "optimiser": {"name": "lbfgs", "learning_rate": 1.0},
    "seeds": [0, 1],
}
SUPERVISED = {
    "family": "supervised",
    "data": {"target": "digits", "kwargs": {"augment": False}},
    "model": {"target": "wide-resnet", "kwargs": {"depth": 10, "width": 1}},
    "optimiser": {"name": "sgd", "learning_rate": 0.1},
    "schedule": {"epochs": 3, "batch": 8},
    "seeds": [0],
}
LANDSCAPE = {
    "kind": "landscape",
    "directions": "random",
    "dimensions": 2,
    "points": 5,
    "distance": 1.0,
}
positive = st.floats(0.001, 1000)


def expand(**experiments: dict) -> list[Member]:
    # A deep copy, so that no test can change another's study.
    content = copy.deepcopy({"study": "s", "experiments": experiments})
    return members(parse_study(content, "s.yaml"), "s.yaml")


def run_of(experiment: dict) -> str:
    (member,) = expand(e=experiment)
    return member.cell.run


def changed(experiment: dict, path: str, value: object) -> dict:
    result = copy.deepcopy(experiment)
    *parents, last = path.split(".")
    inner = result
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[last] = value
    return result


@pytest.mark.parametrize("experiment", [PINN, SUPERVISED], ids=["pinn", "supervised"])
def test_a_run_id_is_readable_and_starts_with_a_letter(experiment):
    assert re.fullmatch(r"[a-z][a-z0-9-]+-[0-9a-f]{10}", run_of(experiment))


@pytest.mark.parametrize(
    ("model", "prefix"),
    [
        ("topograph.models.wide_resnet:WideResNet", "digits-wideresnet-"),
        ("wide-resnet", "digits-wide-resnet-"),
    ],
)
def test_a_run_id_names_data_and_model(model, prefix):
    assert run_of(changed(SUPERVISED, "model.target", model)).startswith(prefix)


def test_a_target_of_any_spelling_gives_a_valid_id(tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text("class _2Über(object):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    experiment = changed(PINN, "model", {"target": "own_models:_2Über"})
    problem = {"target": "own_models:_2Über"}
    for given_experiment in (experiment, changed(experiment, "problem", problem)):
        assert re.fullmatch(r"[a-z][a-z0-9-]+", run_of(given_experiment))


@given(
    seeds=st.lists(st.integers(0, 99), min_size=1, unique=True),
    points=st.integers(2, 50),
    name=st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True),
)
def test_seeds_analyses_and_names_are_not_in_the_id(seeds, points, name):
    other = {**PINN, "seeds": seeds, "analyses": {name: {**LANDSCAPE, "points": points}}}
    (member,) = expand(**{name: other})
    assert member.cell.run == run_of(PINN)
    assert member.cell.seeds == tuple(seeds)


def shuffled(content, draw: random.Random):
    if not isinstance(content, dict):
        return content
    keys = list(content)
    draw.shuffle(keys)
    return {key: shuffled(content[key], draw) for key in keys}


@pytest.mark.parametrize("experiment", [PINN, SUPERVISED], ids=["pinn", "supervised"])
@given(draw=st.randoms(use_true_random=False))
def test_the_order_of_keys_is_not_in_the_id(experiment, draw):
    assert run_of(shuffled(experiment, draw)) == run_of(experiment)


def test_a_default_written_out_gives_the_same_id():
    assert run_of(changed(SUPERVISED, "optimiser.momentum", 0.9)) == run_of(SUPERVISED)
    for loss in ("cross-entropy", {"target": "cross-entropy"}):
        assert run_of(changed(SUPERVISED, "loss", loss)) == run_of(SUPERVISED)
    assert run_of(changed(PINN, "optimiser.learning_rate", 1)) == run_of(PINN)


@pytest.mark.parametrize(
    ("experiment", "path", "value"),
    [
        (PINN, "problem.kwargs.beta", 2.0),
        (PINN, "problem.kwargs.collocation", 50),
        (PINN, "model.kwargs.width", 9),
        (PINN, "optimiser.learning_rate", 0.5),
        (PINN, "optimiser.max_iterations", 10),
        (PINN, "optimiser.history", 10),
        (PINN, "optimiser.tolerance", 1e-5),
        (SUPERVISED, "loss", {"target": "cross-entropy", "kwargs": {"label_smoothing": 0.1}}),
        (SUPERVISED, "loss", "torch.nn:MSELoss"),
        (SUPERVISED, "data.target", "cifar10"),
        (SUPERVISED, "data.kwargs.augment", True),
        (SUPERVISED, "model.kwargs.width", 2),
        (SUPERVISED, "optimiser.name", "adam"),
        (SUPERVISED, "optimiser.learning_rate", 0.01),
        (SUPERVISED, "optimiser.momentum", 0.5),
        (SUPERVISED, "optimiser.weight_decay", 0.1),
        (SUPERVISED, "schedule.epochs", 4),
        (SUPERVISED, "schedule.batch", 16),
        (SUPERVISED, "schedule.milestones", [2]),
        (SUPERVISED, "schedule.factor", 0.5),
        (SUPERVISED, "schedule.keep", "last"),
    ],
)
def test_every_key_that_training_reads_is_in_the_id(experiment, path, value):
    assert run_of(changed(experiment, path, value)) != run_of(experiment)


@given(first=positive, second=positive)
def test_different_values_have_different_ids(first, second):
    ids = [run_of(changed(SUPERVISED, "optimiser.learning_rate", v)) for v in (first, second)]
    assert (ids[0] == ids[1]) == (first == second)


@given(values=st.lists(positive, min_size=1, max_size=4, unique=True), extra=positive)
def test_a_finer_grid_keeps_the_old_runs(values, extra):
    def runs(listed: list[float]) -> list[str]:
        grid = {"problem.kwargs.beta": listed, "model.kwargs.depth": [1, 2]}
        return [member.cell.run for member in expand(e={**PINN, "grid": grid})]

    old, new = runs(values), runs([*values, extra])
    assert len(old) == len(set(old)) == 2 * len(values)
    assert set(old) <= set(new)
    assert len(set(new)) == len(set(old)) + 2 * (extra not in values)


@given(value=positive)
def test_a_cell_of_a_grid_is_the_run_of_the_value_written_out(value):
    (member,) = expand(e={**PINN, "grid": {"problem.kwargs.beta": [value]}})
    assert member.cell.run == run_of(changed(PINN, "problem.kwargs.beta", value))


def test_cells_are_the_product_of_grid_and_variants_in_the_order_of_the_file():
    experiment = {
        **SUPERVISED,
        "grid": {"optimiser.learning_rate": [0.1, 0.01], "schedule.batch": [8, 16]},
        "variants": {
            "b": {"data.kwargs.augment": True, "optimiser.weight_decay": 0.1},
            "a": {"data.kwargs.augment": False},
        },
    }
    found = expand(e=experiment)
    assert [member.label for member in found] == [
        f"{variant}, learning rate {rate}, batch {batch}"
        for variant in "ba"
        for rate in (0.1, 0.01)
        for batch in (8, 16)
    ]
    assert found[1].parameters == {
        "variant": "b",
        "data.kwargs.augment": True,
        "optimiser.weight_decay": 0.1,
        "optimiser.learning_rate": 0.1,
        "schedule.batch": 16,
    }
    training = found[1].cell.training
    assert (training.optimiser.weight_decay, training.schedule.batch) == (0.1, 16)
    assert training.data.kwargs == {"augment": True}
    assert found[-1].cell.training.optimiser.weight_decay == 0.0
    assert len({member.cell.run for member in found}) == 8


def test_an_experiment_without_a_grid_is_one_cell():
    (member,) = expand(e=PINN)
    assert (member.experiment, member.label, member.parameters) == ("e", "e", {})


@given(first=st.sets(st.integers(0, 9), min_size=1), second=st.sets(st.integers(0, 9), min_size=1))
def test_experiments_that_share_a_training_share_the_run_with_all_seeds(first, second):
    found = expand(
        a={**PINN, "seeds": sorted(first), "grid": {"problem.kwargs.beta": [1.0, 2.0]}},
        b={**PINN, "seeds": sorted(second)},
    )
    assert len(found) == 3
    merged = cells(found)
    assert len(merged) == 2
    assert merged[run_of(PINN)].seeds == tuple(sorted(first | second))


def test_one_name_for_two_analyses_of_one_run_is_a_mistake():
    def study(points: int):
        other = {**LANDSCAPE, "points": points}
        experiments = {
            "a": {**PINN, "analyses": {"map": LANDSCAPE}},
            "b": {**PINN, "analyses": {"map": other}},
        }
        return parse_study({"study": "s", "experiments": experiments}, "s.yaml")

    same = study(5)
    assert list(analyses(same, members(same, "s"), "s")) == [(run_of(PINN), "map")]
    different = study(7)
    with pytest.raises(ConfigError, match=r"s.yaml: experiments.b.analyses.map: another exp"):
        analyses(different, members(different, "s.yaml"), "s.yaml")


@pytest.mark.parametrize("experiment", [PINN, SUPERVISED], ids=["pinn", "supervised"])
def test_a_cell_returns_from_builtins(experiment):
    (member,) = expand(e=experiment)
    assert Cell.from_dict(copy.deepcopy(member.cell.to_dict())) == member.cell


def test_a_loss_comes_back_from_builtins_with_its_arguments_and_may_be_an_axis():
    smooth = {"target": "torch.nn:CrossEntropyLoss", "kwargs": {"label_smoothing": 0.1}}
    (member,) = expand(e={**SUPERVISED, "loss": smooth})
    content = member.cell.to_dict()
    assert content["training"]["loss"] == smooth
    assert Cell.from_dict(content) == member.cell
    found = expand(e={**SUPERVISED, "grid": {"loss": ["cross-entropy", smooth]}})
    assert [m.cell.run for m in found] == [run_of(SUPERVISED), member.cell.run]
    grid = {"loss.kwargs.label_smoothing": [0.1, 0.2]}
    assert len(expand(e={**SUPERVISED, "loss": smooth, "grid": grid})) == 2
    with pytest.raises(ConfigError, match=r"loss.kwargs.smoothing: loss .* no argument"):
        expand(e={**SUPERVISED, "loss": {**smooth, "kwargs": {"smoothing": 1}}})


def test_a_grid_may_choose_another_target():
    grid = {"model": {"target": "mlp", "kwargs": {}}, "grid": {"model.target": ["mlp"]}}
    with pytest.raises(ConfigError, match="needs depth, inputs, outputs, width"):
        expand(e={**PINN, **grid})
    found = expand(e={**SUPERVISED, "grid": {"data.target": ["digits", "cifar10"]}})
    assert [member.label for member in found] == ["target digits", "target cifar10"]
