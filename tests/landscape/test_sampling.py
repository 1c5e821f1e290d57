"""Grids of losses: every value in closed form, exact ends, exact centre, kept infinities."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from topograph.foundation.errors import TopographError
from topograph.geometry.directions import Directions, random_directions
from topograph.landscape.grid import axis
from topograph.landscape.sampling import interpolate, sample
from topograph.objective import engines
from topograph.objective.objective import Objective

ENGINES = ("stacked", "in-place")


class Formula(nn.Module):
    """Parameters a (2,) and b (3,), and an "output" computed from all five."""

    def __init__(self, function: object, at: float = 0.0) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.full((2,), at))
        self.b = nn.Parameter(torch.full((3,), at))
        self.function = function

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.function(torch.cat([self.a, self.b])) + 0 * inputs.sum()


def objective_of(function: object, at: float = 0.0) -> Objective:
    data = (torch.zeros(1, 1), torch.zeros(1))
    return Objective.from_model(Formula(function, at).eval(), lambda outputs, _: outputs, data)


def axes(*rows: list[float]) -> Directions:
    """Directions from rows of five numbers."""
    flat = torch.tensor(rows, dtype=torch.float64)
    gram = flat @ flat.T
    norms = gram.diagonal().sqrt()
    vectors = {"a": flat[:, :2], "b": flat[:, 2:]}
    return Directions(vectors, norms, gram / torch.outer(norms, norms))


FIRST = [1.0, 0, 0, 0, 0]
SECOND = [0, 1.0, 0, 0, 0]


@pytest.fixture(scope="module")
def classifier() -> Objective:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    return Objective.from_model(
        network.eval(), F.cross_entropy, (torch.randn(30, 4), torch.arange(30) % 3)
    )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 3), engine=st.sampled_from(ENGINES))
def test_a_slice_of_a_quadratic_equals_its_closed_form(seed: int, n: int, engine: str) -> None:
    draw = np.random.default_rng(seed)
    half, g, d = draw.normal(size=(5, 5)), draw.normal(size=5), draw.normal(size=(n, 5))
    h, c, theta = half + half.T, 3.0, np.full(5, 0.5)
    hessian, slope = torch.from_numpy(h), torch.from_numpy(g)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return c + slope.to(x.dtype) @ x + x @ hessian.to(x.dtype) @ x / 2

    counts, reaches = (4, 3, 5)[:n], (0.7, 2.0, 1.1)[:n]
    dataset = sample(
        objective_of(loss, at=0.5),
        axes(*d.tolist()),
        points=counts,
        distance=reaches,
        engine=engine,
        dtype="float64",
    )
    at_centre = c + g @ theta + theta @ h @ theta / 2
    grids = [dataset[f"alpha_{i + 1}"].values for i in range(n)]
    for index in itertools.product(*(range(count) for count in counts)):
        alpha = np.array([grid[i] for grid, i in zip(grids, index, strict=True)])
        expected = at_centre + alpha @ d @ (g + h @ theta) + alpha @ d @ h @ d.T @ alpha / 2
        assert dataset["loss"].values[index] == pytest.approx(expected, rel=1e-12, abs=1e-11)


@pytest.mark.parametrize("engine", ENGINES)
def test_axes_keep_their_order_on_a_grid_that_is_not_square(engine: str) -> None:
    objective = objective_of(lambda x: 10 * x[0] + x[1])
    dataset = sample(objective, axes(FIRST, SECOND), points=(3, 5), engine=engine)
    assert dataset["loss"].dims == ("alpha_1", "alpha_2")
    assert dataset["loss"].shape == (3, 5)
    expected = 10 * dataset["alpha_1"] + dataset["alpha_2"]
    np.testing.assert_allclose(dataset["loss"], expected, rtol=1e-6)


def test_the_valley_of_a_separable_bowl_does_not_zig_zag() -> None:
    objective = objective_of(lambda x: (x[0] - 0.3) ** 2 + x[1] ** 2)
    loss = sample(objective, axes(FIRST, SECOND), points=(9, 6))["loss"].values
    assert len(set(loss.argmin(axis=0))) == 1


@settings(max_examples=100, deadline=None)
@given(distance=st.floats(1e-3, 100), points=st.integers(2, 101))
def test_axes_are_symmetric_end_at_the_distance_and_hit_the_centre(
    distance: float, points: int
) -> None:
    alpha = axis(distance, points)
    assert (alpha[0], alpha[-1], len(alpha)) == (-distance, distance, points)
    np.testing.assert_array_equal(alpha, -alpha[::-1])
    np.testing.assert_allclose(np.diff(alpha), 2 * distance / (points - 1), rtol=1e-10)
    if points % 2:
        assert alpha[points // 2] == 0


@pytest.mark.parametrize("points", [2, 11, 40, 41])
def test_stored_axes_are_where_the_losses_were_evaluated(points: int) -> None:
    dataset = sample(objective_of(lambda x: x[0]), axes(FIRST), points=points, distance=0.3)
    alpha = dataset["alpha_1"].values
    assert (alpha[0], alpha[-1]) == (-0.3, 0.3)
    np.testing.assert_array_equal(dataset["loss"], alpha.astype(np.float32))


def test_axes_may_differ_in_points_and_reach() -> None:
    objective = objective_of(lambda x: x[0] + x[1])
    dataset = sample(objective, axes(FIRST, SECOND), points=[2, 3], distance=[1.0, 5.0])
    np.testing.assert_array_equal(dataset["alpha_1"], [-1, 1])
    np.testing.assert_array_equal(dataset["alpha_2"], [-5, 0, 5])
    numpy_sizes = sample(objective, axes(FIRST, SECOND), points=np.int64(3), distance=np.float32(2))
    assert numpy_sizes["loss"].shape == (3, 3)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_centre_vertex_is_the_loss_of_the_model(
    classifier: Objective, engine: str, dtype: str
) -> None:
    directions = random_directions(classifier, 2)
    dataset = sample(classifier, directions, points=5, engine=engine, dtype=dtype)
    vertex = dataset["loss"].sel(alpha_1=0, alpha_2=0).item()
    center = classifier.at(getattr(torch, dtype)).center
    expected = classifier.evaluate({k: v[None] for k, v in center.items()}, engine=engine)["loss"]
    assert vertex == expected.item()
    rel = 1e-6 if dtype == "float32" else 1e-14
    assert vertex == pytest.approx(expected.item(), rel=rel)
    assert dataset.attrs["center_loss"] == pytest.approx(vertex, rel=rel)
    assert vertex == pytest.approx(classifier.loss(center).item(), rel=rel)


def test_an_even_grid_misses_the_centre_and_still_records_its_loss(classifier: Objective) -> None:
    dataset = sample(classifier, random_directions(classifier, 1), points=4)
    assert not (dataset["alpha_1"] == 0).any()
    expected = classifier.loss(classifier.center).item()
    assert dataset.attrs["center_loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_values_that_are_not_finite_are_kept(engine: str) -> None:
    objective = objective_of(lambda x: torch.log(x[0]), at=1.0)
    dataset = sample(objective, axes(FIRST), points=5, distance=2.0, engine=engine)
    nan, minus_infinity, *rest = dataset["loss"].values  # at -1, 0, 1, 2, 3
    assert np.isnan(nan)
    assert minus_infinity == -np.inf
    np.testing.assert_allclose(rest, np.log([1, 2, 3]), atol=1e-6)
    assert np.isfinite(dataset.attrs["error_absolute"])


@pytest.mark.parametrize("engine", ENGINES)
def test_zero_and_negative_losses_are_losses_like_others(engine: str) -> None:
    objective = objective_of(lambda x: x[0] - x[0].abs())
    loss = sample(objective, axes(FIRST), points=5, engine=engine)["loss"].values
    np.testing.assert_array_equal(loss, [-2, -1, 0, 0, 0])


def test_two_calls_agree_to_the_last_bit(classifier: Objective) -> None:
    directions = random_directions(classifier, 2)
    first, second = (sample(classifier, directions, points=9) for _ in range(2))
    xr.testing.assert_identical(first, second)


@pytest.mark.parametrize("tile", [1, 7, 81, 200])
def test_the_tile_changes_no_value(
    classifier: Objective, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    directions = random_directions(classifier, 2)
    expected = sample(classifier, directions, points=9, dtype="float64", engine="stacked")["loss"]
    monkeypatch.setitem(engines.MOST_POINTS, "cpu", tile)
    for engine in ENGINES:
        found = sample(classifier, directions, points=9, dtype="float64", engine=engine)["loss"]
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_a_sweep_leaves_the_centre_as_it_was(classifier: Objective) -> None:
    before = {name: value.clone() for name, value in classifier.center.items()}
    digest = classifier.digest
    sample(classifier, random_directions(classifier, 2), points=4)
    assert all(torch.equal(value, before[name]) for name, value in classifier.center.items())
    assert classifier.digest == digest


def test_the_dataset_describes_directions_engine_and_model(classifier: Objective) -> None:
    directions = random_directions(classifier, 2)
    dataset = sample(classifier, directions, points=3)
    np.testing.assert_array_equal(dataset["norm"], directions.norms)
    np.testing.assert_array_equal(dataset["cosine"], directions.cosines)
    assert dataset["loss"].dtype == np.float64
    kept = {name: dataset.attrs[name] for name in ("engine", "dtype", "objective")}
    assert kept == {"engine": "stacked", "dtype": "float32", "objective": classifier.digest}


def test_metrics_are_sampled_beside_the_loss() -> None:
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    inputs, targets = torch.randn(11, 3), torch.arange(11) % 2

    def share(outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return (outputs.argmax(1) == wanted).double().mean()

    objective = Objective.from_model(
        network.eval(), F.cross_entropy, (inputs, targets), metrics={"accuracy": share}
    )
    directions = random_directions(objective, 1)
    dataset = sample(objective, directions, points=3)
    step = directions.vectors["weight"][0]
    moved = F.linear(inputs, network.weight + step, network.bias)
    assert dataset["accuracy"].values[2] == pytest.approx(share(moved, targets).item())


def test_directions_are_matched_to_parameters_by_name() -> None:
    objective = objective_of(lambda x: x[0] + 100 * x[4])
    given = axes(FIRST)
    swapped = given._replace(vectors=dict(reversed(given.vectors.items())))
    np.testing.assert_array_equal(
        sample(objective, given, points=3)["loss"], sample(objective, swapped, points=3)["loss"]
    )


def test_directions_of_another_model_are_refused() -> None:
    objective = objective_of(lambda x: x[0])
    longer = Objective.from_model(
        nn.Linear(3, 1).eval(), F.mse_loss, (torch.zeros(1, 3), torch.zeros(1, 1))
    )
    with pytest.raises(TopographError, match="the directions belong to another model"):
        sample(objective, random_directions(longer, 1), points=3)
    same_size = axes(FIRST)._replace(vectors={"a": torch.ones(1, 3), "b": torch.ones(1, 2)})
    with pytest.raises(TopographError, match=r"'a' has shape \(3,\) in the directions and \(2,\)"):
        sample(objective, same_size, points=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 1}, r"points is \[1.0, 1.0\]; each axis needs a whole number of at least 2"),
        ({"points": 2.5}, "whole number"),
        ({"points": (3, 3, 3)}, "points has 3 values for 2 directions; give one, or 2"),
        ({"distance": 0}, r"distance is \[0.0, 0.0\]; each axis needs a finite number above 0"),
        ({"distance": (1.0, -1.0)}, "above 0"),
        ({"distance": float("nan")}, "above 0"),
        ({"distance": float("inf")}, "finite number"),
        ({"distance": [1.0]}, "distance has 1 values for 2 directions"),
        ({"engine": "stakced"}, r"unknown engine 'stakced' \(did you mean 'stacked'"),
        (
            {"dtype": "float16"},
            r"unknown dtype 'float16' .*allowed: bfloat16, float32, float64, tf32",
        ),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(TopographError, match=message):
        sample(objective_of(lambda x: x[0]), axes(FIRST, SECOND), **options)


def test_a_centre_that_is_not_finite_is_refused() -> None:
    objective = objective_of(lambda x: x[0], at=float("nan"))
    with pytest.raises(TopographError, match="parameters that are not finite: training diverged"):
        sample(objective, axes(FIRST), points=3)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_centre_vertex_equals_losses_at_the_centre_bit_for_bit(
    classifier: Objective, engine: str
) -> None:
    wide = Objective.from_model(
        nn.Sequential(nn.Linear(30, 5), nn.Tanh(), nn.Linear(5, 2)).eval(),
        F.cross_entropy,
        (torch.randn(9, 30), torch.arange(9) % 2),
    )
    for objective in (classifier, wide):
        dataset = sample(objective, random_directions(objective, 3), points=5, engine=engine)
        center = {name: value[None] for name, value in objective.center.items()}
        expected = objective.evaluate(center, engine=engine)["loss"].item()
        assert dataset["loss"].sel(alpha_1=0, alpha_2=0, alpha_3=0).item() == expected
        assert dataset.attrs["center_loss"] == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_listed_points_in_any_order_have_the_bits_of_the_grid(
    classifier: Objective, engine: str
) -> None:
    directions = random_directions(classifier, 2)
    grid = sample(classifier, directions, points=(9, 8), engine=engine)
    alphas = np.stack(np.meshgrid(grid["alpha_1"], grid["alpha_2"], indexing="ij"), axis=-1)
    order = np.random.default_rng(0).permutation(72)
    listed = sample(classifier, directions, points=alphas.reshape(-1, 2)[order], engine=engine)
    assert listed["loss"].dims == ("point",)
    np.testing.assert_array_equal(listed["loss"], grid["loss"].values.ravel()[order])
    np.testing.assert_array_equal(listed["alpha_2"], alphas.reshape(-1, 2)[order, 1])


@pytest.mark.parametrize("points", [np.zeros((3, 1)), np.zeros((0, 2)), [[0.0, float("nan")]]])
def test_a_list_that_is_no_list_of_points_is_refused(points: object) -> None:
    with pytest.raises(TopographError, match="a list of points needs one row per point with 2"):
        sample(objective_of(lambda x: x[0]), axes(FIRST, SECOND), points=points)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_interpolation_hits_both_ends_exactly_and_the_middle(
    classifier: Objective, engine: str
) -> None:
    start = classifier.center
    end = {name: value + 0.3 * torch.randn_like(value) for name, value in start.items()}
    line = interpolate(classifier, start, end, points=5, engine=engine)
    assert line["loss"].dims == ("t",)
    np.testing.assert_array_equal(line["t"], [0, 0.25, 0.5, 0.75, 1])
    both = {name: torch.stack([start[name], end[name]]) for name in start}
    first, last = classifier.evaluate(both, engine=engine)["loss"].tolist()
    assert (line["loss"].values[0], line["loss"].values[4]) == (first, last)
    assert line.attrs["center_loss"] == first
    middle = {name: (start[name] + end[name]) / 2 for name in start}
    assert line["loss"].values[2] == pytest.approx(classifier.loss(middle).item(), rel=1e-5)


def test_a_line_between_different_architectures_is_refused(classifier: Objective) -> None:
    end = {**classifier.center, "0.weight": torch.zeros(9, 9)}
    with pytest.raises(TopographError, match=r"'0.weight' has shape \(9, 9\)"):
        interpolate(classifier, classifier.center, end)
    with pytest.raises(TopographError, match="points is 1; a line needs"):
        interpolate(classifier, classifier.center, classifier.center, points=1)


def test_several_centres_are_stacked_each_with_its_own_directions(tmp_path: Path) -> None:
    objectives = [objective_of(lambda x: x[0] ** 2, at=at) for at in (0.0, 3.0)]
    found = sample(objectives, [axes(FIRST), axes([2.0, 0, 0, 0, 0])], points=3, path=tmp_path)
    assert found["loss"].dims == ("center", "alpha_1")
    np.testing.assert_array_equal(found["loss"], [[1, 0, 1], [1, 9, 25]])
    np.testing.assert_array_equal(found["center_loss"], [0, 9])
    assert found["objective"].values[0] != found["objective"].values[1]
    again = sample(objectives, [axes(FIRST), axes([2.0, 0, 0, 0, 0])], points=3, path=tmp_path)
    xr.testing.assert_identical(found, again)
    with pytest.raises(TopographError, match="2 objectives came with 1 sets of directions"):
        sample(objectives, axes(FIRST))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_metric_per_class_has_an_axis_of_its_own(engine: str) -> None:
    network = nn.Linear(3, 4).eval()
    inputs, targets = torch.randn(40, 3), torch.arange(40) % 4

    def recall(outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        hit = (outputs.argmax(1) == wanted).double()[:, None] * F.one_hot(wanted, 4)
        return hit.mean(dim=0)

    objective = Objective.from_model(
        network, F.cross_entropy, (inputs, targets), metrics={"recall": recall}
    )
    dataset = sample(objective, random_directions(objective, 2), points=3, engine=engine)
    assert dataset["recall"].dims == ("alpha_1", "alpha_2", "recall_class")
    expected = recall(network(inputs), targets)
    np.testing.assert_allclose(dataset["recall"].values[1, 1], expected)


def test_directions_that_are_not_finite_are_refused() -> None:
    broken = axes([1.0, 0, 0, 0, float("nan")])
    with pytest.raises(TopographError, match="'b' has directions that are not finite"):
        sample(objective_of(lambda x: x[0]), broken)


def test_a_model_in_float64_is_sampled_around_all_its_digits() -> None:
    third = torch.tensor(1 / 3, dtype=torch.float64)
    objective = objective_of(lambda x: x[0], at=0.0)
    network = Formula(lambda x: x[0]).double().eval()
    with torch.no_grad():
        network.a.fill_(third)
    data = (torch.zeros(1, 1), torch.zeros(1))
    objective = Objective.from_model(network, lambda outputs, _: outputs, data)
    found = sample(objective, axes(FIRST), points=3, dtype="float64")
    assert found["loss"].sel(alpha_1=0).item() == 1 / 3
