"""Where the source of a module lies, found without importing it."""

from __future__ import annotations

import importlib.util
from pathlib import Path


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
