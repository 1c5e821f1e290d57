"""A copy of the repository in which the smoke study runs once, for all workflow tests."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = {".parquet", ".nc", ".safetensors", ".svg", ".pdf", ".json", ".html"}
# These tell when and how long; manifests too.
TIMED = {"index", "runs", "provenance", "report", "manifests", "values"}


def content(path: Path) -> bytes:
    """Return the bytes of a file; of a table of methods, all but the seconds they took."""
    if not path.name.endswith(".methods.parquet"):
        return path.read_bytes()
    return pd.read_parquet(path).drop(columns="seconds").to_json(double_precision=15).encode()


class Checkout(NamedTuple):
    """A folder in which make runs as a user would run it."""

    path: Path
    variables: dict[str, str] = {}  # noqa: RUF012  (a named tuple's default, never changed)

    def make(self, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
        """Run make and return its exit status and all that it printed."""
        return self.run("make", *arguments, **options)

    def run(self, *command: str, **options) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout, standard error in with standard output."""
        return subprocess.run(
            command,
            cwd=self.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2400,
            env={**os.environ, "STUDY": "smoke", **self.variables},
            **options,
        )

    def jobs(self, output: str) -> dict[str, int]:
        """Return the job counts by rule that a run or a dry run announced."""
        counts: Counter[str] = Counter()
        for rule, count in re.findall(r"(?m)(?:^  |: |, )([a-z][a-z ]*) \((\d+)\)", output):
            counts[rule.replace(" ", "_")] += int(count)
        return dict(counts)

    def results(self) -> dict[str, str]:
        """Return the SHA-256 of every result that tells no times."""
        found = {}
        for folder in ("results/smoke", "reports/smoke"):
            for path in sorted((self.path / folder).rglob("*")):
                name = path.relative_to(self.path)
                timed = path.stem in TIMED or path.name.endswith(".manifest.json")
                if path.suffix in SUFFIXES and not timed and "scratch" not in name.parts:
                    found[str(name)] = hashlib.sha256(content(path)).hexdigest()
        return found


def copy_of_repository(target: Path) -> Checkout:
    """Copy the tracked and the new files, keeping their times, and share the environment.

    The environment is brought up to date first: a copy that found it old would install itself.
    """
    subprocess.run(["make", "--silent", ".venv/.ready"], cwd=ROOT, check=True)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    (target / ".venv").symlink_to(ROOT / ".venv")
    return Checkout(target)


@pytest.fixture(scope="session")
def copied() -> Callable[[Path], Checkout]:
    """The function that makes a fresh copy, for fixtures that live longer than a test."""
    return copy_of_repository


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh copy without results."""
    return copy_of_repository(tmp_path / "topograph")


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Where `make smoke` has run, to be copied.

    In ``smoke`` a file may have been made again, and is then newer than what was made from it.
    """
    made = copy_of_repository(tmp_path_factory.mktemp("made") / "topograph")
    done = made.make("smoke")
    assert done.returncode == 0, done.stdout[-6000:]
    return made


@pytest.fixture(scope="session")
def smoke(untouched: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The finished smoke study that the tests of a process share, and mend where they break it."""
    target = tmp_path_factory.mktemp("smoke") / "topograph"
    shutil.copytree(untouched.path, target, symlinks=True)
    return Checkout(target)
