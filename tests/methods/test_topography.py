"""What kind of place training ends at, against the whole Hessian."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from topograph.config.models import Topography
from topograph.foundation.storage import read_dataset, read_table
from topograph.landscape.hessian import HessianProduct
from topograph.methods.subject import Subject
from topograph.methods.topography import _stages, write_topography


def test_the_card_holds_what_the_whole_hessian_says(trained: Any, tmp_path: Path) -> None:
    asked = Topography(kind="topography", stages=2, eigenvalues=3, points=5)
    files = trained.files(tmp_path, "card", "critical")
    write_topography(
        trained.cell, asked, trained.weights, files, scratch=tmp_path / "scratch", code="a"
    )
    found, card = read_dataset(files["results"]), read_table(files["card"]).set_index("seed")
    assert found["epoch"].values.tolist() == [trained.epochs[0], trained.epochs[-1]]
    for seed in trained.cell.seeds:
        objective = Subject(trained.cell, asked, trained.weights).objective(seed)
        product = HessianProduct(objective, dtype="float64")
        values = np.linalg.eigvalsh(np.array([product(row) for row in np.eye(product.size)]))
        row, end = card.loc[seed], found.sel(seed=seed, epoch=trained.epochs[-1])
        np.testing.assert_allclose(end["top"], values[:-4:-1], rtol=1e-6)
        np.testing.assert_allclose(end["bottom"], values[:3], rtol=1e-6, atol=1e-8 * values[-1])
        assert row["top_eigenvalue"] == pytest.approx(values[-1], rel=1e-6)
        assert row["trace"] == pytest.approx(values.sum(), rel=1e-3)
        assert float(found["layer_trace"].sel(seed=seed).sum()) == pytest.approx(
            values.sum(), rel=1e-3
        )
        assert row["parameters"] == product.size
        assert row["train_loss"] == pytest.approx(row["loss"], rel=1e-5)
        assert np.isnan(row["test_loss"])
        assert row["stable_rate_low"] <= row["stable_rate"] <= row["stable_rate_high"]
        assert row["sharpness_worst"] >= row["sharpness_average"]
        assert "gradient" in row["words"]
    critical = read_table(files["critical"])
    # Along one direction extrema alternate: between two minima lies a maximum.
    line = critical[critical["dimensions"] == 1].pivot_table(
        index=["seed", "directions"], columns="index", values="count"
    )
    assert ((line[0] - line[1]).abs() <= 1).all()
    assert set(critical["directions"]) == {"hessian", "random"}
    rows = read_table(files["methods"])
    assert (rows.loc[rows["method"] == "critical_points", "evaluations"] > 2 * 125).all()


def test_stages_are_evenly_spaced_with_both_ends() -> None:
    assert _stages(list(range(11)), 3) == [0, 5, 10]
    assert _stages([0, 1], 4) == [0, 1]
    assert _stages([7], 2) == [7]
