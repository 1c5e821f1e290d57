"""Autoencoders of weights against PCA, against the points themselves, and their invariances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from torch import nn

from topograph.embedding import autoencoder
from topograph.embedding.autoencoder import (
    Autoencoder,
    autoencode,
    decoded_grid,
    held_out_reconstruction,
    pca_reconstruction,
)
from topograph.foundation.errors import TopographError
from topograph.landscape.evaluation import Points, evaluate
from topograph.landscape.plan import make_plan
from topograph.objective.objective import Objective


def orthonormal(rows: int, columns: int) -> np.ndarray:
    drawn = np.random.default_rng(7).standard_normal((rows, columns))
    return np.linalg.qr(drawn)[0]


def cap(dimensions: int = 50) -> np.ndarray:
    """Points (100, dimensions) of a curved surface, z = x² + y² over a rectangle."""
    x, y = np.random.default_rng(1).uniform(-1, 1, (2, 100)) * [[1.2], [1.0]]
    return np.column_stack([x, y, x**2 + y**2]) @ orthonormal(dimensions, 3).T


def runs() -> np.ndarray:
    """Points (60, 200) of six trainings from one start, each on a bent way of its own."""
    draw = np.random.default_rng(2)
    along = 1 - np.exp(-np.linspace(0, 3, 10))[:, None]
    ways = [along * first + along**2 * second for first, second in draw.normal(size=(6, 2, 200))]
    return 5 + np.concatenate(ways)


def gram_of(points: np.ndarray) -> np.ndarray:
    return points @ points.T


def relative_error(points: np.ndarray, decoded: np.ndarray) -> float:
    around = points - points.mean(axis=0)
    return float(np.linalg.norm(points - decoded) / np.linalg.norm(around))


@pytest.fixture(scope="module")
def curved() -> Autoencoder:
    return autoencode(gram_of(cap()), epochs=120)


@pytest.fixture(scope="module")
def trained() -> Autoencoder:
    return autoencode(gram_of(runs()), components=8, epochs=60)


def test_points_on_a_plane_are_decoded_to_themselves() -> None:
    points = np.random.default_rng(0).standard_normal((40, 2)) * [3, 1] @ orthonormal(60, 2).T + 2
    found = autoencode(gram_of(points), epochs=20)
    assert found.reconstruction < 1e-3 and pca_reconstruction(gram_of(points)) < 1e-3
    assert np.allclose(found.decode(found.coordinates) @ points, points, atol=1e-6)


def test_a_curved_surface_is_learnt_where_pca_lies_beside_it(curved: Autoencoder) -> None:
    plane = pca_reconstruction(gram_of(cap()))
    assert plane > 0.4
    assert curved.reconstruction < plane / 10
    # Between the points, too, what is decoded lies near the surface.
    *_, between = decoded_grid(0.7 * curved.coordinates, 15, margin=0)
    x, y, z = (curved.decode(between) @ cap() @ orthonormal(50, 3)).T
    assert np.sqrt(np.mean((z - x**2 - y**2) ** 2)) < 0.15 * z.std()


@pytest.mark.parametrize("components", [1, 2, 5, 200])
def test_before_the_first_epoch_it_is_pca(components: int) -> None:
    points = runs()
    found = autoencode(gram_of(points), components=components, epochs=0)
    pca = PCA(min(components, 2)).fit(points)
    assert np.allclose(
        found.decode(found.coordinates) @ points, pca.inverse_transform(pca.transform(points))
    )
    expected = pca_reconstruction(gram_of(points), min(components, 2))
    assert found.losses == pytest.approx([expected])
    assert expected == pytest.approx(np.sqrt(1 - pca.explained_variance_ratio_.sum()))


def test_the_errors_are_those_of_the_points_themselves(trained: Autoencoder) -> None:
    points = runs()
    decoded = trained.decode(trained.coordinates) @ points
    assert trained.reconstruction == pytest.approx(relative_error(points, decoded), rel=1e-9)
    assert trained.errors == pytest.approx(np.linalg.norm(points - decoded, axis=1), rel=1e-9)
    # Eight components do not hold twelve directions: what they leave out counts as well.
    assert trained.reconstruction > pca_reconstruction(gram_of(points), 8) > 0.05


def test_points_left_out_are_measured_against_pca_of_the_others() -> None:
    points, missed, spread = runs(), 0.0, 0.0
    for fold in range(4):
        left = np.arange(len(points)) % 4 == fold
        pca = PCA(2).fit(points[~left])
        decoded = pca.inverse_transform(pca.transform(points[left]))
        missed += np.sum((points[left] - decoded) ** 2)
        spread += np.sum((points[left] - points[~left].mean(axis=0)) ** 2)
    found = held_out_reconstruction(gram_of(points), epochs=0)
    assert found == pytest.approx(np.sqrt(missed / spread))


def test_noise_is_learnt_by_heart_and_a_surface_is_not() -> None:
    noise = np.random.default_rng(5).normal(size=(24, 200))
    assert autoencode(gram_of(noise), epochs=150).reconstruction < 0.3
    assert held_out_reconstruction(gram_of(noise), epochs=150) > 0.95
    assert held_out_reconstruction(gram_of(cap()), epochs=120) < pca_reconstruction(gram_of(cap()))


@pytest.mark.parametrize(
    ("gram", "folds", "words"),
    [
        (np.eye(5), 1, "folds is 1; allowed: 2 to 5"),
        (np.eye(5), 6, "folds is 6; allowed: 2 to 5"),
        (np.ones((4, 5)), 2, "shape \\(4, 5\\)"),
        (np.eye(3), 3, "at least 3 points"),
    ],
)
def test_folds_that_cannot_be_made_are_answered(gram: np.ndarray, folds: int, words: str) -> None:
    with pytest.raises(TopographError, match=words):
        held_out_reconstruction(gram, folds=folds)


def test_the_network_kept_is_that_of_the_lowest_error(trained: Autoencoder) -> None:
    assert len(trained.losses) == 61
    assert trained.losses[0] == pytest.approx(pca_reconstruction(gram_of(runs())))
    assert trained.reconstruction == pytest.approx(trained.losses.min(), rel=1e-9)
    assert trained.losses.min() < trained.losses[0]


def test_exact_scores_give_back_the_points() -> None:
    scores = autoencoder._scores(gram_of(runs()), 100)
    assert scores.white.shape == (60, 12)
    assert np.allclose(scores.coefficients(scores.white) @ runs(), runs())
    # Of points in general position nothing but the point itself makes each.
    apart = autoencoder._scores(gram_of(np.random.default_rng(3).normal(size=(20, 90))), 100)
    assert np.allclose(apart.coefficients(apart.white), np.eye(20))


def test_coordinates_reach_from_minus_one_to_one(trained: Autoencoder) -> None:
    low, high = trained.coordinates.min(axis=0), trained.coordinates.max(axis=0)
    assert low == pytest.approx(-high)
    assert high.max() == pytest.approx(1)


def test_a_rotation_or_another_origin_changes_nothing(trained: Autoencoder) -> None:
    moved = (runs() - 5) @ orthonormal(200, 200)
    found = autoencode(gram_of(moved), components=8, epochs=60)
    assert found.coordinates == pytest.approx(trained.coordinates, abs=1e-6)
    assert found.errors == pytest.approx(trained.errors, rel=1e-5)


def test_points_ten_times_as_far_apart_have_the_same_map(trained: Autoencoder) -> None:
    found = autoencode(gram_of(10 * runs()), components=8, epochs=60)
    assert found.reconstruction == pytest.approx(trained.reconstruction, rel=1e-6)
    assert found.errors == pytest.approx(10 * trained.errors, rel=1e-5)
    assert found.coordinates == pytest.approx(trained.coordinates, abs=1e-6)


def test_a_seed_gives_the_same_bits_again_and_leaves_torch_as_it_was() -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        first, again, other = (
            autoencode(gram_of(runs()), epochs=15, seed=seed) for seed in (3, 3, 4)
        )
    used = torch.get_num_threads()
    torch.set_num_threads(threads)
    assert used == 1
    assert torch.equal(torch.get_rng_state(), before)
    grid = decoded_grid(first.coordinates, 5)[2]
    assert first.coordinates.tobytes() == again.coordinates.tobytes()
    assert first.decode(grid).tobytes() == again.decode(grid).tobytes()
    assert not np.allclose(first.coordinates, other.coordinates, atol=1e-6)


@given(
    points=st.integers(3, 12),
    dimensions=st.integers(1, 15),
    decades=st.floats(0, 5),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25, deadline=None)
def test_decoded_points_are_affine_combinations_and_never_worse_than_pca(
    points: int, dimensions: int, decades: float, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    widths = np.logspace(0, -decades, dimensions)
    given_points = draw.standard_normal((points, dimensions)) * widths + draw.normal()
    gram = gram_of(given_points)
    found = autoencode(gram, width=4, epochs=3, seed=seed)
    coefficients = found.decode(draw.uniform(-1.5, 1.5, (7, 2)))
    assert coefficients.shape == (7, points)
    assert np.allclose(coefficients.sum(axis=1), 1, atol=1e-12 * np.abs(coefficients).sum())
    assert found.reconstruction <= pca_reconstruction(gram) + 1e-9
    decoded = found.decode(found.coordinates) @ given_points
    assert found.reconstruction == pytest.approx(relative_error(given_points, decoded), abs=1e-6)


def test_training_stops_where_nothing_is_left_to_gain() -> None:
    line = np.linspace(0, 1, 9)[:, None] ** 2 * [3.0, 4.0]
    found = autoencode(gram_of(line), epochs=400)
    assert len(found.losses) == autoencoder.PATIENCE + 1
    assert found.reconstruction < 1e-7
    # On a line the map is a line, and so is its grid.
    axis_1, axis_2, _ = decoded_grid(found.coordinates, 3, margin=0)
    assert axis_1 == pytest.approx([-1, 0, 1]) and axis_2 == pytest.approx(0, abs=1e-6)


class Bowl(nn.Module):
    """Parameters a (2,) and b (3,), and half their squared length as the output."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.a, self.b]).square().sum() / 2 + 0 * inputs.sum()


