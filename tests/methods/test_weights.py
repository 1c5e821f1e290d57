"""Maps of all weights of a cell, and the loss on the surfaces that lead back to weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from topograph.config.models import WeightMap
from topograph.foundation.storage import read_dataset, read_table, read_weights
from topograph.foundation.storage import write_weights as store_weights
from topograph.geometry.gram import distances
from topograph.methods.subject import Subject
from topograph.methods.weights import AUTOENCODER, Weights, _evaluated, write_weights


def test_the_loss_at_combinations_that_are_points_is_theirs(trained: Any) -> None:
    kept = Weights(Subject(trained.cell, WeightMap(kind="weights"), trained.weights))
    gram, count = kept.gram(), len(kept.points)
    found = _evaluated(kept, gram, np.eye(count), "cpu")
    expected = [kept.loss(number) for number in range(count)]
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-3)


def test_distances_are_those_of_the_weights(trained: Any) -> None:
    kept = Weights(Subject(trained.cell, WeightMap(kind="weights"), trained.weights))
    vectors = np.stack([kept.theta(number).numpy() for number in range(len(kept.points))])
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    np.testing.assert_allclose(distances(kept.gram()), apart, atol=1e-4)


def test_maps_of_two_plane_paths(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AUTOENCODER, "epochs", 60)
    asked = WeightMap(kind="weights", maps=["pca", "autoencoder"], points=5)
    files = trained.files(tmp_path)
    write_weights(
        trained.cell, asked, trained.weights, files, scratch=tmp_path / "scratch", code="a"
    )
    found = read_dataset(files["results"])
    rows = read_table(files["methods"]).set_index("method")
    assert found["coordinates"].shape == (2, len(trained.cell.seeds) * len(trained.epochs), 2)
    assert float(found["explained"].sum()) == pytest.approx(1, abs=1e-6)
    # Two planes span five dimensions at most.
    assert (found["explained"].values[5:] < 1e-6).all()
    assert found["pca_loss"].shape == found["autoencoder_loss"].shape == (5, 5)
    assert rows["evaluations"].tolist() == [25, 25]
    left = float(found["explained"][2:].sum())
    assert rows.loc["pca", "reconstruction"] == pytest.approx(np.sqrt(left), abs=1e-6)
    # All but a few of the points are near the planes of the others.
    held_out = rows["reconstruction_held_out"]
    assert (held_out > rows["reconstruction"] - 1e-9).all() and held_out["pca"] < 1
    assert (rows["trustworthiness"] <= 1).all() and (rows["stress"] >= 0).all()
    assert rows.loc["pca", "seed_spread"] == 0 < rows.loc["autoencoder", "seed_spread"]


def test_too_few_weights_for_a_map_leave_an_empty_result(trained: Any, tmp_path: Path) -> None:
    """As where one of two seeds diverged and training kept its two ends."""
    tensors, _ = read_weights(trained.weights)
    broken = {
        name: np.full_like(value, np.nan) if name.startswith(f"{trained.cell.seeds[0]}/") else value
        for name, value in tensors.items()
        if int(name.split("/")[1]) in (0, trained.epochs[-1])
    }
    written = tmp_path / "weights.safetensors"
    store_weights(written, broken, {})
    files = trained.files(tmp_path)
    write_weights(
        trained.cell,
        WeightMap(kind="weights"),
        written,
        files,
        scratch=tmp_path / "scratch",
        code="a",
    )
    assert not read_dataset(files["results"]).data_vars
    assert read_table(files["methods"]).empty
