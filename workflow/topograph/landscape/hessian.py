"""Hessian-vector products and the eigenpairs that scipy's Lanczos finds with them."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh
from threadpoolctl import threadpool_limits

from topograph.foundation.errors import TopographError, unknown_name
from topograph.geometry.directions import Eigenpairs
from topograph.landscape.plan import existing_device
from topograph.objective.engines import exact_products
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten, unflatten

WHICH = {"magnitude": "LM", "largest": "LA", "smallest": "SA"}
DTYPES = ("float32", "float64")
MAX_RESTARTS = 40


def hessian_eigenpairs(
    objective: Objective,
    k: int,
    *,
    which: str = "magnitude",
    seed: int = 0,
    tolerance: float = 1e-4,
    dtype: str = "float32",
    device: str | None = None,
) -> Eigenpairs:
    """Return k eigenpairs of the loss Hessian at the centre, sorted as ``which`` asks.

    ``magnitude`` sorts by |lambda|, largest first. Lanczos finds one vector of a multiple
    eigenvalue, so it is repeated on the orthogonal complement until nothing there outranks the
    k-th. ``residuals`` are ||H v - lambda v||; ``tolerance`` is relative to |lambda|. Raises
    TopographError for k out of range, an unknown name, a Hessian that is not finite, or when
    Lanczos does not converge.
    """
    if which not in WHICH:
        raise unknown_name("which", which, WHICH)
    product = HessianProduct(objective, dtype=dtype, device=device)
    size = product.size
    if not 1 <= k < size:
        raise TopographError(f"k is {k}; allowed: 1 to {size - 1}, one less than the parameters")
    draw = np.random.default_rng(seed)
    # The products' threads and those of Lanczos' own algebra would fight for the cores.
    with threadpool_limits(1, user_api="blas"):
        values, vectors = _outranking(product, k, which, tolerance, draw)
    order = _rank(values, which)[:k]
    values, vectors = values[order], vectors[:, order]
    residuals = [np.linalg.norm(product(v) - e * v) for e, v in zip(values, vectors.T, strict=True)]
    stacked = torch.from_numpy(np.ascontiguousarray(vectors.T)).to(getattr(torch, dtype))
    return Eigenpairs(
        values,
        unflatten(stacked, product.center),
        np.array(residuals),
        product.products,
        objective,
    )


def _outranking(
    product: HessianProduct, k: int, which: str, tolerance: float, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenpairs among which are the k that nothing on their complement outranks."""
    size = product.size
    whole = deflated(product, np.empty((size, 0)), 0.0)
    values, vectors = _lanczos(whole, k, which, tolerance, draw.standard_normal(size))
    while vectors.shape[1] < size:
        last = values[_rank(values, which)[k - 1]]
        start = draw.standard_normal(size)
        start -= vectors @ (vectors.T @ start)
        rest, found = _lanczos(deflated(product, vectors, last), 1, which, tolerance, start)
        excess = _score(rest, which)[0] - _score(last, which)
        rounding = np.finfo(product.dtype).eps * product.norm
        if excess <= max(1e-3 * abs(last), rounding):
            return values, vectors
        values = np.concatenate([values, rest])
        vectors, _ = np.linalg.qr(np.hstack([vectors, found]))
    return values, vectors


class HessianProduct:
    """Products of the loss Hessian at the centre with vectors (N,), in their type on the CPU.

    Only the product itself runs in ``dtype`` on ``device``, so that a seed draws the same vectors
    everywhere. ``center`` gives names and shapes, ``size`` is N, ``products`` counts the calls,
    ``norm`` is the largest ||H v|| / ||v|| among them. Raises TopographError for an unknown dtype,
    a loss without gradient, and a product that is not finite.
    """

    def __init__(
        self, objective: Objective, *, dtype: str = "float32", device: str | None = None
    ) -> None:
        if dtype not in DTYPES:
            raise unknown_name("dtype", dtype, DTYPES)
        self.dtype = dtype
        self._place = (getattr(torch, dtype), existing_device(device))
        placed = objective.at(*self._place)
        self.center = placed.center
        parameters = {name: v.detach().requires_grad_() for name, v in self.center.items()}
        self._inputs = list(parameters.values())
        # The kept graph of the gradient makes a product one backward pass: on 2 cores 1.3 (UNet) to
        # 3 times (PINN) faster than forward-over-reverse, which not every loss has.
        with exact_products():
            loss = placed.terms(parameters)["loss"]
            self._gradient = self._differentiated(loss)
        self.size = flatten(self.center).numel()
        self.products = 0
        self.norm = 0.0

    def _differentiated(self, loss: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if not loss.requires_grad:
            raise TopographError(
                f"the loss does not depend on {', '.join(list(self.center)[:4])}, so it has no "
                "gradient; give a differentiable loss, and parameters that the model uses"
            )
        return torch.autograd.grad(loss, self._inputs, create_graph=True, materialize_grads=True)

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        dtype, device = self._place
        given = torch.from_numpy(np.ascontiguousarray(vector.reshape(-1))).to(device, dtype)
        tangent = unflatten(given, self.center).values()
        curved = [(g, t) for g, t in zip(self._gradient, tangent, strict=True) if g.requires_grad]
        with exact_products():
            found = torch.autograd.grad(
                [gradient for gradient, _ in curved],
                self._inputs,
                [along for _, along in curved],
                retain_graph=True,
                materialize_grads=True,
            )
        self.products += 1
        flat = torch.cat([part.reshape(-1) for part in found])
        result = flat.cpu().numpy().astype(vector.dtype, copy=False)
        if not np.isfinite(result).all():
            raise TopographError(
                "the Hessian at the centre is not finite: the curvature overflows; "
                "allowed: finite curvature; try dtype='float64', or leave out these weights"
            )
        length = np.linalg.norm(vector)
        if length:
            self.norm = max(self.norm, float(np.linalg.norm(result) / length))
        return result


def deflated(product: HessianProduct, known: np.ndarray, known_value: float) -> LinearOperator:
    """Return the Hessian on the complement of the orthonormal columns ``known`` (size, m).

    The columns themselves count with eigenvalue ``known_value``: with 0 they would outrank the
    smallest of a positive definite Hessian.
    """

    def multiply(vector: np.ndarray) -> np.ndarray:
        vector = vector.reshape(-1)
        inside = known @ (known.T @ vector)
        result = product(vector - inside)
        return result - known @ (known.T @ result) + known_value * inside

    return LinearOperator((len(known), len(known)), matvec=multiply, dtype=np.float64)


def _lanczos(
    operator: LinearOperator, k: int, which: str, tolerance: float, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    try:
        values, vectors = eigsh(
            operator,
            k,
            which=WHICH[which],
            v0=start,
            ncv=min(len(start), max(2 * k + 2, 12)),
            tol=tolerance,
            maxiter=MAX_RESTARTS * max(k, 1),
        )
    except ArpackNoConvergence as error:
        raise TopographError(
            f"Lanczos found {len(error.eigenvalues)} of {k} eigenpairs to relative tolerance "
            f"{tolerance}; raise the tolerance or ask for fewer"
        ) from error
    except ArpackError as error:
        raise TopographError(
            f"Lanczos broke down: {error}; the loss has no curvature at the centre in the "
            "parameters that were chosen; choose others, or random directions"
        ) from error
    return values, vectors


def _score(values: np.ndarray, which: str) -> np.ndarray:
    return {"magnitude": np.abs(values), "largest": values, "smallest": -values}[which]


def _rank(values: np.ndarray, which: str) -> np.ndarray:
    return np.argsort(-_score(values, which), kind="stable")
