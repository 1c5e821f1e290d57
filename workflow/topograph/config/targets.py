"""Names of models, data sets and problems, found and checked without importing them."""

from __future__ import annotations

import ast
import symtable
from functools import cache
from pathlib import Path

from topograph.foundation.errors import ConfigError, nearest
from topograph.foundation.modules import module_source

SHORT_NAMES: dict[str, dict[str, str]] = {
    "model": {
        "mlp": "topograph.models.mlp:MLP",
        "resnet": "topograph.models.resnet:ResNet",
        "unet": "topograph.models.unet:UNet",
        "wide-resnet": "topograph.models.wide_resnet:WideResNet",
    },
    "data": {
        "brain": "topograph.data.brain:brain",
        "cifar10": "topograph.data.cifar10:cifar10",
        "digits": "topograph.data.digits:digits",
        "oxford-pet": "topograph.data.oxford_pet:oxford_pet",
    },
    "problem": {"convection": "topograph.problems.convection:Convection"},
}


def resolve(kind: str, target: str) -> str:
    """Return the dotted path ``package.module:name`` of a short name or of a dotted path itself.

    Raises ConfigError when the name is neither known nor of that form.
    """
    known = SHORT_NAMES[kind]
    if target in known:
        return known[target]
    if target.count(":") != 1 or not all(part.isidentifier() for part in _parts(target)):
        raise ConfigError(
            f"unknown {kind} {target!r}{nearest(target, known)}; allowed: "
            f"{', '.join(sorted(known))}, or a dotted path like 'package.module:Name'"
        )
    return target


def _parts(target: str) -> list[str]:
    return target.replace(":", ".").split(".")


@cache
def signature(kind: str, target: str) -> tuple[frozenset[str], frozenset[str]] | None:
    """Return the argument names of a target and those without default, read from its source.

    Returns None when they cannot be known without running the module (compiled or re-exported).
    Raises ConfigError when the module or the name does not exist.
    """
    module, name = resolve(kind, target).split(":")
    path = _source(kind, target, module)
    if path is None:
        return None
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    defined = {node.name: node for node in tree.body if isinstance(node, _DEFINITIONS)}
    if name not in defined:
        if _is_bound(text, tree, name):
            return None
        raise ConfigError(
            f"{kind} {target!r}: {module} defines no {name!r}{nearest(name, defined)}"
        )
    return _arguments(defined[name])


_DEFINITIONS = (ast.ClassDef, ast.FunctionDef)


def _source(kind: str, target: str, module: str) -> Path | None:
    try:
        return module_source(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        remedy = "install it into the environment, or correct the path before the colon"
        advice = f"; {remedy}" if error.name == top else ""
        raise ConfigError(f"{kind} {target!r}: {error}{advice}") from error


def _is_bound(text: str, tree: ast.Module, name: str) -> bool:
    """Say whether a module imports or assigns a name, anywhere outside its functions."""
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in tree.body):
        return True
    table = symtable.symtable(text, "", "exec")
    if name not in table.get_identifiers():
        return False
    symbol = table.lookup(name)
    return symbol.is_assigned() or symbol.is_imported()


def _arguments(
    node: ast.ClassDef | ast.FunctionDef,
) -> tuple[frozenset[str], frozenset[str]] | None:
    if isinstance(node, ast.ClassDef):
        methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
        constructor = next((item for item in methods if item.name == "__init__"), None)
        if constructor is None:
            return _dataclass_fields(node)
        node = constructor
    arguments = node.args
    if arguments.kwarg is not None:
        return None
    positional = [argument.arg for argument in arguments.args if argument.arg != "self"]
    without_default = positional[: len(positional) - len(arguments.defaults)]
    keywords = [argument.arg for argument in arguments.kwonlyargs]
    without_default += [
        name
        for name, default in zip(keywords, arguments.kw_defaults, strict=True)
        if default is None
    ]
    return frozenset(positional + keywords), frozenset(without_default)


def _dataclass_fields(node: ast.ClassDef) -> tuple[frozenset[str], frozenset[str]] | None:
    if not any("dataclass" in ast.dump(decorator) for decorator in node.decorator_list):
        return None
    fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    named = {item.target.id: item.value for item in fields if isinstance(item.target, ast.Name)}
    return frozenset(named), frozenset(name for name, value in named.items() if value is None)


def check_kwargs(kind: str, target: str, kwargs: dict[str, object], given: set[str]) -> None:
    """Raise ConfigError for an argument that the target does not take, or that it still needs.

    ``given`` names arguments that the family itself will pass.
    """
    found = signature(kind, target)
    if found is None:
        return
    allowed, required = found
    settable = allowed - given
    for name in kwargs:
        if name not in settable:
            raise ConfigError(
                f"kwargs.{name}: {kind} {target!r} takes no argument {name!r}"
                f"{nearest(name, settable)}; allowed: {', '.join(sorted(settable)) or 'none'}"
            )
    missing = sorted(required - given - set(kwargs))
    if missing:
        raise ConfigError(f"kwargs: {kind} {target!r} needs {', '.join(missing)}")
