"""Definitions and their arguments, read from the source of installed packages, never imported."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator
from functools import cache
from importlib.util import decode_source
from pathlib import Path
from typing import NamedTuple

from topograph.foundation.modules import module_source, not_python, parsed_source

Function = ast.FunctionDef | ast.AsyncFunctionDef
# A module that calls one of these may bind names that its source does not show.
BINDING_CALLS = {"setattr", "globals", "exec"}


class Definition(NamedTuple):
    """A class or function and the module whose source holds it."""

    module: str
    node: ast.ClassDef | Function


class Signature(NamedTuple):
    """The names that may be given by keyword, those that must be, and whether any other may."""

    allowed: frozenset[str]
    required: frozenset[str]
    open: bool = False


class NotDefinedError(LookupError):
    """A module's source binds no such name; ``known`` are the names that it does define."""

    def __init__(self, known: list[str]) -> None:
        super().__init__(known)
        self.known = known


@cache
def find(module: str, name: str) -> Definition | None:
    """Return a definition, following imports and aliases from file to file.

    Returns None for what only running the module would tell. Raises ModuleNotFoundError,
    NotDefinedError for a name that the module does not bind, and ConfigError for a module that is
    no valid Python.
    """
    return _find(module, name, frozenset())


def _find(module: str, name: str, seen: frozenset[tuple[str, str]]) -> Definition | None:
    path = module_source(module)
    if path is None or (module, name) in seen:
        return None
    seen = seen | {(module, name)}
    for statement in reversed(_tree(path).body):
        if isinstance(statement, ast.ClassDef | Function) and statement.name == name:
            return Definition(module, statement)
        if isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                if (alias.asname or alias.name) == name:
                    return _followed(_origin(statement, module, path), alias.name, seen)
        if isinstance(statement, ast.Assign) and any(_is(t, name) for t in statement.targets):
            return _expression(statement.value, module, seen)
    return _star_imported(module, path, name, seen)


def _star_imported(
    module: str, path: Path, name: str, seen: frozenset[tuple[str, str]]
) -> Definition | None:
    """Look for a name in what a module imports whole; say that it is not there, or not known."""
    known = [n.name for n in _tree(path).body if isinstance(n, ast.ClassDef | Function)]
    unknown = _may_bind(path, name)
    for statement in reversed(_tree(path).body):
        if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
            try:
                if found := _find(_origin(statement, module, path), name, seen):
                    return found
                unknown = True
            except NotDefinedError as error:
                known += error.known
            except ModuleNotFoundError:
                unknown = True
    if unknown:
        return None
    raise NotDefinedError(known)


def _followed(module: str, name: str, seen: frozenset[tuple[str, str]]) -> Definition | None:
    """Find a name that is known to be imported; where its source does not say, nobody knows."""
    try:
        return _find(module, name, seen)
    except (ModuleNotFoundError, NotDefinedError):
        return None


def _expression(node: ast.expr, module: str, seen: frozenset[tuple[str, str]]) -> Definition | None:
    """Find what a name or a dotted name means inside a module."""
    if isinstance(node, ast.Name):
        return _followed(module, node.id, seen)
    if isinstance(node, ast.Attribute):
        owner = _module_of(node.value, module)
        return _followed(owner, node.attr, seen) if owner else None
    return None


def _module_of(node: ast.expr, module: str) -> str | None:
    """Return the module that a name or a dotted name stands for, where an import says so."""
    if isinstance(node, ast.Attribute):
        owner = _module_of(node.value, module)
        return f"{owner}.{node.attr}" if owner else None
    path = module_source(module)
    if not isinstance(node, ast.Name) or path is None:
        return None
    for statement in _tree(path).body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                if (alias.asname or alias.name.partition(".")[0]) == node.id:
                    return alias.name if alias.asname else node.id
        if isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                if (alias.asname or alias.name) == node.id:
                    return f"{_origin(statement, module, path)}.{alias.name}"
    return None


