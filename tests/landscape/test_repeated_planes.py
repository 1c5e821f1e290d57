"""Repeated planes: the slices of their seeds on one range, and how much they differ or do not."""

from __future__ import annotations

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
from topograph.foundation.storage import read_dataset, write_dataset
from topograph.geometry.directions import random_directions
from topograph.landscape.sampling import sample
from topograph.landscape.slices import automatic_distance, repeated_planes, spread
from topograph.objective.objective import Objective

TOLERANCE = 0.01


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


@pytest.fixture(scope="module")
def classifier() -> Objective:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    return Objective.from_model(
        network.eval(), F.cross_entropy, (torch.randn(30, 4), torch.arange(30) % 3)
    )


def relu(scale: float) -> Objective:
    """One function, its hidden units scaled up and scaled back after the ReLU."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)).double()
    with torch.no_grad():
        network[0].weight *= scale
        network[0].bias *= scale
        network[2].weight /= scale
    data = (torch.randn(30, 4, dtype=torch.float64), torch.arange(30) % 3)
    return Objective.from_model(network.eval(), F.cross_entropy, data)


def test_repeated_planes_are_the_slices_along_the_directions_of_their_seeds(
    classifier: Objective,
) -> None:
    found = repeated_planes(classifier, planes=3, points=5, distance=0.5, seed=4)
    assert found["loss"].dims == ("plane", "alpha_1", "alpha_2")
    assert found["loss"].shape == (3, 5, 5)
    for number in range(3):
        directions = random_directions(classifier, 2, seed=int(found["seed"][number]))
        one = sample(classifier, directions, points=5, distance=0.5)
        np.testing.assert_array_equal(found["loss"][number], one["loss"])
        np.testing.assert_array_equal(found["norm"][number], directions.norms)
        np.testing.assert_array_equal(found["cosine"][number], directions.cosines)
        assert found["error_absolute"][number] == one.attrs["error_absolute"]
    assert len(set(found["cosine"].values[:, 0, 1])) == 3
    assert found.attrs["center_loss"] == one.attrs["center_loss"]
    assert found.attrs["distance"] == 0.5


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_one_range_holds_the_multiple_on_every_axis_of_every_plane(
    classifier: Objective, dimensions: int
) -> None:
    options = {"dimensions": dimensions, "planes": 4, "multiple": 3.0, "dtype": "float64"}
    found = repeated_planes(classifier, points=3, **options)
    assert found.attrs["reached"] == 1
    names = [f"alpha_{i + 1}" for i in range(dimensions)]
    for name in names:
        others = {other: 0.0 for other in names if other != name}
        along = found["loss"].sel(others)
        assert (along.max(name) >= 3 * found.attrs["center_loss"]).all()
        assert along[name].max() == found.attrs["distance"]
    searches = [
        automatic_distance(
            classifier,
            random_directions(classifier, dimensions, seed=int(one)),
            multiple=3.0,
            dtype="float64",
        )
        for one in found["seed"]
    ]
    assert found.attrs["distance"] == max(each.distance.max() for each in searches)
    assert found.attrs["searched"] == sum(each.evaluations for each in searches)


def test_a_call_repeats_to_the_last_bit_and_another_seed_draws_others(
    classifier: Objective, tmp_path: Path
) -> None:
    options = {"planes": 2, "points": 4, "multiple": 2.0}
    first, again, other = (repeated_planes(classifier, seed=s, **options) for s in (0, 0, 1))
    xr.testing.assert_identical(first, again)
    assert (first["cosine"] != other["cosine"]).any()
    write_dataset(tmp_path / "planes.nc", first)
    xr.testing.assert_identical(read_dataset(tmp_path / "planes.nc"), first)
    # Planes are independent of how many there are.
    more = repeated_planes(classifier, planes=3, points=4, distance=first.attrs["distance"])
    np.testing.assert_array_equal(more["loss"][:2], first["loss"])


@pytest.mark.parametrize(("scale", "dimensions"), [(10.0, 1), (0.1, 2)])
def test_rescaling_around_a_relu_leaves_filter_normalised_slices_unchanged(
    scale: float, dimensions: int
) -> None:
    options = {"dimensions": dimensions, "planes": 3, "points": 7, "dtype": "float64"}
    plain, scaled = (repeated_planes(relu(s), distance=1.0, **options) for s in (1.0, scale))
    assert plain.attrs["objective"] != scaled.attrs["objective"]
    np.testing.assert_allclose(scaled["loss"], plain["loss"], rtol=1e-5)
    found = [repeated_planes(relu(s), **options).attrs["distance"] for s in (1.0, scale)]
    assert found[0] == pytest.approx(found[1], rel=2 * TOLERANCE)
    raw = [
        repeated_planes(relu(s), distance=1.0, normalization="none", **options)["loss"]
        for s in (1.0, scale)
    ]
    assert not np.allclose(*raw, rtol=0.1)


@pytest.mark.parametrize("points", [4, 5])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_planes_of_a_loss_without_preferred_directions_do_not_differ(
    dimensions: int, points: int
) -> None:
    objective = objective_of(lambda x: 2 + (x - 1) @ (x - 1), at=1.0)
    options = {"normalization": "model", "distance": 2.0, "dtype": "float64"}
    found = repeated_planes(objective, dimensions=dimensions, points=points, planes=4, **options)
    assert found["cosine"].values.std() > 0 or dimensions == 1
    table = spread(found)
    np.testing.assert_allclose(table["upper_quartile"] - table["lower_quartile"], 0, atol=1e-5)
    if dimensions == 1:
        # All five parameters are 1, so a direction is as long as the root of 5.
        np.testing.assert_allclose(table["median"], 5 * table["distance"] ** 2, rtol=1e-6)
        assert table["distance"].tolist() == found["alpha_1"].values[points // 2 :].tolist()


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 100), planes=st.integers(1, 6), points=st.integers(2, 7))
def test_the_spread_in_a_bowl_is_that_of_the_curvatures_along_the_lines(
    seed: int, planes: int, points: int
) -> None:
    hessian = torch.tensor([100.0, 10.0, 1.0, 0.1, 0.0])
    objective = objective_of(lambda x: 1 + (hessian.to(x.dtype) * x) @ x / 2)
    options = {"dimensions": 1, "normalization": "none", "dtype": "float64", "seed": seed}
    found = repeated_planes(objective, planes=planes, points=points, distance=3.0, **options)
    table = spread(found)
    curvatures = []
    for one in found["seed"]:
        vectors = random_directions(objective, 1, normalization="none", seed=int(one)).vectors
        d = torch.cat([vectors["a"][0], vectors["b"][0]])
        curvatures.append(float((hessian * d) @ d))
    for name, share in (("lower_quartile", 0.25), ("median", 0.5), ("upper_quartile", 0.75)):
        expected = np.quantile(curvatures, share) * table["distance"] ** 2 / 2
        np.testing.assert_allclose(table[name], expected, rtol=1e-5, atol=1e-10)
    assert table["distance"].iloc[-1] == 3.0
    assert table["points"].sum() == points


@pytest.mark.parametrize(("points", "dimensions"), [(25, 2), (24, 2), (9, 3), (4, 4)])
def test_shells_are_whole_disjoint_and_as_thick_as_the_grid_is_fine(
    points: int, dimensions: int
) -> None:
    axis = np.linspace(-1, 1, points)
    names = [f"alpha_{i + 1}" for i in range(dimensions)]
    radius = np.sqrt(sum(a**2 for a in np.meshgrid(*[axis] * dimensions, indexing="ij")))
    losses = xr.DataArray(radius[None], {name: axis for name in names}, ("plane", *names))
    table = spread(xr.Dataset({"loss": losses}, attrs={"center_loss": 0.0}))
    # The loss is the distance, so the mean rise of a shell is its mean distance.
    np.testing.assert_allclose(table["median"], table["distance"])
    fine = axis[1] - axis[0]
    nearest = radius.min()
    edges = nearest + fine * (np.arange(len(table) + 1) - 0.5)
    counts = np.histogram(radius, edges)[0]
    np.testing.assert_array_equal(table["points"], counts)
    assert abs(table["distance"].iloc[-1] - 1) < fine


def test_rises_that_are_not_finite_are_kept_and_counted() -> None:
    alpha = np.array([-1.0, 0.0, 1.0])
    losses = np.ones((5, 3))
    losses[0, 0], losses[1, 2] = np.nan, np.inf
    table = spread(
        xr.Dataset(
            {"loss": (("plane", "alpha_1"), losses)},
            {"alpha_1": alpha},
            attrs={"center_loss": 1.0},
        )
    )
    assert table["not_finite"].tolist() == [0, 2]
    assert table["median"].iloc[0] == 0
    assert np.isnan(table["median"].iloc[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"planes": 0}, "planes is 0; allowed: a whole number of at least 1"),
        ({"planes": 1.5}, "planes is 1.5"),
        ({"dimensions": 0}, "n is 0; at least one direction is needed"),
        ({"multiple": 1.0}, "multiple is 1.0"),
        ({"distance": 0.0}, "each axis needs a finite number above 0"),
        ({"points": 1, "distance": 1.0}, "each axis needs a whole number of at least 2"),
        ({"normalization": "fliter"}, r"unknown normalization 'fliter' \(did you mean 'filter'"),
    ],
)
def test_planes_that_cannot_be_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(TopographError, match=message):
        repeated_planes(objective_of(lambda x: 2 + x @ x, at=1.0), **options)


def test_a_loss_at_the_centre_that_gives_no_range_is_refused() -> None:
    objective = objective_of(lambda x: torch.log(x[0]))
    with pytest.raises(TopographError, match="the loss at the centre is -inf; a range"):
        repeated_planes(objective, dimensions=1, planes=1, normalization="none")


def test_a_spread_needs_planes_on_equal_axes(classifier: Objective) -> None:
    directions = random_directions(classifier, 2)
    with pytest.raises(TopographError, match="give what repeated_planes returns"):
        spread(sample(classifier, directions, points=3))
    uneven = sample(classifier, directions, points=(3, 4)).expand_dims("plane")
    with pytest.raises(TopographError, match="allowed: planes on equal axes"):
        spread(uneven)
