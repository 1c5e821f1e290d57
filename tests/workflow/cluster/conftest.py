"""Copies of the repository that share the environments of the executors with it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def with_executor(checkout: Any) -> Callable[[str], Any]:
    """Make the environment of an executor, once, and give it to the copy."""

    def copy(executor: str) -> Any:
        folder = f".venv-{executor}"
        made = subprocess.run(["make", "--silent", f"{folder}/.ready"], cwd=ROOT, check=False)
        if made.returncode != 0:
            pytest.skip(f"{folder} cannot be installed here: not run")
        (checkout.path / folder).symlink_to(ROOT / folder)
        return checkout

    return copy
