"""One point of a landscape: its slope, its curvature by layer, and what kind of point it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy.sparse import identity
from scipy.sparse.linalg import ArpackError, LinearOperator, aslinearoperator, eigsh
from threadpoolctl import threadpool_limits
from torch import Tensor

from topograph.foundation.errors import TopographError, unknown_name
from topograph.foundation.seeds import derive_seed
from topograph.geometry.directions import Eigenpairs
from topograph.landscape.hessian import DTYPES, HessianProduct, deflated, hessian_eigenpairs
from topograph.landscape.plan import existing_device
from topograph.landscape.spectrum import hessian_trace
from topograph.objective.engines import Placed, exact_products
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten, flatten_each

# Up to so many parameters the whole Hessian takes at most three times the products of Lanczos at
# both ends, and nothing is left to a tolerance.
DENSE = 1024
# Up to here a layer takes no more products whole than the trace of a larger one does, and Lanczos,
# which needs two parameters and breaks down on a Hessian of low rank, is not needed.
SMALL = 96
# Lanczos at the lower end: with so many vectors trained networks need one or two restarts, 130 to
# 250 products, and come closer than the tolerance, a part of twice the largest eigenvalue.
LANCZOS_VECTORS, LANCZOS_TOLERANCE, LANCZOS_RESTARTS = 128, 1e-5, 40
# A product rounds at a few units in the last place.
ROUNDING = 10.0


class Stationary(NamedTuple):
    """What kind of point the centre is.

    ``top`` and ``bottom`` are the k largest and smallest eigenvalues (k,), each from its end;
    their errors are residual norms, or the rounding of products where that is larger. ``index``
    counts those of ``bottom`` that lie below 0 by more than their error, and is a lower bound of
    the Morse index where all of them do. ``relative_step`` is ||g|| / (|lambda|max ||theta||),
    Newton's step along the steepest direction in lengths of the weights; ``condition`` is that of
    the Hessian, and a lower bound of it where only both ends of the spectrum were computed or its
    smallest eigenvalue is not resolved; ``alignment`` is the gradient's with ``top``;
    ``parameters`` is N, ``products`` those of the Hessian that were taken.
    """

    loss: float
    gradient_norm: float
    relative_step: float
    top: np.ndarray
    top_errors: np.ndarray
    bottom: np.ndarray
    bottom_errors: np.ndarray
    index: int  # type: ignore[assignment]
    index_is_lower_bound: bool
    condition: float
    condition_is_lower_bound: bool
    alignment: float
    parameters: int
    products: int


def gradient_norm(
    objective: Objective, *, dtype: str = "float64", device: str | None = None
) -> float:
    """Return ||grad L(theta)||, summed in float64; NaN where the gradient is.

    Raises TopographError for an unknown dtype, weights that are not finite, or a loss without
    gradient.
    """
    placed = place(objective, dtype, device)
    return float(loss_and_gradient(placed, placed.center)[1].double().norm())


def gradient_alignment(objective: Objective, eigenpairs: Eigenpairs) -> float:
    """Return the share of the squared gradient norm in the span of eigenvectors, from 0 to 1.

    NaN where the gradient is 0 or not finite. Raises TopographError for eigenvectors of another
    model, weights that are not finite, or a loss without gradient.
    Source: Gur-Ari et al. 2018 (arXiv 1812.04754), section 2.
    """
    placed = place(objective, "float64", None)
    shapes = {name: tuple(value.shape) for name, value in placed.center.items()}
    given = {name: tuple(value.shape[1:]) for name, value in eigenpairs.vectors.items()}
    if given != shapes:
        raise TopographError(
            f"the eigenvectors have the parameters {given}, the objective {shapes}; give "
            "eigenpairs of this objective"
        )
    return _share(loss_and_gradient(placed, placed.center)[1], _columns(eigenpairs))


def condition_number(values: ArrayLike, errors: ArrayLike) -> float:
    """Return the least that |lambda|max / |lambda|min can be.

    Within its error of each of ``values`` (k,) lies an eigenvalue; ``errors`` (k,) may be residual
    norms ||H v - lambda v||. Without errors and for all eigenvalues it is the condition number; NaN
    where no value exceeds its error. Raises TopographError where the two differ in number.
    """
    sizes, within = np.abs(np.asarray(values, dtype=float)), np.asarray(errors, dtype=float)
    if sizes.ndim != 1 or sizes.shape != within.shape:
        raise TopographError(
            f"the eigenvalues have shape {sizes.shape} and the errors {within.shape}; "
            "allowed: (k,) for both; give each eigenvalue its error"
        )
    if not (sizes > within).any():
        return float("nan")
    flattest = (sizes + within).min()
    return float((sizes - within).max() / flattest) if flattest else float("inf")


def layer_blocks(
    objective: Objective, *, seed: int = 0, dtype: str = "float32", device: str | None = None
) -> pd.DataFrame:
    """Return a row for each layer with the curvature of its diagonal block of the Hessian.

    A layer is a module that owns parameters: ``layers.0`` for ``layers.0.weight`` and
    ``layers.0.bias``; a parameter of the model itself is a layer of its own. Columns ``layer``,
    ``parameters``, ``top_eigenvalue`` (largest by magnitude, with its sign), ``top_residual``,
    ``trace``, ``trace_error`` (its standard error, 0 where exact). The traces of the blocks add up
    to that of the whole. Raises TopographError for a layer that the loss does not use, an unknown
    dtype, or weights or a Hessian that are not finite.
    """
    place(objective, dtype, device)
    layers: dict[str, list[str]] = {}
    for name in objective.names:
        layers.setdefault(name.rpartition(".")[0] or name, []).append(name)
    rows = []
    for layer, names in layers.items():
        block = objective.restricted(names)
        drawn = derive_seed(seed, "layer", layer)
        size = flatten(block.center).numel()
        top, residual = _top(block, drawn, dtype, device)
        trace = hessian_trace(block, seed=drawn, dtype=dtype, device=device)
        rows.append((layer, size, top, residual, trace.value, trace.standard_error))
    columns = ["layer", "parameters", "top_eigenvalue", "top_residual", "trace", "trace_error"]
    return pd.DataFrame(rows, columns=columns)


def stationary(
    objective: Objective,
    *,
    eigenvalues: int = 10,
    seed: int = 0,
    dtype: str = "float64",
    device: str | None = None,
) -> Stationary:
    """Return what kind of point the centre is, by its gradient and both ends of the spectrum.

    Up to 1024 parameters by the whole Hessian; beyond by Lanczos, whose error at the lower end is
    1e-5 of twice the largest eigenvalue, so that flatter directions stay unresolved. An eigenvalue
    is resolved where |lambda| exceeds its error. Raises TopographError for eigenvalues out of
    range, an unknown dtype, a loss without gradient, weights or a Hessian that are not finite, or
    when Lanczos does not converge.
    """
    placed = place(objective, dtype, device)
    product = HessianProduct(objective, dtype=dtype, device=device)
    if not 1 <= eigenvalues <= product.size:
        raise TopographError(
            f"eigenvalues is {eigenvalues}; allowed: 1 to {product.size}, the number of parameters"
        )
    with threadpool_limits(1, user_api="blas"):
        if product.size <= DENSE:
            top, bottom, known = _ends_of_dense(product, eigenvalues)
        else:
            pairs = hessian_eigenpairs(
                objective, eigenvalues, which="largest", seed=seed, dtype=dtype, device=device
            )
            product.products += pairs.products
            top = _End(pairs.values, pairs.residuals, _columns(pairs))
            bottom = _lowest(product, eigenvalues, float(top.values[0]), seed)
            known = None
    return _described(placed, top, bottom, known, dtype, product.products)


def place(objective: Objective, dtype: str, device: str | None) -> Placed:
    """Return the objective in float32 or float64 on a device.

    Raises TopographError for another dtype, a device that does not exist, or weights that are not
    finite.
    """
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    placed = objective.at(getattr(torch, dtype), existing_device(device))
    if not bool(flatten(placed.center).isfinite().all()):
        raise TopographError(
            "the centre holds parameters that are not finite: training diverged; leave it out"
        )
    return placed


def loss_and_gradient(placed: Placed, parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the loss () and its gradient (N,) at parameters, in their type.

    Raises TopographError where the loss has no gradient.
    """
    moving = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    with exact_products():
        loss = placed.terms(moving)["loss"]
        if not loss.requires_grad:
            raise TopographError(
                f"the loss does not depend on {', '.join(list(moving)[:4])}, so it has no "
                "gradient; give a differentiable loss, and parameters that the model uses"
            )
        found = torch.autograd.grad(loss, list(moving.values()), materialize_grads=True)
    return loss.detach(), torch.cat([part.reshape(-1) for part in found])


