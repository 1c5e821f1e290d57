"""Trace and spectral density of the Hessian, by curvlinops, with standard errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from topograph.foundation.errors import TopographError
from topograph.foundation.seeds import derive_seed, torch_seed
from topograph.landscape.hessian import HessianProduct
from topograph.objective.objective import Objective

with warnings.catch_warnings():
    # A dependency of curvlinops calls torch.jit.script when it is imported.
    warnings.filterwarnings("ignore", r".*torch\.jit\.script", FutureWarning)
    from curvlinops import hutchinson_trace
    from curvlinops._torch_base import PyTorchLinearOperator
    from curvlinops.papyan2020traces.spectrum import fast_lanczos

# At 96 products a trace with these two numbers is 12 (digits) to 200 times (a trained PINN) more
# exact than one whose products all go into probes: few large eigenvalues make most of the spread.
SKETCH = 16
TRACE_PROBES = 64
LANCZOS_STEPS = 64
GRID_POINTS = 1024
# Parts of the distance between the extreme eigenvalues. The bump is as wide as 64 steps resolve,
# the margin eight times that, so that nothing of it is cut off.
BUMP, MARGIN = 0.006, 0.05


class Trace(NamedTuple):
    """An estimate of tr H and its standard error; 0 where the trace is exact."""

    value: float
    standard_error: float


class Density(NamedTuple):
    """Spectral density over ``grid``, all (G,), in 1 / eigenvalue; standard error 0 where exact."""

    grid: np.ndarray
    density: np.ndarray
    standard_error: np.ndarray


def hessian_trace(
    objective: Objective,
    *,
    probes: int = TRACE_PROBES,
    seed: int = 0,
    dtype: str = "float32",
    device: str | None = None,
) -> Trace:
    """Estimate the trace of the loss Hessian at the centre.

    Hutch++ (Meyer et al. 2021) with one sketch: the trace on the range of 16 random products is
    exact, Hutchinson's ``probes`` on the orthogonal complement are independent, and their spread is
    the standard error; rounding in ``dtype`` is not in it. The number of probes is fixed, because
    stopping when running means agree stops too soon. Models of no more parameters than the
    ``probes`` + 32 products are done exactly. Raises TopographError for fewer than 2 probes, an
    unknown dtype, or a Hessian that is not finite.
    """
    _check_probes(probes)
    product = HessianProduct(objective, dtype=dtype, device=device)
    if product.size <= 2 * SKETCH + probes:
        return Trace(float(np.trace(_dense(product))), 0.0)
    draw = np.random.default_rng(derive_seed(seed, "trace sketch"))
    sketch = [product(draw.choice([-1.0, 1.0], product.size)) for _ in range(SKETCH)]
    basis, _ = np.linalg.qr(np.stack(sketch, axis=1))
    inside = sum(column @ product(column) for column in basis.T)
    # The probes are signs and the products have no more digits: no need for longer vectors.
    rest = _Operator(_outside(product, basis.astype(dtype)), product.size, dtype)
    found = []
    for probe in range(probes):
        with torch_seed(derive_seed(seed, "trace probe", probe)):
            found.append(hutchinson_trace(rest, 1).item())
    return Trace(float(inside + np.mean(found)), float(_standard_error(np.array(found))))


def hessian_density(
    objective: Objective,
    *,
    probes: int = 10,
    seed: int = 0,
    dtype: str = "float32",
    device: str | None = None,
) -> Density:
    """Estimate the spectral density of the loss Hessian at the centre.

    Stochastic Lanczos quadrature (Papyan 2020, algorithm 2) with 64 steps a probe. Eigenvalues are
    Gaussian bumps whose standard deviation is 0.6 % of the distance between the extreme ones; the
    grid reaches 5 % beyond them. The density integrates to 1 and its mean times the number of
    parameters estimates the trace; the standard error is that of the mean over ``probes``. These
    steps do not reorthogonalise, so rounding (another device, other batches) moves the density,
    though not its mean and variance, by up to a third of its standard error. Models of no more
    parameters than ``probes`` * 64 products are done exactly. Raises TopographError for fewer than
    2 probes, an unknown dtype, a Hessian that is not finite, or one without two different
    eigenvalues.
    """
    _check_probes(probes)
    product = HessianProduct(objective, dtype=dtype, device=device)
    if product.size <= probes * LANCZOS_STEPS:
        values = np.linalg.eigvalsh(_dense(product))
        quadratures = [(values, np.full(len(values), 1 / len(values)))] * 2
    else:
        # Lanczos divides by the length of its first product, which a zero Hessian makes 0.
        if not product(np.random.default_rng(seed).standard_normal(product.size)).any():
            raise _one_eigenvalue(0.0)
        seeds = [derive_seed(seed, "density probe", probe) for probe in range(probes)]
        quadratures = [_quadrature(product, drawn) for drawn in seeds]
    nodes = np.concatenate([found for found, _ in quadratures])
    span = _span(nodes, dtype)
    grid = np.linspace(nodes.min() - MARGIN * span, nodes.max() + MARGIN * span, GRID_POINTS)
    densities = np.array([_smoothed(grid, *pair, BUMP * span) for pair in quadratures])
    return Density(grid, densities.mean(axis=0), _standard_error(densities))


def _outside(product: HessianProduct, basis: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the product on the complement of the orthonormal columns of ``basis`` (size, m)."""
    # In torch, whose threads the product uses: numpy's own would fight them for the cores.
    rows = torch.from_numpy(np.ascontiguousarray(basis.T))

    def outside(vector: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(np.ascontiguousarray(vector))
        return (given - (rows @ given) @ rows).numpy()

    return lambda vector: outside(product(outside(vector)))


class _Operator(PyTorchLinearOperator):
    """A symmetric product as curvlinops wants it, on the CPU."""

    SELF_ADJOINT = True
    device = torch.device("cpu")
    dtype = torch.float64

    def __init__(
        self, multiply: Callable[[np.ndarray], np.ndarray], size: int, dtype: str = "float64"
    ) -> None:
        super().__init__([(size,)], [(size,)])
        self._multiply = multiply
        self.dtype = getattr(torch, dtype)

    def _matmat(self, X: list[torch.Tensor]) -> list[torch.Tensor]:
        columns = [self._multiply(column) for column in X[0].T.numpy()]
        return [torch.from_numpy(np.stack(columns, axis=1))]


def _check_probes(probes: int) -> None:
    if probes < 2:
        raise TopographError(f"probes is {probes}; a standard error needs at least 2")


def _dense(product: HessianProduct) -> np.ndarray:
    rows = np.array([product(row) for row in np.eye(product.size)])
    return (rows + rows.T) / 2


def _quadrature(product: HessianProduct, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes and weights of one probe, each (steps,); the weights sum to 1."""
    with torch_seed(seed):
        values, vectors = fast_lanczos(_Operator(product, product.size), LANCZOS_STEPS)
    return values.numpy(), vectors[0].square().numpy()


def _span(nodes: np.ndarray, dtype: str) -> float:
    span = float(np.ptp(nodes))
    if not span > 100 * np.finfo(dtype).eps * np.abs(nodes).max():
        raise _one_eigenvalue(float(nodes.mean()))
    return span


def _one_eigenvalue(value: float) -> TopographError:
    return TopographError(
        f"every eigenvalue of the Hessian is {value:.6g} to rounding; a density needs two that "
        "differ; choose other parameters, or hessian_trace"
    )


def _smoothed(grid: np.ndarray, nodes: np.ndarray, weights: np.ndarray, width: float) -> np.ndarray:
    bumps = np.exp(-(((grid - nodes[:, None]) / width) ** 2) / 2)
    return weights @ bumps / (width * np.sqrt(2 * np.pi))


def _standard_error(samples: np.ndarray) -> np.ndarray:
    return samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
