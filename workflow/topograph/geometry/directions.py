"""Directions in parameter space: random, from the Hessian, and their normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from topograph.foundation.errors import TopographError, unknown_name
from topograph.objective.engines import Parameters
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten, flatten_each, unflatten

EXTENTS = ("fixed", "curvature")
NORMALIZATIONS = ("none", "filter", "layer", "model")


class Directions(NamedTuple):
    """n directions: vectors by name (n, ...), their norms (n,) and pairwise cosines (n, n).

    ``explained`` holds the share of variance of each, where they are principal components.
    """

    vectors: dict[str, Tensor]
    norms: Tensor
    cosines: Tensor
    explained: Tensor | None = None

    @property
    def orthogonality_loss(self) -> float:
        """The largest |cosine| between two directions: 0 where all are orthogonal."""
        return float((self.cosines - torch.eye(len(self.norms))).abs().max())


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
    objective: Objective,
    n: int,
    *,
    normalization: str = "filter",
    orthogonal: bool = False,
    keep_biases: bool = False,
    seed: int = 0,
) -> Directions:
    """Draw n standard normal directions on the CPU and normalise them.

    With ``filter`` each output unit of a weight gets the norm that it has in the model (Li et al.
    2018, section 4), with ``layer`` each tensor; biases and norm parameters do not move in either,
    unless ``keep_biases``, which gives each such tensor its own norm. ``model`` scales the whole
    direction to the norm of the parameters. ``orthogonal`` makes each direction orthogonal to those
    before it and keeps its norm, 1 without normalisation; filters then have their norms only
    nearly. Raises TopographError for another name or n < 1.
    """
    if n < 1:
        raise TopographError(f"n is {n}; at least one direction is needed")
    generator = torch.Generator().manual_seed(seed)
    raw = {
        name: torch.randn((n, *value.shape), generator=generator)
        for name, value in objective.center.items()
    }
    directions = _normalized(raw, objective, normalization, keep_biases)
    return _orthogonal(directions, normalization != "none") if orthogonal else directions


def hessian_directions(
    eigenpairs: Eigenpairs, n: int, *, normalization: str = "none", extent: str = "fixed"
) -> Directions:
    """Return the first n Hessian eigenvectors, unit-norm or normalised like random directions.

    Geniesse et al. 2024 use them raw for physics-informed networks and normalised by layer for
    segmentation; normalising changes angles, which ``cosines`` reports. With ``extent`` curvature
    each has the norm 1 / sqrt(|eigenvalue|): at alpha_i the quadratic part of the loss has risen,
    or fallen, by alpha_i**2 / 2 along any of them. Raises TopographError for n out of range,
    another extent, an extent with a normalisation, or an eigenvalue of 0.
    """
    available = len(eigenpairs.values)
    if not 1 <= n <= available:
        raise TopographError(f"n is {n}; {available} eigenvectors were computed, so 1 to that many")
    raw = {name: value[:n] for name, value in eigenpairs.vectors.items()}
    if extent not in EXTENTS:
        raise unknown_name("extent", extent, EXTENTS)
    if extent == "curvature":
        _check_scalable(eigenpairs.values[:n], normalization)
        lengths = torch.from_numpy(np.abs(eigenpairs.values[:n]) ** -0.5)
        raw = {
            name: value * lengths.to(value.dtype).reshape(-1, *[1] * (value.ndim - 1))
            for name, value in raw.items()
        }
    return _normalized(raw, eigenpairs.objective, normalization)


def _check_scalable(values: np.ndarray, normalization: str) -> None:
    if normalization != "none":
        raise TopographError(
            f"extent curvature came with normalization {normalization!r}, which would undo it; "
            "allowed: none"
        )
    if not (np.abs(values) > 0).all():
        raise TopographError(
            f"the eigenvalues are {values}; an extent by curvature needs them other than 0: "
            "choose extent fixed"
        )


def path_directions(objective: Objective, checkpoints: Sequence[Parameters], n: int) -> Directions:
    """Return the first n principal components of an optimiser's path around the centre.

    ``checkpoints`` are parameters by name, in any number M >= n; the components are those of
    theta_t - theta, unit vectors, not centred, so that the centre lies in their plane (Li et al.
    2018, section 7.2). ``explained`` is the share of the path's squared length along each. The
    eigenvectors of the (M, M) Gram matrix give them, in float64.
    Raises TopographError for n out of range or a path that never leaves the centre.
    """
    steps = _differences(objective, checkpoints)
    flat = flatten_each(steps).double()
    values, vectors = torch.linalg.eigh(flat @ flat.T)
    rank = int((values > values[-1].clamp(min=0) * len(flat) * 1e-12).sum())
    if not 1 <= n <= rank:
        raise TopographError(
            f"n is {n}; the path of {len(flat)} checkpoints spans {rank} dimensions around the "
            "centre: ask for 1 to that many"
        )
    weights = (vectors / values.clamp(min=1e-300).sqrt()).flip(1)[:, :n].T
    weights = weights * torch.where(weights.sum(dim=1, keepdim=True) < 0, -1.0, 1.0)
    found = unflatten((weights @ flat).float(), objective.center)
    explained = (values / values.sum()).flip(0)[:n]
    return _described(found)._replace(explained=explained)


def difference_directions(objective: Objective, others: Sequence[Parameters]) -> Directions:
    """Return the steps to other models: at alpha_i = 1 alone lies the i-th of them.

    ``others`` are parameters by name with the centre's shapes. Raises TopographError where a name
    or a shape is missing, or none is given.
    """
    return _described(_differences(objective, others))


def _differences(objective: Objective, others: Sequence[Parameters]) -> dict[str, Tensor]:
    if not others:
        raise TopographError("no other parameters were given; give at least one set, by name")
    for number, other in enumerate(others):
        for name, value in objective.center.items():
            found = tuple(other[name].shape) if name in other else None
            if found != tuple(value.shape):
                raise TopographError(
                    f"{name!r} has shape {found} in model {number} and {tuple(value.shape)} at the "
                    "centre; give parameters of the same architecture"
                )
    return {
        name: torch.stack([torch.as_tensor(other[name]) - value for other in others])
        for name, value in objective.center.items()
    }


def _orthogonal(directions: Directions, keep_norms: bool) -> Directions:
    """Orthogonalise in order by Gram-Schmidt, twice, in float64."""
    flat = flatten_each(directions.vectors).double()
    for i in range(len(flat)):
        for _ in range(2):
            flat[i] -= flat[:i].T @ (flat[:i] @ flat[i] / flat[:i].square().sum(dim=1))
        wanted = directions.norms[i] if keep_norms else 1.0
        flat[i] *= wanted / flat[i].norm()
    like = {name: value[0] for name, value in directions.vectors.items()}
    return _described(unflatten(flat.float(), like))


def _described(vectors: dict[str, Tensor]) -> Directions:
    flat = flatten_each(vectors).double()
    gram = flat @ flat.T
    norms = gram.diagonal().sqrt()
    return Directions(vectors, norms, gram / torch.outer(norms, norms))


def _normalized(
    raw: dict[str, Tensor], objective: Objective, normalization: str, keep_biases: bool = False
) -> Directions:
    if normalization not in NORMALIZATIONS:
        raise unknown_name("normalization", normalization, NORMALIZATIONS)
    center = {name: value.to(raw[name].dtype) for name, value in objective.center.items()}
    vectors = dict(raw)
    if normalization in ("filter", "layer"):
        vectors = {
            name: _scaled(
                value, center[name], objective.filter_axes.get(name), normalization, keep_biases
            )
            for name, value in raw.items()
        }
    elif normalization == "model":
        scale = flatten(center).norm() / flatten_each(raw).norm(dim=1)
        vectors = {
            name: value * scale.reshape(-1, *[1] * (value.ndim - 1)) for name, value in raw.items()
        }
    return _described(vectors)


def _scaled(
    direction: Tensor, weight: Tensor, axis: int | None, normalization: str, keep_biases: bool
) -> Tensor:
    """Give each filter, or the whole tensor, of every direction the norm it has in the weight."""
    if axis is None and not keep_biases:
        return torch.zeros_like(direction)
    if weight.ndim == 0:
        return direction.sign() * weight.abs()
    kept = () if normalization == "layer" or axis is None else (axis,)
    axes = [a for a in range(weight.ndim) if a not in kept]
    target = torch.linalg.vector_norm(weight, dim=axes, keepdim=True)
    inner = [a + 1 for a in axes]
    current = torch.linalg.vector_norm(direction, dim=inner, keepdim=True)
    # A filter that a Hessian eigenvector does not touch stays untouched.
    return torch.where(current > 0, direction * (target / current), torch.zeros_like(direction))
