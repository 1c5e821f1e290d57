"""What a case may ask of a package, in the package's own words as little as possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor, nn


class NotOffered(Exception):
    """The package does not claim to do this: neither passed nor failed."""


class Problem(NamedTuple):
    """A model in evaluation mode, its loss (mean over a batch) and its data."""

    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    batches: list[tuple[Tensor, Tensor]]


class Grid(NamedTuple):
    """Losses over a grid: alpha along each axis, and one step of alpha = 1 as rows (n, N).

    ``coordinates`` (M, n) are those that the package itself returns beside the losses, in the
    order of the flattened losses; None where it returns none.
    """

    axes: list[np.ndarray]
    losses: np.ndarray
    units: np.ndarray
    coordinates: np.ndarray | None


class Package(Protocol):
    """Thin adapter of one package; whatever it lacks raises NotOffered.

    Parameter vectors are flat rows in the order of ``model.parameters()``.
    """

    name: str
    filter_normalised: bool
    engines: tuple[str, ...]

    def grid(
        self, problem: Problem, directions: Tensor, points: int | Sequence[int], distance: float
    ) -> Grid:
        """Sample around the model along directions (n, N)."""

    def points(
        self, problem: Problem, directions: Tensor, alphas: np.ndarray, engine: str
    ) -> np.ndarray:
        """Return losses (M,) at points alpha (M, n), by one of ``engines``."""

    def random_plane(self, problem: Problem, points: int, distance: float, seed: int) -> np.ndarray:
        """Sample the package's default random plane, centred on the model."""

    def random_rows(self, problem: Problem, n: int, normalization: str, seed: int) -> Tensor:
        """Return n random directions (n, N); normalization is filter, none or orthogonal."""

    def eigen_plane(self, problem: Problem, points: int, distance: float) -> Grid:
        """Sample along the two leading Hessian eigenvectors that the package itself found."""

    def eigenpairs(
        self, problem: Problem, k: int, which: str = "magnitude"
    ) -> tuple[np.ndarray, Tensor]:
        """Return k eigenvalues and unit vectors (k, N), in the order the package gives them."""

    def trace(self, problem: Problem, seed: int) -> tuple[float, float | None]:
        """Return the Hessian's trace and, where offered, its standard error."""

    def density(self, problem: Problem, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return eigenvalues and their weights, which sum to 1."""


def check(holds: bool, measured: str) -> str:
    """Return what was measured against what was expected, or fail with it."""
    if not holds:
        raise AssertionError(measured)
    return measured
