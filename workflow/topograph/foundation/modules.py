"""The source of a module, found and parsed without importing it."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

from topograph.foundation.errors import ConfigError


def module_source(module: str) -> Path | None:
    """Return the source file of an installed module, or None for a compiled one.

    Raises ModuleNotFoundError whose ``name`` is the top package when that is not installed, and
    the whole name when the package has no such module.
    """
    top, *rest = module.split(".")
    spec = None if top == "__main__" else importlib.util.find_spec(top)
    if spec is None:
        raise ModuleNotFoundError(f"no package {top!r} is installed", name=top)
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for location in spec.submodule_search_locations or []:
        base = Path(location).joinpath(*rest)
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
        if list(base.parent.glob(f"{base.name}.*.so")):
            return None
    raise ModuleNotFoundError(f"package {top!r} has no module {module!r}", name=module)


def parsed_source(path: Path) -> ast.Module:
    """Return the syntax tree of a source file; raise ConfigError with the line of a mistake."""
    try:
        return ast.parse(path.read_bytes())
    except SyntaxError as error:
        raise not_python(path, error) from error


def not_python(path: Path, error: SyntaxError) -> ConfigError:
    """Build the error for a file that is no valid Python."""
    where = f"{path}, line {error.lineno}" if error.lineno else str(path)
    return ConfigError(f"{where}: no valid Python: {error.msg}; correct that file")
