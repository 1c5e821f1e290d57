"""Tests of claims find planted.py beside them, and draw fewer permutations."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from topograph.claims import statistics

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "PERMUTATIONS", 999)
    monkeypatch.setattr(statistics, "DRAWS", 200)
