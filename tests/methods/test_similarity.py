"""The networks of all seeds beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from topograph.config.models import Similarity
from topograph.foundation.storage import read_dataset, read_table
from topograph.methods.similarity import write_similarity
from topograph.methods.subject import Subject


def test_a_network_is_like_itself_and_apart_from_another(trained: Any, tmp_path: Path) -> None:
    asked = Similarity(kind="similarity", points=5)
    files = trained.files(tmp_path)
    write_similarity(
        trained.cell, asked, trained.weights, files, scratch=tmp_path / "scratch", code="a"
    )
    found, rows = read_dataset(files["results"]), read_table(files["methods"])
    assert found["model"].values.tolist() == list(trained.cell.seeds)
    np.testing.assert_allclose(np.diag(found["cka"]), 1, atol=1e-6)
    subject = Subject(trained.cell, asked, trained.weights)
    names = subject.objective(0).names
    ends = [subject.parameters(names, seed, trained.epochs[-1]) for seed in trained.cell.seeds]
    apart = np.sqrt(sum(float((ends[0][n] - ends[1][n]).square().sum()) for n in names))
    assert float(found["distance"][0, 1]) == pytest.approx(apart, rel=1e-5)
    barrier = rows.set_index("method").loc["barriers", "barrier"]
    np.testing.assert_allclose(found["barrier"], [[0, barrier], [barrier, 0]])
    assert rows["method"].tolist() == ["cka", "barriers"]
