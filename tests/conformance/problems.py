"""Models whose losses, slices and Hessians are known in closed form."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from package import Problem
from torch import Tensor, nn
from torch.nn import functional as F


class Formula(nn.Module):
    """One parameter vector; the "output" is a function of it alone."""

    def __init__(self, function: Callable[[Tensor], Tensor], at: Iterable[float]) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.tensor(list(at), dtype=torch.float32))
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the formula's value; the inputs only carry the batch."""
        return self.function(self.x) + 0 * inputs.sum()


class TwoTensors(Formula):
    """A formula of two parameters of different size, as networks have."""

    def __init__(
        self, function: Callable[[Tensor], Tensor], at: Iterable[float], first: int
    ) -> None:
        super().__init__(function, at)
        self.a = nn.Parameter(self.x.detach()[:first].clone())
        self.b = nn.Parameter(self.x.detach()[first:].clone())
        del self.x

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the formula of both tensors, one after the other."""
        return self.function(torch.cat([self.a, self.b])) + 0 * inputs.sum()


def of(model: nn.Module) -> Problem:
    """Return the problem whose loss is the model's own output."""
    data = [(torch.zeros(1, 1), torch.zeros(1))]
    return Problem(model.eval(), lambda outputs, _: outputs, data)


def formula(function: Callable[[Tensor], Tensor], at: Iterable[float]) -> Problem:
    """Return the problem of one formula at one point."""
    return of(Formula(function, at))


def bowl(
    eigenvalues: Iterable[float], mixing: float | None = None, first: int | None = None
) -> tuple[Problem, np.ndarray]:
    """Return 3 + (x - theta)'H(x - theta)/2 at theta, and H.

    Its eigenvectors are a random basis, or the axes turned by a little ``mixing``; ``first`` cuts
    the parameters into two tensors.
    """
    values = np.asarray(list(eigenvalues), dtype=float)
    size = len(values)
    draw = np.random.default_rng(0).standard_normal((size, size))
    turned = np.linalg.qr(draw if mixing is None else np.eye(size) + mixing * draw)[0]
    hessian = turned * values @ turned.T
    theta = torch.linspace(0.5, 1.5, size)
    matrix = torch.tensor(hessian, dtype=torch.float32)

    def loss(x: Tensor) -> Tensor:
        moved = x - theta.to(x)
        return 3 + moved @ matrix.to(x) @ moved / 2

    if first is None:
        return formula(loss, theta.tolist()), hessian
    return of(TwoTensors(loss, theta.tolist(), first)), hessian


def spiked(bulk: np.ndarray, outliers: np.ndarray) -> tuple[Problem, float, float]:
    """Return a quadratic diag(bulk) + U diag(outliers) U', its trace and its trace of squares.

    U has orthonormal columns of random sign and size: a diagonal matrix would give every
    Rademacher probe the exact trace.
    """
    size = len(bulk)
    draw = np.random.default_rng(1).standard_normal((size, len(outliers)))
    columns = np.linalg.qr(draw)[0]
    diagonal, scale = torch.tensor(bulk).float(), torch.tensor(outliers).float()
    u = torch.tensor(columns).float()

    def loss(x: Tensor) -> Tensor:
        inside = x @ u.to(x)
        return ((diagonal.to(x) * x * x).sum() + (scale.to(x) * inside * inside).sum()) / 2

    cross = (columns**2 * outliers).sum(axis=1) @ bulk
    squares = float(bulk @ bulk + outliers @ outliers + 2 * cross)
    return formula(loss, np.full(size, 0.1)), float(bulk.sum() + outliers.sum()), squares


def linear_regression(outputs: int) -> tuple[Problem, np.ndarray]:
    """Return sum-of-squares regression on 20 points and the eigenvalues of 2 I (x) X'X."""
    torch.manual_seed(0)
    x, y = torch.randn(20, 4), torch.randn(20, outputs)
    model = nn.Linear(4, outputs, bias=False)
    values = np.linalg.eigvalsh(2 * (x.T @ x).double().numpy())
    problem = Problem(model.eval(), lambda o, t: F.mse_loss(o, t, reduction="sum"), [(x, y)])
    return problem, np.sort(np.repeat(values, outputs))[::-1]


