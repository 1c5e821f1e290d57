"""What a physics-informed problem provides, and the derivatives that its residual may ask for."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np


class Solution(Protocol):
    """A network's output at some points, able to differentiate itself by the inputs."""

    @property
    def value(self) -> Any:
        """Return u, (points, 1)."""

    def coordinate(self, name: str) -> Any:
        """Return an input, (points, 1), for terms that depend on it."""

    def along(self, *, order: int = 1, **direction: float) -> Any:
        """Return the first or second directional derivative, (points, 1).

        The direction is given by the weights of named inputs.
        """


class Points(NamedTuple):
    """The fixed training points of a problem with inputs (x, t).

    initial (N_u, 2) with values (N_u, 1); left and right (N_b, 2), pairs that must agree;
    collocation (N_f, 2), where the residual is averaged. Arrays in float32, or tensors of them.
    """

    initial: Any
    values: Any
    left: Any
    right: Any
    collocation: Any


class Problem(Protocol):
    """An evolution equation on an interval with periodic ends."""

    variables: tuple[str, ...]

    def points(self) -> Points:
        """Return the training points, the same at every call."""

    def residual(self, u: Solution) -> Any:
        """Return the equation's left side minus its right side, (points, 1)."""

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the axes x and t on which errors are measured."""

    def exact(self, x: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return the true solution."""


def is_deepxde(problem: Any) -> bool:
    """Say whether a problem is a data object of DeepXDE's, without importing deepxde."""
    return any(c.__module__.startswith("deepxde.") for c in type(problem).__mro__)
