"""Taylor propagation: a chain of linear layers and activations at many parameter points at once.

Values and derivatives along given input directions go forward together, layer by layer, as batched
matrix products; no graph is built. First and second order; reference: Griewank and Walther,
*Evaluating Derivatives* (2008), chapter 13.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from topograph.models.mlp import Sine


class Activation(NamedTuple):
    """sigma(z), which may overwrite z, with sigma' and sigma'' from z, h = sigma(z) and sigma'.

    The slopes of an activation that overwrites z depend on h alone.
    """

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]
    curvature: Callable[[Tensor, Tensor, Tensor], Tensor]


def _silu_slope(z: Tensor, _: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 + z * (1 - s))


def _silu_curvature(z: Tensor, _: Tensor, __: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 - s) * (2 + z * (1 - 2 * s))


def _normal_density(z: Tensor) -> Tensor:
    return torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)


ACTIVATIONS = {
    nn.Tanh: Activation(
        torch.tanh_,
        lambda _, h: torch.addcmul(h.new_ones(()), h, h, value=-1),
        lambda _, h, slope: -2 * h * slope,
    ),
    Sine: Activation(torch.sin, lambda z, _: torch.cos(z), lambda _, h, __: -h),
    nn.SiLU: Activation(F.silu, _silu_slope, _silu_curvature),
    nn.GELU: Activation(
        F.gelu,
        lambda z, _: torch.special.ndtr(z) + z * _normal_density(z),
        lambda z, _, __: _normal_density(z) * (2 - z * z),
    ),
    nn.Sigmoid: Activation(
        torch.sigmoid_, lambda _, h: h * (1 - h), lambda _, h, slope: slope * (1 - 2 * h)
    ),
    nn.ReLU: Activation(
        torch.relu_, lambda _, h: (h > 0).to(h.dtype), lambda _, h, __: torch.zeros_like(h)
    ),
}


class Layer(NamedTuple):
    """One linear layer of a chain: names of its parameters, and the activation after it."""

    weight: str
    bias: str | None
    activation: Activation | None


class Jets(NamedTuple):
    """Values (P, width, R), and derivatives (P, width, D) at the last D of the R inputs.

    ``first`` and ``second`` have one entry per direction; a second derivative that nobody asked
    for is None.
    """

    value: Tensor
    first: list[Tensor]
    second: list[Tensor | None]


def chain_of(network: nn.Module) -> tuple[Layer, ...] | None:
    """Return the layers of a network that is a chain of Linear and known activations, or None."""
    names = {id(value): name for name, value in network.named_parameters()}
    layers: list[Layer] = []
    for module in _unrolled(network):
        if type(module) is nn.Linear:
            bias = None if module.bias is None else names[id(module.bias)]
            layers.append(Layer(names[id(module.weight)], bias, None))
        elif type(module) in (nn.Identity, nn.Dropout):
            continue
        elif not (_is_known(module) and layers and layers[-1].activation is None):
            return None
        else:
            layers[-1] = layers[-1]._replace(activation=ACTIVATIONS[type(module)])
    return tuple(layers) or None


def _unrolled(module: nn.Module) -> list[nn.Module]:
    sequential = isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward
    hooked = module._forward_hooks or module._forward_pre_hooks
    if hooked or not sequential:
        return [nn.Module() if hooked else module]
    return [inner for child in module._modules.values() if child for inner in _unrolled(child)]


def _is_known(module: nn.Module) -> bool:
    return type(module) in ACTIVATIONS and getattr(module, "approximate", "none") == "none"


class Buffers:
    """Memory that one pass leaves for the next: fresh memory costs a page fault every 4 kB."""

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], Tensor] = {}

    def take(self, like: Tensor, slot: tuple[object, ...], *shape: int) -> Tensor | None:
        """Return a tensor to write into, or None under autocast, which knows no such calls."""
        if torch.is_autocast_enabled(like.device.type):
            return None
        kept = self._kept.get(slot)
        if kept is None or kept.shape != shape:
            # Gone before the next is made: a smaller tile is tried where memory ran out.
            self._kept.pop(slot, None)
            self._kept[slot] = like.new_empty(shape)
        return self._kept[slot]


def first_layer(
    layer: Layer, weights: Mapping[str, Tensor], inputs: Tensor, buffers: Buffers
) -> Tensor:
    """Return the pre-activations (P, width, R) of inputs (R, in), shared by all P points."""
    weight = weights[layer.weight]
    points, width, _ = weight.shape
    flat = weight.reshape(points * width, -1)
    out = buffers.take(flat, ("first layer",), points * width, len(inputs))
    if layer.bias is None:
        return torch.mm(flat, inputs.T, out=out).view(points, width, -1)
    bias = weights[layer.bias].reshape(-1, 1)
    return torch.addmm(bias, flat, inputs.T, out=out).view(points, width, -1)


def propagate(
    layers: Sequence[Layer],
    weights: Mapping[str, Tensor],
    inputs: Tensor,
    buffers: Buffers,
    directions: Sequence[tuple[Tensor, int]] = (),
    derivatives: int = 0,
) -> Jets:
    """Send inputs (R, in) through the chain at P parameter points, weights (P, …).

    ``directions`` holds input directions (in,), each with the order, 1 or 2, that is wanted along
    it at the last ``derivatives`` inputs. The result lies in ``buffers``, until the next pass.
    """
    first = weights[layers[0].weight]
    start = Jets(
        first_layer(layers[0], weights, inputs, buffers),
        [(first @ along[:, None]).expand(-1, -1, derivatives) for along, _ in directions],
        [None if order < 2 else first.new_zeros(()) for _, order in directions],
    )
    return continue_from(start, layers, weights, buffers)


def continue_from(
    jets: Jets, layers: Sequence[Layer], weights: Mapping[str, Tensor], buffers: Buffers
) -> Jets:
    """Return the chain's outputs from the pre-activations of its first layer."""
    for index, layer in enumerate(layers):
        if index:
            bias = None if layer.bias is None else weights[layer.bias]
            jets = _affine(jets, weights[layer.weight], bias, buffers, index % 2)
        if layer.activation is not None:
            jets = _activated(jets, layer.activation)
    return jets


