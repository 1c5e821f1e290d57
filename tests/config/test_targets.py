"""Targets are found and checked from their source, without being run."""

from __future__ import annotations

import importlib
import sys

import pytest

from topograph.config.signatures import Signature
from topograph.config.targets import SHORT_NAMES, check_kwargs, resolve, signature
from topograph.foundation.errors import ConfigError

SOURCE = """
raise RuntimeError("imported")
from dataclasses import dataclass
from typing import ClassVar
from functools import partial
from other_place import Imported

class Plain:
    def __init__(self, width, depth=2, *, seed, bias=True): ...

class Open:
    def __init__(self, width, **options): ...

class Inherits(Plain): ...

class Unknown(Imported): ...

class Nothing: ...

@dataclass(frozen=True)
class Data:
    beta: float
    points: int = 100
    names: ClassVar[tuple] = ()

@dataclass
class More(Data):
    size: int
    beta: float = 1.0

Alias = Plain

@decorated
def changed(size): ...

def loss(outputs, targets, margin, *, weight=1.0): ...

def factory(classes: int, *, size: int = 8): ...

Short = partial(Plain, seed=0)
try:
    import fast
except ImportError:
    class Slow: ...

def helper():
    hidden = 1
"""


@pytest.fixture
def own(tmp_path, monkeypatch, request):
    """A module of the user's, of another name in every test because signatures are cached."""
    name = f"own_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return name


@pytest.mark.parametrize(
    ("kind", "short"), [(kind, short) for kind, names in SHORT_NAMES.items() for short in names]
)
def test_every_short_name_leads_to_a_definition(kind, short):
    assert resolve(kind, short) == SHORT_NAMES[kind][short]
    found = signature(kind, short)
    assert found is not None
    assert found.required <= found.allowed


@pytest.mark.parametrize(
    ("name", "allowed", "required"),
    [
        ("Plain", {"width", "depth", "seed", "bias"}, {"width", "seed"}),
        ("Inherits", {"width", "depth", "seed", "bias"}, {"width", "seed"}),
        ("Alias", {"width", "depth", "seed", "bias"}, {"width", "seed"}),
        ("Nothing", set(), set()),
        ("Data", {"beta", "points"}, {"beta"}),
        ("More", {"beta", "points", "size"}, {"size"}),
        ("factory", {"classes", "size"}, {"classes"}),
        ("loss", {"outputs", "targets", "margin", "weight"}, {"outputs", "targets", "margin"}),
    ],
)
def test_arguments_are_read_from_the_source(own, name, allowed, required):
    assert signature("model", f"{own}:{name}") == Signature(allowed, required)
    assert own not in sys.modules


def test_a_loss_gets_outputs_and_targets_by_position(own):
    assert signature("loss", f"{own}:loss") == Signature({"margin", "weight"}, {"margin"})
    with pytest.raises(ConfigError, match=r"loss '\w+:loss' needs margin"):
        check_kwargs("loss", f"{own}:loss", {"weight": 2.0}, given=set())
    with pytest.raises(ConfigError, match="takes no argument 'targets'"):
        check_kwargs("loss", f"{own}:loss", {"margin": 1, "targets": 2}, given=set())
    assert signature("loss", f"{own}:Plain").required == {"width", "seed"}


@pytest.mark.parametrize("name", ["Imported", "Unknown", "Short", "Slow", "changed"])
def test_what_the_source_cannot_say_is_let_through(own, name):
    assert signature("model", f"{own}:{name}") is None
    check_kwargs("model", f"{own}:{name}", {"anything": 1}, given=set())


def test_where_any_name_may_be_given_those_that_are_needed_still_are(own):
    check_kwargs("model", f"{own}:Open", {"width": 1, "anything": 1}, given=set())
    with pytest.raises(ConfigError, match="needs width"):
        check_kwargs("model", f"{own}:Open", {"anything": 1}, given=set())