def _columns(eigenpairs: Eigenpairs) -> np.ndarray:
    return flatten_each(eigenpairs.vectors).double().numpy().T


def _share(gradient: Tensor, vectors: np.ndarray) -> float:
    """Return the share of a squared gradient (N,) in the span of the columns (N, k)."""
    # Those of float32 are orthonormal only nearly.
    basis, _ = np.linalg.qr(vectors)
    unit = gradient.double().cpu()
    # numpy's minimum keeps NaN.
    return float(np.minimum(np.square((unit / unit.norm()).numpy() @ basis).sum(), 1.0))


def _described(
    placed: Placed, top: _End, bottom: _End, known: np.ndarray | None, dtype: str, products: int
) -> Stationary:
    """Return what is found; ``known`` (N,) are all eigenvalues, None where only the ends are."""
    loss, gradient = loss_and_gradient(placed, placed.center)
    norm, theta = gradient.double().norm(), flatten(placed.center).double()
    values = np.concatenate([top.values, bottom.values])
    largest = float(np.abs(values).max())
    rounding = ROUNDING * np.finfo(dtype).eps * largest
    errors = np.maximum(np.concatenate([top.residuals, bottom.residuals]), rounding)
    above, below = np.split(errors, [len(top.values)])
    index = int((bottom.values < -below).sum())
    sizes, within = (values, errors) if known is None else (known, np.full_like(known, rounding))
    # As tensors: a slope without curvature, or at weights of 0, is infinitely long.
    step = norm / (largest * theta.norm()) if norm else norm
    return Stationary(
        loss=float(loss),
        gradient_norm=float(norm),
        relative_step=float(step),
        top=top.values,
        top_errors=above,
        bottom=bottom.values,
        bottom_errors=below,
        index=index,
        index_is_lower_bound=index == len(bottom.values),
        condition=condition_number(sizes, within),
        condition_is_lower_bound=known is None or bool(np.abs(known).min() <= rounding),
        alignment=_share(gradient, top.vectors),
        parameters=theta.numel(),
        products=products,
    )


