"""A target that cannot be built is named with the reason."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from topograph.config.models import Landscape, Target
from topograph.config.runs import TRAINING
from topograph.families import supervised
from topograph.families.build import build, build_data, build_loss, build_model
from topograph.families.supervised import build_network
from topograph.foundation.errors import ConfigError, TopographError

MLP = {"inputs": 2, "outputs": 1, "width": 3, "depth": 1}


def test_a_short_name_and_its_dotted_path_build_the_same_thing() -> None:
    short = build("problem", Target(target="convection", kwargs={"beta": 3.0}))
    dotted = "topograph.problems.convection:Convection"
    assert short == build("problem", Target(target=dotted, kwargs={"beta": 3.0}))


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_package.models:Net", "No module named 'no_such_package'"),
        ("topograph.models.mlp:Mlp", "has no attribute 'Mlp'"),
    ],
)
def test_a_target_that_cannot_be_imported_is_named(target: str, reason: str) -> None:
    with pytest.raises(TopographError, match="cannot be imported") as error:
        build("model", Target(target=target))
    assert repr(target) in str(error.value)
    assert reason in str(error.value)


def test_an_unknown_short_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'convection'"):
        build("problem", Target(target="convektion"))


@pytest.mark.parametrize(
    ("target", "kwargs"),
    [("mlp", {**MLP, "wdith": 3}), ("mlp", {}), ("wide-resnet", {"depth": 11, "width": 1})],
)
def test_refused_arguments_are_shown(target: str, kwargs: dict[str, int]) -> None:
    with pytest.raises(TopographError, match=f"model '{target}' does not accept") as error:
        build("model", Target(target=target, kwargs=kwargs))
    assert str(kwargs) in str(error.value)


def test_initial_weights_depend_on_the_seed_alone_and_move_no_global_generator() -> None:
    target = Target(target="mlp", kwargs=MLP)
    before = torch.get_rng_state()
    first, again, other = (build_model(target, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first[0].weight, again[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)


NETS = """
import torch
from torch import nn

class Viewing(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.conv = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.last = nn.Linear(144, 10)
    def forward(self, x):
        return self.last(self.conv(self.first(x)).view(len(x), -1))

class Pointwise(Viewing):
    def __init__(self):
        super().__init__()
        self.last = nn.Conv2d(4, 10, 6)
    def forward(self, x):
        return self.last(torch.relu(self.conv(self.first(x)))).flatten(1)

class Volume(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.drop = nn.Conv3d(1, 10, (1, 8, 8)), nn.Dropout(0.5)
    def forward(self, x):
        return self.drop(self.conv(x[:, None])).flatten(1)

class Pair(Viewing):
    def forward(self, x):
        return super().forward(x), x

def no_module(): return 3
def each(outputs, targets): return (outputs.mean(1) - targets) ** 2
def number(outputs, targets): return 1.0
def scaled(outputs, targets, *, scale): return scale * outputs.square().mean()
constant = 3
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    name = f"nets_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{name}.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def training(model: str, loss: str | dict = "cross-entropy", **data: Any) -> Any:
    content = {
        "family": "supervised",
        "data": {"target": "digits", "kwargs": data},
        "model": {"target": model},
        "loss": loss,
        "optimiser": {"name": "sgd", "learning_rate": 0.1},
        "schedule": {"epochs": 1, "batch": 500},
    }
    return TRAINING.validate_python(content)


def is_channels_last(network: nn.Module) -> bool:
    weight = network.conv.weight
    return weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("name", "flat"), [("Viewing", False), ("Pointwise", True)])
def test_images_are_laid_out_channels_last_where_the_network_runs_so(
    nets: str, name: str, flat: bool
) -> None:
    chosen = training(f"{nets}:{name}")
    network = build_network(chosen, build_data(chosen.data), 0)
    assert is_channels_last(network) == flat
    state = {k: v.numpy() for k, v in network.state_dict().items()}
    analysis = Landscape(
        kind="landscape", directions="random", dimensions=1, points=3, distance=1.0, examples=8
    )
    objective = supervised.objective(chosen, state, analysis)
    data = build_data(chosen.data)
    places = torch.linspace(0, len(data.train_inputs) - 1, 8).round().long()
    outputs = network.eval()(data.train_inputs[places])
    expected = nn.functional.cross_entropy(outputs, data.train_targets[places])
    assert objective.loss(objective.center).item() == pytest.approx(expected.item(), rel=1e-5)


def test_other_dimensions_train_and_dropout_is_drawn_from_the_seed(nets: str) -> None:
    chosen = training(f"{nets}:Volume")
    data, loss = build_data(chosen.data), build_loss(chosen.loss)
    found = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        network = build_network(chosen, data, 0)
        optimiser = supervised.make_optimiser(network, chosen.optimiser)
        before = torch.get_rng_state()
        supervised.train_epoch(network, optimiser, data, loss, batch=500, seed=3)
        assert torch.equal(torch.get_rng_state(), before)
        found.append(network.conv.weight.detach().clone())
    assert torch.equal(*found)


@pytest.mark.parametrize(
    ("model", "loss", "message"),
    [
        (":no_module", "cross-entropy", "made int; allowed: a torch.nn.Module"),
        (":constant", "cross-entropy", "is int; allowed: a class or a function"),
        (":Pair", "cross-entropy", "fails on outputs tuple and targets"),
        (":Viewing", ":each", r"gives shape \(2,\) from outputs \(2, 10\); allowed: a scalar"),
        (":Viewing", ":number", "gives float from outputs"),
        (":Viewing", "torch.nn:MSELoss", r"outputs \(2, 10\) and targets \(2,\), .*a target size"),
    ],
)
def test_what_does_not_fit_together_is_named_before_training(
    nets: str, model: str, loss: str, message: str
) -> None:
    target = {"target": loss.replace(":", f"{nets}:") if loss.startswith(":") else loss}
    chosen = training(model.replace(":", f"{nets}:"), target)
    data = build_data(chosen.data)
    with pytest.raises(TopographError, match=message):
        build_network(chosen, data, 0)


def test_inputs_of_the_wrong_shape_are_named_with_the_model() -> None:
    chosen = training("torchvision.models:resnet18")
    data = build_data(chosen.data)
    with pytest.raises(TopographError, match=r"'torchvision.models:resnet18' fails on inputs \(2,"):
        build_network(chosen, data, 0)


def test_a_loss_is_a_module_of_its_class_or_a_function_with_its_arguments(nets: str) -> None:
    outputs, targets = torch.full((2, 3), 2.0), torch.tensor([0, 1])
    module = build_loss(Target(target="torch.nn:CrossEntropyLoss", kwargs={"reduction": "sum"}))
    assert float(module(outputs, targets)) == pytest.approx(2 * np.log(3))
    scaled = build_loss(Target(target=f"{nets}:scaled", kwargs={"scale": 3.0}))
    assert float(scaled(outputs, targets)) == pytest.approx(12.0)
    assert build_loss(Target(target="cross-entropy")) is nn.functional.cross_entropy


def test_a_factory_that_draws_from_global_generators_makes_the_same_data_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "drawn_data.py").write_text(
        "import numpy as np, random, torch\n"
        "def drawn():\n"
        "    inputs = torch.rand(4, 3) + random.random() + np.random.rand()\n"
        "    return inputs, np.arange(4), inputs[:2], np.arange(2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1]  # noqa: NPY002
    sums = [build_data(Target(target="drawn_data:drawn")).sum for _ in range(2)]
    assert sums[0] == sums[1]
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1]  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1] == after[1]
    assert np.array_equal(before[2], after[2])