def _affine(jets: Jets, weight: Tensor, bias: Tensor | None, buffers: Buffers, parity: int) -> Jets:
    """Apply a linear layer; two sets of buffers take turns, so that the last one stays readable."""

    def product(part: Tensor, kind: str, number: int = 0) -> Tensor:
        shape = (*weight.shape[:2], part.shape[-1])
        out = buffers.take(part, (kind, number, parity), *shape)
        if kind == "value" and bias is not None:
            return torch.baddbmm(bias[:, :, None], weight, part, out=out)
        return torch.bmm(weight, part, out=out)

    first = [product(part, "first", i) for i, part in enumerate(jets.first)]
    # A second derivative without axes is the zero of the first layer, which is linear.
    second = [
        part if part is None or not part.ndim else product(part, "second", i)
        for i, part in enumerate(jets.second)
    ]
    return Jets(product(jets.value, "value"), first, second)


def _activated(z: Jets, activation: Activation) -> Jets:
    value = activation.value(z.value)
    if not z.first:
        return Jets(value, [], [])
    inner = slice(value.shape[-1] - z.first[0].shape[-1], None)
    slope = activation.slope(z.value[..., inner], value[..., inner])
    second: list[Tensor | None] = [None] * len(z.second)
    if any(part is not None for part in z.second):
        curvature = activation.curvature(z.value[..., inner], value[..., inner], slope)
        second = [
            None if part is None else slope * part + curvature * along * along
            for along, part in zip(z.first, z.second, strict=True)
        ]
    # Tangents of the first layer are one column for all inputs, not to be written into.
    first = [along.mul_(slope) if along.is_contiguous() else slope * along for along in z.first]
    return Jets(value, first, second)
