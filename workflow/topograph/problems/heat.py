"""Heat conduction in a rod, written with DeepXDE alone: how a problem of DeepXDE's users looks."""

from __future__ import annotations

from typing import Any

import numpy as np

from topograph.problems.through_deepxde import load_deepxde


def heat(*, diffusivity: float, points: int = 200, end: float = 1.0) -> Any:
    """Return u_t = a u_xx on [0, 1], u = 0 at both ends, u(x, 0) = sin(pi x), as a ``TimePDE``.

    ``points`` lie inside, a fifth as many at the ends and a fifth at the start, drawn anew by no
    one: a low-discrepancy sequence. The solution is exp(-a pi^2 t) sin(pi x).
    """
    deepxde = load_deepxde()
    rod, times = deepxde.geometry.Interval(0, 1), deepxde.geometry.TimeDomain(0, end)
    domain = deepxde.geometry.GeometryXTime(rod, times)

    def equation(inputs: Any, u: Any) -> Any:
        in_time = deepxde.grad.jacobian(u, inputs, i=0, j=1)
        return in_time - diffusivity * deepxde.grad.hessian(u, inputs, i=0, j=0)

    def solution(inputs: np.ndarray) -> np.ndarray:
        x, t = inputs[:, :1], inputs[:, 1:]
        return np.exp(-diffusivity * np.pi**2 * t) * np.sin(np.pi * x)

    ends = deepxde.icbc.DirichletBC(domain, lambda _: 0.0, lambda _, on_boundary: on_boundary)
    start = deepxde.icbc.IC(domain, solution, lambda _, on_initial: on_initial)
    return deepxde.data.TimePDE(
        domain,
        equation,
        [ends, start],
        num_domain=points,
        num_boundary=points // 5,
        num_initial=points // 5,
        solution=solution,
        num_test=1024,
    )
