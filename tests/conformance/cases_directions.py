"""Cases about directions; each returns what it measured or fails with it."""

from __future__ import annotations

import math

import torch
from package import NotOffered, Package, check
from problems import all_filters, batch_norm_network, relu_network, wide_linear
from torch import Tensor, nn


def _norm_ratios(package: Package, layer: int, axis: int) -> Tensor:
    """Return the norm of each filter of a random direction over the weight's."""
    problem = all_filters()
    (row,) = package.random_rows(problem, 1, "filter", 0)
    names = [name for name, _ in problem.model.named_parameters()]
    parts = row.split([p.numel() for p in problem.model.parameters()])
    weight = problem.model[layer].weight.detach()
    direction = parts[names.index(f"{layer}.weight")].reshape(weight.shape)
    units = range(weight.shape[axis])
    return torch.stack([direction.select(axis, u).norm() for u in units]) / torch.stack(
        [weight.select(axis, u).norm() for u in units]
    )


def _filter_norms(package: Package, layers: dict[int, int]) -> str:
    ratios = torch.cat([_norm_ratios(package, layer, axis) for layer, axis in layers.items()])
    low, high = ratios.min().item(), ratios.max().item()
    text = f"norm of each filter over the weight's {low:.3f} to {high:.3f}; expected 1"
    return check(max(abs(low - 1), abs(high - 1)) < 1e-4, text)


def filter_norms(package: Package) -> str:
    """Each row of Linear and channel of Conv has the norm it has in the model (fault 13)."""
    return _filter_norms(package, {0: 0, 3: 0})


def transposed_filter_norms(package: Package) -> str:
    """Each output channel of ConvTranspose, axis 1, has the model's norm (fault 13)."""
    return _filter_norms(package, {1: 1})


def zero_mean(package: Package) -> str:
    """Raw random directions have mean zero (fault 2)."""
    rows = package.random_rows(wide_linear(), 2, "none", 0)
    shift = (rows.mean(1) / rows.std(1)).abs().max().item()
    allowed = 4 / math.sqrt(rows.shape[1])
    return check(shift < allowed, f"mean {shift:.3f} standard deviations; expected < {allowed:.3f}")


def small_cosine(package: Package) -> str:
    """Two raw random directions are nearly orthogonal (fault 2)."""
    first, second = package.random_rows(wide_linear(), 2, "none", 0)
    cosine = (first @ second / first.norm() / second.norm()).item()
    allowed = 4 / math.sqrt(len(first))
    return check(abs(cosine) < allowed, f"cosine {cosine:.3f}; expected < {allowed:.3f}")


def orthogonal(package: Package) -> str:
    """Three directions made orthogonal have the identity as Gram matrix (fault 5)."""
    rows = package.random_rows(wide_linear(), 3, "orthogonal", 0).double()
    rows = rows / rows.norm(dim=1, keepdim=True)
    largest = (rows @ rows.T - torch.eye(3)).abs().max().item()
    return check(largest < 1e-5, f"largest cosine {largest:.1e}; expected < 1e-5")


def _invariant(package: Package, problems: tuple, factor: float) -> str:
    if not package.filter_normalised:
        raise NotOffered("no filter normalisation")
    before, after = (package.random_plane(problem, 5, 1.0, 0) for problem in problems)
    apart = abs(after / before - 1).max()
    text = f"planes {apart:.1e} apart after rescaling by {factor:g}; expected < 1e-3"
    return check(apart < 1e-3, text)


def relu_rescaling(package: Package) -> str:
    """x10 and /10 on the two sides of a ReLU leave a filter-normalised plane (fault 13)."""
    return _invariant(package, (relu_network(), relu_network(10.0)), 10)


def batch_norm_scale(package: Package) -> str:
    """Scaling weights before batch norm leaves a filter-normalised plane (faults 13, 18)."""
    return _invariant(package, (batch_norm_network(), batch_norm_network(10.0)), 10)


def new_batch_norm(package: Package) -> str:
    """A plane of a network with biases of zero, as batch norm starts, is finite (fault 18)."""
    if not package.filter_normalised:
        raise NotOffered("no filter normalisation")
    problem = batch_norm_network()
    nn.init.zeros_(problem.model[1].bias)
    losses = package.random_plane(problem, 3, 1.0, 0)
    finite = bool(torch.from_numpy(losses).isfinite().all())
    return check(finite, "finite" if finite else "not finite; expected finite")
