"""Convection, u_t + beta u_x = 0 on a circle (Krishnapriyan et al. 2021, arXiv 2109.01050)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from topograph.problems.problem import Points, Solution


@dataclass(frozen=True)
class Convection:
    """Transport of sin(x) at speed beta, x in [0, 2 pi), t in [0, 1]; u = sin(x - beta t).

    ``collocation`` points are drawn without replacement from the inner nodes of the test grid,
    with ``points_seed``, as in Geniesse et al. 2024 (N_f = 100).
    """

    beta: float
    collocation: int = 100
    points_seed: int = 0

    variables: ClassVar[tuple[str, ...]] = ("x", "t")
    nodes: ClassVar[tuple[int, int]] = (256, 100)

    def residual(self, u: Solution) -> Any:
        """Return u_t + beta u_x: one derivative, along the characteristic."""
        return u.along(t=1.0, x=self.beta)

    def exact(self, x: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return sin(x - beta t)."""
        return np.sin(x - self.beta * t)

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Return 256 values of x without the end point and 100 values of t with it."""
        x = np.linspace(0, 2 * np.pi, self.nodes[0], endpoint=False)
        return x, np.linspace(0, 1, self.nodes[1])

    def points(self) -> Points:
        """Return N_u = 256 initial points, N_b = 100 pairs of ends and the collocation points."""
        x, t = self.grid()
        initial = np.stack([x, np.zeros_like(x)], axis=1)
        left = np.stack([np.zeros_like(t), t], axis=1)
        right = np.stack([np.full_like(t, 2 * np.pi), t], axis=1)
        inner = np.stack(np.meshgrid(x[1:], t[1:], indexing="ij"), axis=-1).reshape(-1, 2)
        drawn = np.random.default_rng(self.points_seed).choice(
            len(inner), self.collocation, replace=False
        )
        values = self.exact(initial[:, :1], initial[:, 1:])
        arrays = (initial, values, left, right, inner[drawn])
        return Points(*(array.astype(np.float32) for array in arrays))
