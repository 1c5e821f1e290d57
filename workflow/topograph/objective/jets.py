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

Slopes = tuple[Tensor, Tensor | float]


class Activation(NamedTuple):
    """sigma(z), which may overwrite z, and (sigma', sigma'') from z and h = sigma(z).

    The slopes of an activation that overwrites z depend on h alone.
    """

    value: Callable[[Tensor], Tensor]
    slopes: Callable[[Tensor, Tensor], Slopes]


def _tanh_slopes(_: Tensor, h: Tensor) -> Slopes:
    first = torch.addcmul(h.new_ones(()), h, h, value=-1)
    return first, -2 * h * first


def _silu_slopes(z: Tensor, _: Tensor) -> Slopes:
    s = torch.sigmoid(z)
    falling = s * (1 - s)
    return s + z * falling, falling * (2 + z * (1 - 2 * s))


def _gelu_slopes(z: Tensor, _: Tensor) -> Slopes:
    density = torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return torch.special.ndtr(z) + z * density, density * (2 - z * z)


def _sigmoid_slopes(_: Tensor, h: Tensor) -> Slopes:
    first = h * (1 - h)
    return first, first * (1 - 2 * h)


ACTIVATIONS = {
    nn.Tanh: Activation(torch.tanh_, _tanh_slopes),
    Sine: Activation(torch.sin, lambda z, h: (torch.cos(z), -h)),
    nn.SiLU: Activation(F.silu, _silu_slopes),
    nn.GELU: Activation(F.gelu, _gelu_slopes),
    nn.Sigmoid: Activation(torch.sigmoid_, _sigmoid_slopes),
    nn.ReLU: Activation(torch.relu_, lambda _, h: ((h > 0).to(h.dtype), 0.0)),
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


def first_layer(layer: Layer, weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """Return the pre-activations (P, width, R) of inputs (R, in), shared by all P points."""
    weight = weights[layer.weight]
    points, width, _ = weight.shape
    flat = weight.reshape(points * width, -1)
    if layer.bias is None:
        return (flat @ inputs.T).view(points, width, -1)
    bias = weights[layer.bias].reshape(-1, 1)
    return torch.addmm(bias, flat, inputs.T).view(points, width, -1)


def propagate(
    layers: Sequence[Layer],
    weights: Mapping[str, Tensor],
    inputs: Tensor,
    directions: Sequence[tuple[Tensor, int]] = (),
    derivatives: int = 0,
) -> Jets:
    """Send inputs (R, in) through the chain at P parameter points, weights (P, …).

    ``directions`` holds input directions (in,), each with the order, 1 or 2, that is wanted along
    it at the last ``derivatives`` inputs.
    """
    first = weights[layers[0].weight]
    return continue_from(
        Jets(
            first_layer(layers[0], weights, inputs),
            [(first @ along[:, None]).expand(-1, -1, derivatives) for along, _ in directions],
            [None if order < 2 else first.new_zeros(()) for _, order in directions],
        ),
        layers,
        weights,
    )


def continue_from(jets: Jets, layers: Sequence[Layer], weights: Mapping[str, Tensor]) -> Jets:
    """Return the chain's outputs from the pre-activations of its first layer."""
    for index, layer in enumerate(layers):
        if index:
            jets = _affine(jets, weights[layer.weight], layer.bias and weights[layer.bias])
        if layer.activation is not None:
            jets = _activated(jets, layer.activation)
    return jets


def _affine(jets: Jets, weight: Tensor, bias: Tensor | str | None) -> Jets:
    if isinstance(bias, Tensor):
        value = torch.baddbmm(bias[:, :, None], weight, jets.value)
    else:
        value = torch.bmm(weight, jets.value)
    first = [torch.bmm(weight, part) for part in jets.first]
    # A second derivative without axes is the zero of the first layer, which is linear.
    second = [p if p is None or not p.ndim else torch.bmm(weight, p) for p in jets.second]
    return Jets(value, first, second)


def _activated(z: Jets, activation: Activation) -> Jets:
    value = activation.value(z.value)
    if not z.first:
        return Jets(value, [], [])
    inner = slice(value.shape[-1] - z.first[0].shape[-1], None)
    slope, curvature = activation.slopes(z.value[..., inner], value[..., inner])
    second = [
        None if part is None else slope * part + curvature * along * along
        for along, part in zip(z.first, z.second, strict=True)
    ]
    return Jets(value, [slope * along for along in z.first], second)
