"""The largest learning rate at which gradient descent stays at a model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from topograph.foundation.errors import TopographError
from topograph.foundation.seeds import derive_seed
from topograph.landscape.point import loss_and_gradient, place
from topograph.objective.engines import Placed
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten, unflatten

# The first displacement in lengths of the weights: the curvature hardly changes on the way.
DISPLACEMENT = 1e-3
# The rates tried first are so far apart, and no two decided are left further apart than this.
APART, CLOSE = 4.0, 1.05
# Beyond the rate whose first step is as long as the displacement, in units of it: no network is
# trained by steps of 65 times its weights.
CEILING = APART**8


class StableRate(NamedTuple):
    """A rate between ``low``, at which descent was stable, and ``high``, at which it diverged.

    ``rate`` is their geometric mean, ``gradients`` counts the gradients taken.
    """

    rate: float
    low: float
    high: float
    gradients: int


def largest_stable_rate(
    objective: Objective,
    *,
    steps: int = 100,
    factor: float = 10.0,
    seed: int = 0,
    dtype: str = "float64",
    device: str | None = None,
) -> StableRate:
    """Return the learning rate at which plain full-batch gradient descent begins to diverge.

    Descent starts at the centre, displaced by a random vector of a thousandth of the weights'
    length. It diverges where a loss within ``steps`` is not finite, or has risen above that of the
    start, L_0, by more than ``factor`` - 1 times |L_0|. The rates are a factor of 4 apart until one
    is stable and the next is not, then halved in log space to 5 %; where stability comes and goes
    with the rate, one of the changes is found.

    On a quadratic the limit is 2/lambda_max: no smaller rate diverges, and one that is larger by a
    share s multiplies the rise along the steepest direction by (1 + 2s)^2 a step, which is seen
    where s > ln(factor L_0 / that rise) / (4 steps): a few per cent. A network may stay at larger
    rates, by leaving for flatter ground (Cohen et al. 2021, arXiv 2103.00065).

    ``high`` and ``rate`` are infinite where nothing diverges up to 65536 times the rate whose first
    step is as long as the displacement (``low``), or where the start is flat; all three are NaN
    where its loss or gradient is not finite. Raises TopographError for fewer than 1 step, a factor
    that is not above 1, weights that are all 0 or not finite, an unknown dtype, or a loss without
    gradient.
    """
    if steps < 1:
        raise TopographError(f"steps is {steps}; allowed: 1 or more; 100 are usual")
    if not factor > 1:
        raise TopographError(f"factor is {factor}; allowed: above 1; 10 is usual")
    descent = _Descent(place(objective, dtype, device), steps, factor, seed)
    low, high = _bracket(descent)
    while CLOSE * low < high < np.inf:
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if descent.is_stable(middle) else (low, middle)
    return StableRate(float(np.sqrt(low * high)), low, high, descent.gradients)


class _Descent:
    """Gradient descent from one start, ``first`` being the rate that steps by its displacement."""

    def __init__(self, placed: Placed, steps: int, factor: float, seed: int) -> None:
        self._placed, self._steps = placed, steps
        self.gradients = 0
        center = flatten(placed.center)
        if not center.any():
            raise TopographError(
                "all weights at the centre are 0, so that a displacement relative to them has no "
                "length; give a trained or an initialised model"
            )
        # Drawn on the CPU: the same on every device.
        generator = torch.Generator().manual_seed(derive_seed(seed, "stable rate"))
        drawn = torch.randn(len(center), generator=generator, dtype=torch.float64).to(center)
        length = DISPLACEMENT * center.norm()
        self._start = center + length * drawn / drawn.norm()
        loss, self._slope = self._at(self._start)
        self._most = loss + (factor - 1) * abs(loss)
        # As tensors: a start without slope has an infinite first rate, one of NaN has NaN.
        self.first = float(length / self._slope.norm()) if np.isfinite(loss) else float("nan")

    def is_stable(self, rate: float) -> bool:
        """Whether no loss on the way is higher than allowed, or not finite."""
        point, slope = self._start, self._slope
        for _ in range(self._steps):
            point = point - rate * slope
            loss, slope = self._at(point)
            if not (np.isfinite(loss) and loss <= self._most):
                return False
        return True

    def _at(self, point: Tensor) -> tuple[float, Tensor]:
        self.gradients += 1
        loss, slope = loss_and_gradient(self._placed, unflatten(point, self._placed.center))
        return float(loss), slope


def _bracket(descent: _Descent) -> tuple[float, float]:
    """Return a stable rate and the next one, which is not, or infinity above the ceiling."""
    rate = descent.first
    if not 0 < rate < np.inf:
        # A gradient that is infinite gives a rate of 0, a flat start one of infinity.
        return (rate, rate) if rate else (np.nan, np.nan)
    if not descent.is_stable(rate):
        while not descent.is_stable(rate / APART):
            rate /= APART
        return rate / APART, rate
    while rate < CEILING * descent.first:
        rate *= APART
        if not descent.is_stable(rate):
            return rate / APART, rate
    return rate, np.inf
