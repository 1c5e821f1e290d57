"""Targets are found and checked from their source, without being run."""

from __future__ import annotations

import importlib
import sys

import pytest

from topograph.config.targets import SHORT_NAMES, check_kwargs, resolve, signature
from topograph.foundation.errors import ConfigError

SOURCE = """
raise RuntimeError("imported")
from dataclasses import dataclass
from functools import partial
from other_place import Imported

class Plain:
    def __init__(self, width, depth=2, *, seed, bias=True): ...

class Open:
    def __init__(self, width, **options): ...

class Inherits(Plain): ...

@dataclass(frozen=True)
class Data:
    beta: float
    points: int = 100

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
    allowed, required = found
    assert required <= allowed


@pytest.mark.parametrize(
    ("name", "allowed", "required"),
    [
        ("Plain", {"width", "depth", "seed", "bias"}, {"width", "seed"}),
        ("Data", {"beta", "points"}, {"beta"}),
        ("factory", {"classes", "size"}, {"classes"}),
    ],
)
def test_arguments_are_read_from_the_source(own, name, allowed, required):
    assert signature("model", f"{own}:{name}") == (allowed, required)
    assert own not in sys.modules


@pytest.mark.parametrize("name", ["Open", "Inherits", "Imported", "Short", "Slow"])
def test_what_the_source_cannot_say_is_let_through(own, name):
    assert signature("model", f"{own}:{name}") is None
    check_kwargs("model", f"{own}:{name}", {"anything": 1}, given=set())


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
