"""Sharpness: how far the loss rises around a model, at worst or on average, within a distance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from topograph.foundation.errors import TopographError, unknown_name
from topograph.foundation.seeds import derive_seed
from topograph.geometry.directions import random_directions
from topograph.landscape.point import loss_and_gradient, place
from topograph.landscape.sampling import sample
from topograph.objective.engines import Placed
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten, unflatten

KINDS = ("worst", "adaptive", "average")
# Croce & Hein 2020: the share of a step that is new, and the first step in units of rho.
MOMENTUM = 0.75
FIRST_STEP = 2.0
# A point of a landscape adds up all its directions: more at a time cost more than they save.
DRAWS_AT_ONCE = 32


class Sharpness(NamedTuple):
    """A rise of the loss, its standard error (NaN but for an average), and losses evaluated."""

    value: float
    standard_error: float
    evaluations: int


def sharpness(
    objective: Objective,
    *,
    rho: float,
    kind: str = "worst",
    steps: int = 20,
    draws: int = 100,
    seed: int = 0,
    dtype: str = "float64",
    device: str | None = None,
) -> Sharpness:
    """Return how far the loss rises above that at the centre within a distance ``rho``.

    - ``worst``     the largest L(theta + d) - L(theta) with ||d|| <= rho (Keskar et al. 2017, Foret
                    et al. 2021)
    - ``adaptive``  the same with ||d / |theta| || <= rho, elementwise (Kwon et al. 2021, arXiv
                    2102.11600): scaling one layer of a ReLU network up and the next one down
                    changes nothing; a parameter of 0 does not move
    - ``average``   its mean over Gaussian d with E||d||^2 = rho^2, over ``draws`` of them, with the
                    standard error

    The first two go up in ``steps`` as Auto-PGD does (Croce & Hein 2020, arXiv 2003.01690;
    Andriushchenko et al. 2023, arXiv 2302.07011, who find that they tell little of generalisation):
    with momentum, the step halved where it does not rise, once from the centre along the gradient
    and once from a random point of the sphere. The best point seen counts, the centre among them: a
    lower bound of the maximum, never below 0. An ascent ends at a loss that is not finite, which is
    then the value. For a quadratic at its minimum these are rho^2 lambda_max / 2, rho^2
    lambda_max(D H D) / 2 with D = diag |theta|, and rho^2 tr H / (2 N) for N parameters.

    Raises TopographError for an unknown kind or dtype, a rho that is not a finite number above 0,
    fewer than 1 step or 2 draws, a centre that is not finite, or a loss without gradient.
    """
    if kind not in KINDS:
        raise unknown_name("kind", kind, KINDS)
    if not 0 < rho < np.inf:
        raise TopographError(f"rho is {rho}; allowed: a finite number above 0; give a distance")
    placed = place(objective, dtype, device)
    if kind == "average":
        return _average(objective, rho, draws, seed, dtype, device)
    if steps < 1:
        raise TopographError(f"steps is {steps}; allowed: 1 or more; 20 are usual")
    hill = _Hill(placed, adaptive=kind == "adaptive")
    starts = [hill.foot, hill.random_point(rho, seed)]
    ends = [_ascended(hill, start, rho, steps) for start in starts]
    # numpy's maximum keeps NaN.
    return Sharpness(float(np.maximum.reduce([0.0, *ends])), float("nan"), hill.evaluations)


class _Hill:
    """The rise of the loss and its gradient at d = scale u, in the coordinates u (N,)."""

    def __init__(self, placed: Placed, *, adaptive: bool) -> None:
        self._placed = placed
        self._center = flatten(placed.center)
        self._scale = self._center.abs() if adaptive else torch.ones_like(self._center)
        self.evaluations = 0
        self._level = 0.0
        self._level, _ = self(self.foot)

    @property
    def foot(self) -> Tensor:
        """The centre."""
        return torch.zeros_like(self._center)

    def random_point(self, rho: float, seed: int) -> Tensor:
        """Return a point of the sphere, drawn on the CPU: the same on every device."""
        generator = torch.Generator().manual_seed(derive_seed(seed, "sharpness start"))
        drawn = torch.randn(len(self._center), generator=generator, dtype=torch.float64)
        return (rho * drawn / drawn.norm()).to(self._center)

    def __call__(self, u: Tensor) -> tuple[float, Tensor]:
        parameters = unflatten(self._center + self._scale * u, self._placed.center)
        loss, gradient = loss_and_gradient(self._placed, parameters)
        self.evaluations += 1
        return float(loss) - self._level, self._scale * gradient


def _ascended(hill: _Hill, point: Tensor, rho: float, steps: int) -> float:
    """Return the highest rise that an ascent within ||u|| <= rho comes to."""
    best, slope = hill(point)
    before, length, share = point, FIRST_STEP * rho, 1.0
    for _ in range(steps):
        if not (np.isfinite(best) and slope.any()):
            break
        ahead = _inside(point + length * slope / slope.norm(), rho)
        moved = _inside(point + share * (ahead - point) + (1 - share) * (point - before), rho)
        # The first step is that of sharpness-aware minimisation, rho g / ||g||.
        share = MOMENTUM
        rise, there = hill(moved)
        if rise <= best:
            before, length = point, length / 2
        else:
            before, point, best, slope = point, moved, rise, there
    return best


def _inside(u: Tensor, rho: float) -> Tensor:
    return u * (rho / u.norm()).clamp(max=1.0)


def _average(
    objective: Objective, rho: float, draws: int, seed: int, dtype: str, device: str | None
) -> Sharpness:
    if draws < 2:
        raise TopographError(f"draws is {draws}; a standard error needs at least 2")
    spread = rho / np.sqrt(flatten(objective.center).numel())
    rises = []
    for first in range(0, draws, DRAWS_AT_ONCE):
        count = min(DRAWS_AT_ONCE, draws - first)
        drawn = derive_seed(seed, "sharpness draws", first)
        directions = random_directions(objective, count, normalization="none", seed=drawn)
        along = spread * np.eye(count)
        landscape = sample(objective, directions, points=along, dtype=dtype, device=device)
        rises.append(landscape["loss"].values - landscape.attrs["center_loss"])
    found = np.concatenate(rises)
    # Infinite losses have an infinite mean, and no spread.
    with np.errstate(invalid="ignore"):
        error = found.std(ddof=1) / np.sqrt(draws)
    return Sharpness(float(found.mean()), float(error), draws + len(rises))