def _top(block: Objective, seed: int, dtype: str, device: str | None) -> tuple[float, float]:
    """Return the eigenvalue of largest magnitude and its residual norm."""
    product = HessianProduct(block, dtype=dtype, device=device)
    if product.size <= SMALL:
        top, bottom, _ = _ends_of_dense(product, 1)
        end = top if top.values[0] >= -bottom.values[0] else bottom
        return float(end.values[0]), float(end.residuals[0])
    # Lanczos breaks down where there is no curvature at all, as in a layer of dead units.
    if not product(np.random.default_rng(seed).standard_normal(product.size)).any():
        return 0.0, 0.0
    pairs = hessian_eigenpairs(block, 1, seed=seed, dtype=dtype, device=device)
    return float(pairs.values[0]), float(pairs.residuals[0])


class _End(NamedTuple):
    """Eigenvalues (k,) from one end, their residual norms, and unit vectors (N, k)."""

    values: np.ndarray
    residuals: np.ndarray
    vectors: np.ndarray

    @staticmethod
    def of(product: HessianProduct, values: np.ndarray, vectors: np.ndarray) -> _End:
        errors = [product(v) - value * v for value, v in zip(values, vectors.T, strict=True)]
        return _End(values, np.linalg.norm(errors, axis=1), vectors)


def _ends_of_dense(product: HessianProduct, k: int) -> tuple[_End, _End, np.ndarray]:
    """Return both ends of the spectrum, and all eigenvalues (N,)."""
    rows = np.array([product(row) for row in np.eye(product.size)])
    values, vectors = np.linalg.eigh((rows + rows.T) / 2)
    top = _End.of(product, values[::-1][:k], vectors[:, ::-1][:, :k])
    return top, _End.of(product, values[:k], vectors[:, :k]), values


def _lowest(product: HessianProduct, k: int, highest: float, seed: int) -> _End:
    """Return the k smallest eigenvalues, copies too, by Lanczos on H - cI.

    At a trained model the lower end is a crowd around 0, in which no eigenvalue converges relative
    to itself. Those of H - cI are all about as large as the spectrum is wide.
    """
    draw = np.random.default_rng(derive_seed(seed, "lowest"))
    shift = highest + abs(highest)

    def search(known: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        shifted = deflated(product, known, highest) - shift * aslinearoperator(identity(len(known)))
        start = draw.standard_normal(len(known))
        start -= known @ (known.T @ start)
        values, vectors = _lanczos(shifted, count, start)
        return values + shift, vectors

    values, vectors = search(np.empty((product.size, 0)), k)
    error = LANCZOS_TOLERANCE * float(np.abs(values - shift).max())
    # Lanczos finds one of several copies: those left are the lowest of what it did not find.
    while True:
        lowest, found = search(vectors, 1)
        if lowest[0] >= np.sort(values)[k - 1] - error:
            break
        values = np.concatenate([values, lowest])
        vectors, _ = np.linalg.qr(np.hstack([vectors, found]))
    order = np.argsort(values, kind="stable")[:k]
    return _End.of(product, values[order], vectors[:, order])


def _lanczos(operator: LinearOperator, k: int, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    try:
        return eigsh(
            operator,
            k,
            which="SA",
            v0=start,
            ncv=min(len(start), max(LANCZOS_VECTORS, 2 * k + 2)),
            tol=LANCZOS_TOLERANCE,
            maxiter=LANCZOS_RESTARTS,
        )
    except ArpackError as error:
        raise TopographError(
            f"Lanczos did not find the {k} smallest eigenvalues: {error}; ask for fewer"
        ) from error