FILES = {
    "__init__.py": """
from .nets import *
from .nets import Wide as Broad
import {name}.losses as measures
from . import losses
mean = losses.mean_loss
Other = measures.Distance
""",
    "nets/__init__.py": "from ..base import Base\nfrom .wide import Wide\nfrom .gone import Gone\n",
    "nets/wide.py": "from .. import base as b\nclass Wide(b.Base):\n    size = 3\n",
    "base.py": "from torch import nn\nclass Base(nn.Module):\n    def __init__(self, units): ...\n",
    "losses.py": "class Distance: ...\ndef mean_loss(outputs, targets, scale=1.0): ...\n",
    "lazy.py": "def __getattr__(name): ...\n",
    "filled.py": "globals()['Made'] = 1\n",
    "circle.py": "from .circle import Round\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch, request):
    """A package that offers its names from other files than those that define them."""
    name = f"package_{abs(hash(request.node.nodeid))}"
    for file, text in FILES.items():
        path = tmp_path / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{name}", name))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return name


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        (":Wide", {"units"}),
        (":Broad", {"units"}),
        (".nets:Base", {"units"}),
        (":Other", set()),
        (":mean", {"scale"}),
    ],
)
def test_names_are_followed_from_file_to_file(package, target, allowed):
    assert signature("loss", package + target).allowed == allowed
    assert package not in sys.modules


@pytest.mark.parametrize("target", [".lazy:Net", ".filled:Made", ".circle:Round", ".nets:Gone"])
def test_names_that_only_running_would_find_are_let_through(package, target):
    assert signature("model", package + target) is None


def test_a_name_in_none_of_the_files_is_answered_with_the_nearest(package):
    with pytest.raises(ConfigError, match=rf"{package}.losses defines no 'Distant' .*'Distance'"):
        signature("loss", f"{package}.losses:Distant")


@pytest.mark.parametrize(
    ("kind", "target", "argument"),
    [
        ("loss", "torch.nn:MSELoss", "reduction"),
        ("loss", "torch.nn:CrossEntropyLoss", "label_smoothing"),
        ("loss", "torch.nn.functional:mse_loss", "reduction"),
        ("model", "torchvision.ops:MLP", "hidden_channels"),
    ],
)
def test_names_of_torch_are_found_where_they_are_offered(kind, target, argument):
    assert argument in signature(kind, target).allowed
    with pytest.raises(ConfigError, match="takes no argument 'wrong'"):
        check_kwargs(kind, target, {argument: 1, "wrong": 1}, given=set())


def test_a_name_behind_a_decorator_is_found_but_its_arguments_are_not():
    assert signature("model", "torchvision.models:resnet18") is None
    with pytest.raises(ConfigError, match="defines no 'resnet19' .*'resnet"):
        signature("model", "torchvision.models.resnet:resnet19")


@pytest.mark.parametrize("name", ["Missing", "hidden", "plain"])
def test_a_name_that_is_not_there_is_named(own, name):
    with pytest.raises(ConfigError, match=f"{own} defines no '{name}'"):
        signature("model", f"{own}:{name}")


def test_the_nearest_argument_is_offered(own):
    with pytest.raises(ConfigError, match=r"takes no argument 'with' \(did you mean 'width'\?\)"):
        check_kwargs("model", f"{own}:Plain", {"with": 1, "seed": 0}, given=set())


def test_arguments_that_are_needed_are_listed(own):
    with pytest.raises(ConfigError, match=r"kwargs: model '\w+:Plain' needs seed, width"):
        check_kwargs("model", f"{own}:Plain", {}, given=set())


def test_what_the_family_passes_is_neither_needed_nor_taken(own):
    target = f"{own}:Plain"
    check_kwargs("model", target, {"width": 1}, given={"seed"})
    with pytest.raises(ConfigError, match="takes no argument 'seed'"):
        check_kwargs("model", target, {"width": 1, "seed": 0}, given={"seed"})


@pytest.mark.parametrize("target", ["", "unett", "a.b", "a:b:c", "a b:c", ".a:b", "a:", ":b"])
def test_what_is_no_target_is_refused(target):
    with pytest.raises(ConfigError, match="or a dotted path like 'package.module:Name'"):
        resolve("model", target)


def test_the_module_that_is_running_is_no_package():
    with pytest.raises(ConfigError, match="no package '__main__' is installed"):
        signature("model", "__main__:Net")


@pytest.mark.parametrize("target", ["math:floor", "torch._C:Generator"])
def test_compiled_modules_are_let_through(target):
    assert signature("model", target) is None