def test_the_loss_on_the_decoded_grid_is_that_at_the_decoded_parameters() -> None:
    thetas = np.random.default_rng(4).standard_normal((15, 5)) + 3
    found = autoencode(gram_of(thetas), epochs=10)
    *_, flat = decoded_grid(found.coordinates, 4)
    data = (torch.zeros(1, 1), torch.zeros(1))
    objective = Objective.from_model(Bowl().eval(), lambda outputs, _: outputs, data)
    plan = make_plan(objective, "decoded", 16, "auto", "float64", None)
    offsets = torch.from_numpy(thetas - thetas[0])
    origin = {"a": torch.from_numpy(thetas[0, :2]), "b": torch.from_numpy(thetas[0, 2:])}
    whole = torch.from_numpy(thetas)
    coefficients = found.decode(flat)
    expected = np.sum((coefficients @ thetas) ** 2, axis=1) / 2
    for points in (
        Points(None, {"a": whole[:, :2], "b": whole[:, 2:]}, coefficients),
        Points(origin, {"a": offsets[:, :2], "b": offsets[:, 2:]}, coefficients),
    ):
        assert evaluate(objective, points, plan)["loss"] == pytest.approx(expected)


def test_the_grid_reaches_beyond_the_map_and_lies_in_c_order() -> None:
    axis_1, axis_2, flat = decoded_grid([[0.0, 10.0], [1.0, 30.0]], 3, margin=0.5)
    assert axis_1.tolist() == [-0.5, 0.5, 1.5] and axis_2.tolist() == [0, 20, 40]
    shaped = flat.reshape(3, 3, 2)
    assert (shaped[:, :, 0] == axis_1[:, None]).all() and (shaped[:, :, 1] == axis_2).all()
    assert decoded_grid([[0.0, 10.0], [1.0, 30.0]])[2].shape == (625, 2)


@pytest.mark.parametrize(
    ("gram", "options", "words"),
    [
        (np.eye(2), {}, "shape \\(2, 2\\).*at least 3 points"),
        (np.ones((4, 5)), {}, "shape \\(4, 5\\)"),
        (np.full((4, 4), np.nan), {}, "not finite in 4 of 4 rows"),
        (np.zeros((4, 4)), {}, "the 4 points all coincide"),
        (np.full((4, 4), 1e8 / 3), {}, "the 4 points all coincide"),
        (np.eye(4), {"components": 0}, "components is 0"),
        (np.eye(4), {"width": 0}, "width is 0"),
        (np.eye(4), {"epochs": -1}, "epochs is -1"),
    ],
)
def test_what_cannot_be_mapped_is_answered(gram: np.ndarray, options: dict, words: str) -> None:
    with pytest.raises(TopographError, match=words):
        autoencode(gram, **options)


def test_coordinates_of_another_shape_are_answered() -> None:
    found = autoencode(np.eye(4), epochs=0)
    with pytest.raises(TopographError, match="shape \\(2,\\); allowed: \\(P, 2\\)"):
        found.decode([0.0, 1.0])
    with pytest.raises(TopographError, match="points is 1"):
        decoded_grid(found.coordinates, 1)
