"""Where a result came from: digests of code and files, and the manifest beside every output."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from topograph.foundation.modules import module_source, parsed_source
from topograph.foundation.storage import write_json

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
LOCK = PACKAGE_ROOT.parent / "envs" / "lock.txt"
PACKAGES = ("torch", "deepxde", "numpy", "scipy", "gudhi", "numba", "snakemake", "topograph")


def canonical_json(content: Any) -> str:
    """Return JSON that is equal exactly when the content is: sorted keys, floats by repr."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(content: Any, length: int = 12) -> str:
    """Return the first hex digits of the SHA-256 of JSON-like content."""
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:length]


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes in hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_digest(*modules: str, scripts: Iterable[str | Path] = ()) -> str:
    """Return 12 hex digits that change when code that the modules or scripts use changes.

    Hashes the syntax trees, without docstrings, of the modules and scripts and of every module of
    topograph or of the modules' own packages that they import, by path and never by import, so
    comments and formatting change nothing and torch is not loaded. Of an installed package whose
    version envs/lock.txt fixes only the named module's file counts: torch has thousands. The
    config models are left out: what a job reads of them, resolved, is a parameter of the job
    already. Raises ModuleNotFoundError for a module outside topograph that is not installed,
    ConfigError for one that is no valid Python.
    """
    seen: dict[str, str] = {}
    pending: list[str] = []
    followed = {"topograph"}
    for name in modules:
        path = None if _in_topograph(name) else module_source(name)
        if path is not None and _is_fixed(path, name.split(".")[0]):
            seen[name], _ = _parsed(path, name, path.stat().st_mtime_ns)
        else:
            followed.add(name.split(".")[0])
            pending.append(name)
    for script in map(Path, scripts):
        seen[script.name], imported = _parsed(script, script.stem, script.stat().st_mtime_ns)
        pending += imported
    while pending:
        name = pending.pop()
        path = _module_path(name) if name.split(".")[0] in followed else None
        if path is None or name in seen or _is_left_out(name):
            continue
        seen[name], imported = _parsed(path, name, path.stat().st_mtime_ns)
        pending += [name.rpartition(".")[0], *imported]
    return digest(sorted(seen.items()))


class Code(NamedTuple):
    """What the digest of a job's code is taken of, written down so that it can be taken again.

    ``modules`` are those of the targets of a cell; ``scripts`` are relative to the repository.
    """

    modules: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()

    def digest(self) -> str:
        """Return the digest as it is today; raises as ``code_digest`` does."""
        root = PACKAGE_ROOT.parent
        return code_digest(*self.modules, scripts=[root / script for script in self.scripts])


class Start(NamedTuple):
    """What is known when a job begins: an edit while it runs is not what made its outputs."""

    time: str
    code: Code
    digest: str
    commit: str

    @classmethod
    def now(cls, code: Code) -> Start:
        """Return the start of a job that begins now; raises as ``code_digest`` does."""
        return cls(now(), code, code.digest(), git_commit(PACKAGE_ROOT.parent))


def _in_topograph(name: str) -> bool:
    return name.split(".")[0] == "topograph"


def _is_fixed(path: Path, package: str) -> bool:
    return "site-packages" in path.parts and (
        not LOCK.is_file() or f"\n{package.replace('_', '-').lower()}==" in _text(LOCK)
    )


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _is_left_out(name: str) -> bool:
    return name == "topograph" or name.startswith("topograph.config")


def _module_path(name: str) -> Path | None:
    if not _in_topograph(name):
        try:
            return module_source(name)
        except ModuleNotFoundError:  # an attribute of a module
            return None
    base = PACKAGE_ROOT.joinpath(*name.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


@cache
def _parsed(path: Path, module: str, modified: int) -> tuple[str, tuple[str, ...]]:
    """Return a module's digest and what it imports; parsed once while ``modified`` stays."""
    tree = _tree_without_docstrings(path)
    imported = _imports(tree, module, path.name == "__init__.py")
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(imported)


def _tree_without_docstrings(path: Path) -> ast.Module:
    tree = parsed_source(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return tree


def _imports(tree: ast.Module, module: str, is_package: bool) -> Iterable[str]:
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            target = ".".join(part for part in (base, node.module) if part)
            yield target
            yield from (f"{target}.{alias.name}" for alias in node.names)


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def installed_versions() -> dict[str, str]:
    """Return the versions of the packages that decide numbers, without importing them."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_commit(root: Path) -> str:
    """Return the checked-out commit, with ``-dirty`` for uncommitted changes, or ``unknown``."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def write_manifest(
    outputs: Iterable[str | Path],
    *,
    rule: str,
    inputs: Iterable[str | Path],
    parameters: Mapping[str, Any],
    start: Start,
    command: str,
    device: str,
    data: Mapping[str, str] | None = None,
) -> Path:
    """Write ``<first output's stem>.manifest.json`` beside the first output and return its path.

    ``parameters`` holds the resolved cell, seeds and analysis. Files are listed with their
    SHA-256, so that a result copied elsewhere can still be checked against its inputs; ``data`` has
    the sums of data that came from no file listed.
    """
    listed = [Path(path) for path in outputs]
    manifest = {
        "rule": rule,
        "outputs": {str(path): file_digest(path) for path in listed},
        "inputs": {str(path): file_digest(path) for path in inputs},
        "data": dict(data or {}),
        "parameters": dict(parameters),
        "code": {"digest": start.digest, **start.code._asdict()},
        "command": command,
        "commit": start.commit,
        "lock": file_digest(LOCK) if LOCK.is_file() else "unknown",
        "versions": installed_versions(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": device,
        "started": start.time,
        "ended": now(),
    }
    target = manifest_path(listed[0])
    write_json(target, manifest)
    return target


def manifest_path(output: str | Path) -> Path:
    """Return where the manifest of an output lies: its name up to the last dot, then the suffix."""
    return Path(output).with_suffix(".manifest.json")
