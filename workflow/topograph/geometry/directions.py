"""Directions in parameter space: random, from the Hessian, and their normalisation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from topograph.foundation.errors import TopographError, unknown_name
from topograph.geometry.vectors import flatten
from topograph.objective.objective import Objective

NORMALIZATIONS = ("none", "filter", "layer", "model")


class Directions(NamedTuple):
    """n directions: vectors by name (n, ...), their norms (n,) and pairwise cosines (n, n)."""

    vectors: dict[str, Tensor]
    norms: Tensor
    cosines: Tensor


class Eigenpairs(NamedTuple):
    """k eigenpairs: values (k,), unit vectors by name (k, ...), residual norms (k,).

    ``products`` counts the Hessian-vector products spent.
    """

    values: np.ndarray
    vectors: dict[str, Tensor]
    residuals: np.ndarray
    products: int
    objective: Objective


def random_directions(
    objective: Objective, n: int, *, normalization: str = "filter", seed: int = 0
) -> Directions:
    """Draw n standard normal directions on the CPU and normalise them.

    With ``filter`` each output unit of a weight gets the norm that it has in the model (Li et al.
    2018, section 4), with ``layer`` each tensor; biases and norm parameters do not move in either.
    ``model`` scales the whole direction to the norm of the parameters. Raises TopographError for
    another name or n < 1.
    """
    if n < 1:
        raise TopographError(f"n is {n}; at least one direction is needed")
    generator = torch.Generator().manual_seed(seed)
    raw = {
        name: torch.randn((n, *value.shape), generator=generator)
        for name, value in objective.center.items()
    }
    return _normalized(raw, objective, normalization)


def hessian_directions(
    eigenpairs: Eigenpairs, n: int, *, normalization: str = "none"
) -> Directions:
    """Return the first n Hessian eigenvectors, unit-norm or normalised like random directions.

    Geniesse et al. 2024 use them raw for physics-informed networks and normalised by layer for
    segmentation; normalising changes angles, which ``cosines`` reports.
    """
    available = len(eigenpairs.values)
    if not 1 <= n <= available:
        raise TopographError(f"n is {n}; {available} eigenvectors were computed, so 1 to that many")
    raw = {name: value[:n] for name, value in eigenpairs.vectors.items()}
    return _normalized(raw, eigenpairs.objective, normalization)


def _normalized(raw: dict[str, Tensor], objective: Objective, normalization: str) -> Directions:
    if normalization not in NORMALIZATIONS:
        raise unknown_name("normalization", normalization, NORMALIZATIONS)
    center = {name: value.to(raw[name].dtype) for name, value in objective.center.items()}
    vectors = dict(raw)
    if normalization in ("filter", "layer"):
        vectors = {
            name: _scaled(value, center[name], objective.filter_axes.get(name), normalization)
            for name, value in raw.items()
        }
    elif normalization == "model":
        scale = flatten(center).norm() / _stacked(raw).norm(dim=1)
        vectors = {
            name: value * scale.reshape(-1, *[1] * (value.ndim - 1)) for name, value in raw.items()
        }
    flat = _stacked(vectors).double()
    gram = flat @ flat.T
    norms = gram.diagonal().sqrt()
    return Directions(vectors, norms, gram / torch.outer(norms, norms))


def _stacked(vectors: dict[str, Tensor]) -> Tensor:
    return torch.cat([value.reshape(len(value), -1) for value in vectors.values()], dim=1)


def _scaled(direction: Tensor, weight: Tensor, axis: int | None, normalization: str) -> Tensor:
    """Give each filter, or the whole tensor, of every direction the norm it has in the weight."""
    if axis is None:
        return torch.zeros_like(direction)
    kept = () if normalization == "layer" else (axis,)
    axes = [a for a in range(weight.ndim) if a not in kept]
    target = torch.linalg.vector_norm(weight, dim=axes, keepdim=True)
    inner = [a + 1 for a in axes]
    current = torch.linalg.vector_norm(direction, dim=inner, keepdim=True)
    # A filter that a Hessian eigenvector does not touch stays untouched.
    return torch.where(current > 0, direction * (target / current), torch.zeros_like(direction))