def softmax_regression(batches: Iterable[int] = (24,)) -> tuple[Problem, np.ndarray]:
    """Return cross-entropy on 24 points, cut into batches, and its Hessian in closed form."""
    torch.manual_seed(0)
    x, y = torch.randn(24, 4), torch.arange(24) % 3
    model = nn.Linear(4, 3, bias=False)
    with torch.no_grad():
        p = model(x).softmax(1).double().numpy()
    middle = p[:, :, None] * np.eye(3) - p[:, :, None] * p[:, None, :]
    data = x.double().numpy()
    hessian = np.einsum("nab,ni,nj->aibj", middle, data, data).reshape(12, 12) / 24
    sizes = list(batches)
    pairs = list(zip(x.split(sizes), y.split(sizes), strict=True))
    return Problem(model.eval(), F.cross_entropy, pairs), hessian


class _Poisson(nn.Module):
    """The residual -u'' of u = sum_k c_k sin(k pi x) at given points."""

    def __init__(self, terms: int) -> None:
        super().__init__()
        self.c = nn.Parameter(torch.linspace(1, 2, terms))
        self.register_buffer("k", torch.arange(1, terms + 1) * torch.pi)

    def forward(self, x: Tensor) -> Tensor:
        """Map points (M, 1) to -u'' (M, 1)."""
        return (torch.sin(x * self.k) * self.k**2 * self.c).sum(1, keepdim=True)


def poisson(terms: int = 6) -> tuple[Problem, np.ndarray]:
    """Return -u'' = f on [0, 1] with sine features and its Hessian's diagonal (k pi)^4.

    The midpoint rule with more points than terms integrates products of two sines exactly, so
    the mean of the squared residual is its integral, and that of 2 sin^2 is 1.
    """
    points = 16
    x = (torch.arange(points).float()[:, None] + 0.5) / points
    target = torch.sin(torch.pi * x)
    values = (np.arange(1, terms + 1) * np.pi) ** 4
    return Problem(_Poisson(terms).eval(), F.mse_loss, [(x, target)]), values[::-1]


def relu_network(factor: float = 1.0) -> Problem:
    """Return a ReLU network whose first layer is multiplied and whose second is divided."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    x, y = torch.randn(30, 4), torch.arange(30) % 3
    with torch.no_grad():
        model[0].weight *= factor
        model[0].bias *= factor
        model[2].weight /= factor
    return Problem(model.eval(), F.cross_entropy, [(x, y)])


def batch_norm_network(factor: float = 1.0) -> Problem:
    """Return a network with batch norm; weights before it and its statistics are multiplied."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4, eps=1e-9)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), norm, nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    )
    x, y = torch.randn(20, 1, 6, 6), torch.arange(20) % 3
    with torch.no_grad():
        nn.init.normal_(norm.weight, 1, 0.1)
        nn.init.normal_(norm.bias, 0, 0.1)
        norm.running_mean.normal_(0, 0.1).mul_(factor)
        norm.running_var.uniform_(0.5, 1.5).mul_(factor**2)
        model[0].weight *= factor
    return Problem(model.eval(), F.cross_entropy, [(x, y)])


def all_filters() -> Problem:
    """Return a network with a convolution, a transposed one and a linear layer."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ConvTranspose2d(3, 4, 2, 2), nn.Flatten(),
        nn.Linear(64, 5),
    )  # fmt: skip
    data = [(torch.randn(4, 2, 2, 2), torch.arange(4))]
    return Problem(model.eval(), F.cross_entropy, data)


def wide_linear() -> Problem:
    """Return a linear layer with 3050 parameters."""
    torch.manual_seed(0)
    data = [(torch.randn(8, 60), torch.randn(8, 50))]
    return Problem(nn.Linear(60, 50).eval(), F.mse_loss, data)


def linear_loss() -> Problem:
    """Return a loss that is linear in the parameters: its range is that of the grid."""
    torch.manual_seed(0)
    data = [(torch.randn(1, 3), torch.zeros(1))]
    return Problem(nn.Linear(3, 2).eval(), lambda outputs, _: outputs.sum(), data)
