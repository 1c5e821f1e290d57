"""Low-loss curves: known valleys and saddles, never worse than the line, what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from torch import Tensor, nn
from torch.nn import functional as F

from topograph.foundation.errors import TopographError
from topograph.landscape import curves
from topograph.landscape.curves import Curve, along, barriers, connect, find_curve
from topograph.objective.objective import Objective

MOVING = ("bezier", "nudged_elastic_band")
Loss = Callable[[Tensor], Tensor]
Weights = dict[str, Tensor]


class Formula(nn.Module):
    """A parameter x (n,), and an "output" computed from it."""

    def __init__(self, function: Loss, size: int) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.zeros(size))
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(self.x) + 0 * inputs.sum()


def objective_of(function: Loss, size: int) -> Objective:
    data = (torch.zeros(1, 1), torch.zeros(1))
    return Objective.from_model(Formula(function, size).eval(), lambda outputs, _: outputs, data)


def at(*values: float, size: int = 0) -> Weights:
    x = torch.zeros(max(size, len(values)))
    x[: len(values)] = torch.tensor(values)
    return {"x": x}


def ring(x: Tensor) -> Tensor:
    """A valley along the unit circle of the first two, a bowl in the others."""
    return (x[0] ** 2 + x[1] ** 2 - 1) ** 2 + x[2:].square().sum()


WEST, EAST = at(-1.0, size=4), at(1.0, size=4)


def test_around_a_ring_curves_avoid_the_hill_that_the_line_crosses() -> None:
    objective = objective_of(ring, 4)
    assert connect(objective, WEST, EAST, curve="line").attrs["barrier"] == 1
    bent = find_curve(objective, WEST, EAST, steps=400)
    assert along(objective, bent).attrs["barrier"] < 0.05
    # Where the mean loss on such a curve is least: |x_1| = sqrt(9 / 2), by hand.
    middle = bent.vectors["x"][1]
    assert abs(middle[1].item()) == pytest.approx(math.sqrt(4.5), rel=0.05)
    assert torch.cat([middle[:1], middle[2:]]).abs().max() < 0.1
    band = connect(objective, WEST, EAST, curve="nudged_elastic_band", steps=100)
    assert band.attrs["barrier"] < 0.005
    assert band["length"].values[-1] == pytest.approx(math.pi, rel=0.05)


@pytest.mark.parametrize("curve", MOVING)
def test_in_a_thousand_dimensions_a_curved_valley_is_followed(curve: str) -> None:
    draw = torch.Generator().manual_seed(0)
    u, v, w = torch.linalg.qr(torch.randn((1000, 3), generator=draw).double())[0].T

    def valley(x: Tensor) -> Tensor:
        """A valley along p^2 + q^2 = 1, bent out of their plane, along no coordinate."""
        p, q = u.to(x) @ x, v.to(x) @ x
        aside = x - p * u.to(x) - q * v.to(x) - (p * p + q) / 2 * w.to(x)
        return (p * p + q * q - 1) ** 2 + aside.square().sum()

    ends = [{"x": side * u + w / 2} for side in (-1, 1)]
    objective = objective_of(valley, 1000)
    line = connect(objective, *ends, curve="line")
    found = connect(objective, *ends, curve=curve, steps=80, pivots=5, points=21)
    assert line["loss"].values[0] < 1e-6 < 1 < line.attrs["barrier"]
    assert found.attrs["barrier"] < line.attrs["barrier"] / 5


def mueller_brown(x: Tensor) -> Tensor:
    heights, u, v, a, b, c = torch.tensor(
        [
            [-200.0, -100, -170, 15],
            [1, 0, -0.5, -1],
            [0, 0.5, 1.5, 1],
            [-1, -1, -6.5, 0.7],
            [0, 0, 11, 0.6],
            [-10, -10, -6.5, 0.7],
        ]
    ).to(x)
    p, q = x[0] - u, x[1] - v
    return (heights * torch.exp(a * p * p + b * p * q + c * q * q)).sum()


def test_the_band_passes_the_saddle_of_the_mueller_brown_surface() -> None:
    minima = at(-0.558224, 1.441726), at(0.623499, 0.028038)
    objective, options = objective_of(mueller_brown, 2), {"pivots": 13, "steps": 80}
    found = connect(objective, *minima, curve="nudged_elastic_band", points=71, **options)
    assert found["loss"].values[[0, -1]] == pytest.approx([-146.6995, -108.1667], abs=1e-3)
    # The saddle, at (-0.822002, 0.624313), is the lowest pass.
    assert found["loss"].values.max() == pytest.approx(-40.6648, abs=1)


def test_exchanged_ends_give_the_mirrored_band() -> None:
    objective = objective_of(lambda x: ring(x) + 0.1 * x[0], 4)
    options = {"curve": "nudged_elastic_band", "pivots": 5, "steps": 40}
    there, back = (connect(objective, *ends, **options) for ends in ((WEST, EAST), (EAST, WEST)))
    np.testing.assert_allclose(back["loss"][::-1], there["loss"], atol=0.01)
    assert back.attrs["barrier"] == pytest.approx(there.attrs["barrier"], abs=0.01)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ((0.0, 1.0, 3.0), (0.0, 1.0)),
        ((3.0, 1.0, 0.0), (1.0, 0.0)),
        ((1.0, 1.0, 3.0), (0.0, 1.0)),
        ((0.0, 4.0, 3.0), (1.0, 4.0)),  # a maximum: the higher neighbour has the larger weight
        ((3.0, 4.0, 0.0), (4.0, 1.0)),
        ((3.0, 0.0, 4.0), (3.0, 4.0)),
        ((2.0, 2.0, 2.0), (1.0, 1.0)),
    ],
)
def test_the_tangent_of_a_band_points_to_the_higher_neighbour(
    losses: tuple[float, ...], expected: tuple[float, float]
) -> None:
    corner = torch.tensor([[-1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    found = curves._tangents(corner, torch.tensor(losses))
    torch.testing.assert_close(found, F.normalize(torch.tensor([expected])))


def test_pivots_are_moved_across_the_band_alone() -> None:
    def loss(x: Tensor) -> Tensor:
        return ring(x) + torch.sin(3 * x[0])

    ends, pivots = (
        torch.stack([WEST["x"], EAST["x"]]),
        torch.tensor([[-0.5, 0.2, 0.1, 0.0], [0.1, 0.4, 0.0, 0.1], [0.6, 0.3, -0.2, 0.0]]),
    )
    gradient = curves._Gradient(objective_of(loss, 4))
    found = curves._across_band(gradient, ends)(pivots)
    chain = torch.cat([ends[:1], pivots, ends[1:]])
    losses, slopes = zip(*map(gradient, chain), strict=True)
    tangents = curves._tangents(chain, torch.stack(losses))
    along_band = torch.stack(slopes[1:-1]) - found
    assert (found * tangents).sum(dim=1).abs().max() < 1e-6
    shares = (along_band * tangents).sum(dim=1, keepdim=True)
    torch.testing.assert_close(along_band, shares * tangents)
    assert along_band.norm(dim=1).min() > 0.1


def test_the_pivots_of_a_band_are_equally_far_apart() -> None:
    band = find_curve(objective_of(ring, 4), WEST, EAST, curve="nudged_elastic_band", steps=40)
    x = band.vectors["x"].double()
    assert len(x) == 11
    # Equal along the polygon that they were moved on; their own chords cut its corners.
    np.testing.assert_allclose(x.diff(dim=0).norm(dim=1), math.pi / 10, rtol=0.03)


@pytest.mark.parametrize("curve", curves.CURVES)
def test_in_a_bowl_there_is_no_barrier_and_nothing_is_better_than_the_line(curve: str) -> None:
    objective = objective_of(lambda x: x.square().sum(), 3)
    ends = at(-1.0, 0.5, 0.2), at(1.0, -0.5, -0.2)
    found, line = (connect(objective, *ends, curve=c, steps=20) for c in (curve, "line"))
    assert found.attrs["barrier"] == line.attrs["barrier"] == 0
    assert found["loss"].max() == line["loss"].max()
    assert found["loss"].mean() <= line["loss"].mean()


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), curve=st.sampled_from(MOVING), steps=st.integers(1, 12))
@example(seed=10, curve="bezier", steps=5)  # a lower barrier beside a larger loss
def test_no_curve_is_worse_than_the_line(seed: int, curve: str, steps: int) -> None:
    draw = np.random.default_rng(seed)
    waves, phases = (
        torch.from_numpy(draw.normal(size=(6, 3))),
        torch.from_numpy(draw.normal(size=6)),
    )

    def rough(x: Tensor) -> Tensor:
        return torch.sin(3 * waves.to(x) @ x + phases.to(x)).sum() + x.square().sum()

    objective = objective_of(rough, 3)
    ends = [{"x": torch.from_numpy(draw.normal(size=3))} for _ in range(2)]
    options = {"points": 9, "pivots": 3, "steps": steps, "engine": "stacked"}
    line, found = (connect(objective, *ends, curve=c, **options) for c in ("line", curve))
    assert found.attrs["barrier"] <= line.attrs["barrier"]
    assert found["loss"].max() <= line["loss"].max()


def test_exchanged_ends_mirror_a_bezier_curve_to_the_last_bit() -> None:
    objective = objective_of(ring, 4)
    there, back = (find_curve(objective, *ends, steps=50) for ends in ((WEST, EAST), (EAST, WEST)))
    assert len(there.vectors["x"]) == 3
    assert torch.equal(there.vectors["x"].flip(0), back.vectors["x"])


@pytest.mark.parametrize("curve", MOVING)
def test_neither_the_scale_of_the_loss_nor_that_of_the_parameters_changes_a_step(
    curve: str,
) -> None:
    # Powers of two round nothing: the control points are the same bits.
    tiny, far = 2.0**-30, 2.0**20
    options = {"curve": curve, "pivots": 3, "steps": 20, "points": 9}
    expected = find_curve(objective_of(ring, 4), WEST, EAST, **options).vectors["x"]
    lower = objective_of(lambda x: tiny * ring(x), 4)
    wider = objective_of(lambda x: ring(x / far), 4)
    ends = [{"x": far * end["x"]} for end in (WEST, EAST)]
    assert len(expected) > 2
    assert torch.equal(find_curve(lower, WEST, EAST, **options).vectors["x"], expected)
    assert torch.equal(find_curve(wider, *ends, **options).vectors["x"], far * expected)


def test_lengths_are_those_of_the_curve() -> None:
    objective = objective_of(ring, 2)
    line = connect(objective, at(-1.0, 0.0), at(2.0, 4.0), curve="line", points=6)
    np.testing.assert_allclose(line["length"], np.linspace(0, 5, 6), rtol=1e-12)
    assert line.attrs["distance"] == 5
    parabola = Curve("bezier", {"x": torch.tensor([[-1.0, 0], [0, 2], [1, 0]])})
    found = along(objective, parabola, points=401)
    # x = 2t - 1, y = 4t(1 - t).
    for share in (0.25, 0.5, 1.0):
        expected = quad(lambda t: math.hypot(2, 4 - 8 * t), 0, share)[0]
        assert found["length"].sel(t=share).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("curve", ["line", "bezier"])
def test_barriers_of_several_models_are_those_of_each_pair(
    curve: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [at(math.cos(a), math.sin(a), size=4) for a in (0.0, 1.0, 2.5, 2.5)]
    options = {"curve": curve, "points": 11, "steps": 20}
    calls: list[float] = []
    whole = curves.connect

    def counted(*arguments: object, **keywords: object) -> xr.Dataset:
        calls.append(1)
        return whole(*arguments, **keywords)

    monkeypatch.setattr(curves, "connect", counted)
    objective = objective_of(ring, 4)
    found = barriers(objective, models, **options)
    assert len(calls) == 6
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(found.diagonal(), 0)
    assert found[2, 3] == 0
    for i, j in ((0, 1), (0, 2), (1, 3)):
        assert found[i, j] == whole(objective, models[i], models[j], **options).attrs["barrier"]
    if curve == "line":
        # The chord between angles a and b comes as near as cos((a - b) / 2) to the middle.
        assert found[0, 1] == pytest.approx((math.cos(0.5) ** 2 - 1) ** 2, rel=1e-5)


@pytest.mark.parametrize("curve", curves.CURVES)
def test_identical_ends_make_a_curve_of_no_length_and_no_barrier(curve: str) -> None:
    third = {"x": torch.full((4,), 1 / 3)}
    found = connect(objective_of(ring, 4), third, third, curve=curve, points=7)
    assert found.attrs["barrier"] == found.attrs["distance"] == found.attrs["steps"] == 0
    assert found.attrs["evaluations"] == 7
    np.testing.assert_array_equal(found["length"], 0)
    assert len(set(found["loss"].values)) == 1


def test_evaluations_count_gradients_judgements_and_points() -> None:
    objective, options = objective_of(ring, 4), {"points": 5, "steps": 20}
    assert connect(objective, WEST, EAST, curve="line", **options).attrs["evaluations"] == 5
    bent = connect(objective, WEST, EAST, **options)
    # Two gradients a step, 11 judgements and the result.
    assert bent.attrs["evaluations"] == 2 * 20 + 12 * 5
    band = connect(objective, WEST, EAST, curve="nudged_elastic_band", pivots=3, **options)
    assert band.attrs["evaluations"] == 2 + 3 * 20 + 12 * 5
    assert bent.attrs["steps"] == band.attrs["steps"] == 20


@pytest.mark.parametrize("curve", MOVING)
def test_losses_that_are_not_finite_are_kept_and_end_the_search(curve: str) -> None:
    objective = objective_of(lambda x: torch.sqrt(x[0] ** 2 - 0.25) + x[1], 2)
    found = connect(objective, at(-1.0, 0.0), at(1.0, 0.0), curve=curve, points=9, pivots=3)
    middle = found["loss"].sel(t=0.5).item()
    assert math.isnan(middle) and math.isnan(found.attrs["barrier"])
    assert found.attrs["steps"] < 200
    assert np.isfinite(found["loss"].values[[0, -1]]).all()


@pytest.mark.parametrize("curve", MOVING)
def test_a_curve_is_found_around_values_that_are_not_finite(curve: str) -> None:
    # The line touches the pole at 0, where no gradient is taken.
    objective = objective_of(lambda x: 0.01 / x.square().sum() + 0.01 * x.square().sum(), 2)
    ends = at(-1.0, 0.0), at(1.0, 0.0)
    line, found = (
        connect(objective, *ends, curve=c, points=9, pivots=4, steps=40) for c in ("line", curve)
    )
    assert line.attrs["barrier"] == math.inf
    assert found.attrs["barrier"] < 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"curve": "beziere"}, r"unknown curve 'beziere' \(did you mean 'bezier'\?\); allowed: "),
        ({"points": 1}, "points is 1; a line needs a whole number of at least 2"),
        ({"pivots": 0}, "pivots is 0; a curve needs a whole number of at least 1"),
        ({"pivots": 1.5}, "pivots is 1.5"),
        ({"steps": 0}, "steps is 0"),
        ({"engine": "stakced"}, "unknown engine 'stakced'"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
        ({"device": "cuda:99"}, "device 'cuda:99' does not exist"),
        ({"end": {"x": torch.zeros(2)}}, r"end: 'x' has shape \(2,\) and in the objective \(4,\)"),
        ({"end": {"y": torch.zeros(4)}}, "end: 'x' has shape None and in the objective"),
        ({"start": {**EAST, "y": torch.zeros(1)}}, r"start: 'y' has shape \(1,\) and in the"),
        ({"start": at(math.inf, size=4)}, "start holds parameters that are not finite"),
    ],
)
@pytest.mark.parametrize("curve", curves.CURVES)
def test_what_makes_no_curve_is_refused(
    curve: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(TopographError, match=message):
        connect(objective_of(ring, 4), **{"start": WEST, "end": EAST, "curve": curve, **options})


def test_a_curve_of_another_model_and_a_loss_without_gradient_are_refused() -> None:
    curve = find_curve(objective_of(ring, 4), WEST, EAST, curve="line")
    with pytest.raises(TopographError, match=r"the curve: 'x' has shape \(4,\)"):
        along(objective_of(ring, 3), curve)
    constant = objective_of(lambda x: torch.ones(()), 4)
    assert connect(constant, WEST, EAST, curve="line").attrs["barrier"] == 0
    with pytest.raises(TopographError, match="the loss does not depend on x, so it has no"):
        connect(constant, WEST, EAST)


def test_parameters_may_come_from_a_model_that_is_still_trained() -> None:
    network = Formula(ring, 4)
    with torch.no_grad():
        network.x[0] = 1
        found = connect(objective_of(ring, 4), WEST, dict(network.named_parameters()), steps=5)
    assert found["loss"].values[-1] == 0 and network.x.grad is None
