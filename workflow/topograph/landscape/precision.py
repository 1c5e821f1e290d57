"""How far losses in a short type lie from those in float64, measured and not assumed."""

from __future__ import annotations

import numpy as np

from topograph.landscape.evaluation import Points, evaluate
from topograph.landscape.plan import Plan, is_out_of_memory
from topograph.objective.objective import Objective

MOST_VERTICES, FEWEST_VERTICES = 64, 4


def random_vertices(count: int) -> np.ndarray:
    """Return a sample of a landscape's vertices, the same at every call."""
    wanted = min(count, MOST_VERTICES, max(FEWEST_VERTICES, count // 500))
    return np.random.default_rng(0).choice(count, wanted, replace=False)


def measured_errors(
    objective: Objective, points: Points, losses: np.ndarray, plan: Plan, vertices: np.ndarray
) -> dict[str, float]:
    """Return the largest absolute and relative difference to float64 at some vertices.

    ``losses`` (M,) are those of ``points`` under ``plan``; vertices whose loss is not finite in
    both types are left out. Zero for a plan in float64.
    """
    if plan.dtype == "float64":
        return {"error_absolute": 0.0, "error_relative": 0.0}
    chosen = points.at(points.coefficients[vertices])
    exact = _exact(objective, chosen, plan.in_double())
    found = losses[vertices]
    finite = np.isfinite(exact) & np.isfinite(found)
    error = np.abs(found[finite] - exact[finite])
    scale = np.maximum(np.abs(exact[finite]), np.finfo(float).tiny)
    return {
        "error_absolute": float(error.max(initial=0.0)),
        "error_relative": float((error / scale).max(initial=0.0)),
    }


def _exact(objective: Objective, points: Points, plan: Plan) -> np.ndarray:
    """Return the losses in float64, in smaller tiles where memory that was enough no longer is."""
    while True:
        try:
            return evaluate(objective, points, plan)["loss"]
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        plan = plan.with_half_the_tile()