def _origin(statement: ast.ImportFrom, module: str, path: Path) -> str:
    """Return the absolute name of the module that a statement imports from."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    parents = package.split(".")
    base = ".".join(parents[: len(parents) - statement.level + 1]) if statement.level else ""
    return ".".join(part for part in (base, statement.module) if part)


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


@cache
def _tree(path: Path) -> ast.Module:
    return parsed_source(path)


@cache
def _may_bind(path: Path, name: str) -> bool:
    """Say whether a module binds a name somewhere outside its functions, or may when it runs."""
    try:
        table = symtable.symtable(decode_source(path.read_bytes()), str(path), "exec")
    except SyntaxError as error:
        raise not_python(path, error) from error
    symbols = [table.lookup(known) for known in table.get_identifiers()]
    bound = {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}
    calls = (node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call))
    return not bound.isdisjoint({name, "__getattr__"}) or any(
        _tail(call) in BINDING_CALLS for call in calls
    )


def arguments(definition: Definition, *, by_position: int = 0) -> Signature | None:
    """Return the arguments of a class's constructor or of a function.

    The first ``by_position`` are given by others, without their names. Returns None where a
    decorator, a metaclass or a base class that is not found may change them.
    """
    node = definition.node
    if isinstance(node, ast.ClassDef):
        return _constructor(definition)
    return None if node.decorator_list else _of_function(node, by_position)


def _of_function(node: Function, by_position: int) -> Signature:
    taken = node.args
    positional = [*taken.posonlyargs, *taken.args]
    optional = {argument.arg for argument in positional[len(positional) - len(taken.defaults) :]}
    optional |= {
        argument.arg
        for argument, default in zip(taken.kwonlyargs, taken.kw_defaults, strict=True)
        if default is not None
    }
    own = [argument.arg for argument in [*positional[by_position:], *taken.kwonlyargs]]
    unnamed = {argument.arg for argument in taken.posonlyargs}
    return Signature(
        frozenset(own) - unnamed, frozenset(own) - optional, open=taken.kwarg is not None
    )


def _constructor(definition: Definition) -> Signature | None:
    node = definition.node
    assert isinstance(node, ast.ClassDef)
    methods = {item.name: item for item in node.body if isinstance(item, Function)}
    is_dataclass = [_tail(decorator) == "dataclass" for decorator in node.decorator_list]
    if not all(is_dataclass) or node.keywords or "__new__" in methods:
        return None
    if "__init__" in methods:
        constructor = methods["__init__"]
        return None if constructor.decorator_list else _of_function(constructor, by_position=1)
    inherited = [_of_base(base, definition.module) for base in node.bases]
    if not is_dataclass:
        return inherited[0] if inherited else Signature(frozenset(), frozenset())
    if None in inherited:
        return None
    return _with_fields(node, [found for found in inherited if found is not None])


def _of_base(base: ast.expr, module: str) -> Signature | None:
    if isinstance(base, ast.Name) and base.id == "object":
        return Signature(frozenset(), frozenset())
    found = _expression(base, module, frozenset())
    is_class = found is not None and isinstance(found.node, ast.ClassDef)
    return arguments(found) if found is not None and is_class else None


def _with_fields(node: ast.ClassDef, inherited: list[Signature]) -> Signature | None:
    """Return the arguments of a dataclass: the fields of its bases and its own."""
    allowed = {name for found in inherited for name in found.allowed}
    required = {name for found in inherited for name in found.required}
    for name, default in _fields(node):
        allowed.add(name)
        required.discard(name)
        if default is None:
            required.add(name)
    return Signature(frozenset(allowed), frozenset(required))


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr | None]]:
    for item in node.body:
        if not (isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)):
            continue
        kind = item.annotation.value if isinstance(item.annotation, ast.Subscript) else None
        if "ClassVar" in {_tail(item.annotation), _tail(kind or item.annotation)}:
            continue
        yield item.target.id, item.value


def _tail(node: ast.expr) -> str:
    """Return the last part of a dotted name, of the function in case of a call."""
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
