"""Taylor propagation equals nested automatic differentiation, for each activation and order."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, jvp

from topograph.models.mlp import ACTIVATIONS, MLP
from topograph.objective.jets import Buffers, chain_of, propagate

SMOOTH = ("tanh", "sin", "gelu", "silu")


def stacked(network: nn.Module, points: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        name: p.detach()
        + 0.3 * torch.randn((points, *p.shape), generator=generator, dtype=torch.float64)
        for name, p in network.named_parameters()
    }


def nested(network: nn.Module, weights: Any, x: torch.Tensor, along: torch.Tensor) -> list:
    """Value, first and second derivative along a direction by torch.func, at one point."""

    def u(inputs: torch.Tensor) -> torch.Tensor:
        return functional_call(network, weights, (inputs,))

    def first(inputs: torch.Tensor) -> torch.Tensor:
        return jvp(u, (inputs,), (along.expand_as(inputs),))[1]

    return [u(x), first(x), jvp(first, (x,), (along.expand_as(x),))[1]]


@settings(max_examples=25, deadline=None)
@given(
    activation=st.sampled_from(SMOOTH),
    depth=st.integers(1, 3),
    inputs=st.integers(1, 3),
    outputs=st.integers(1, 2),
    weights=st.lists(st.floats(-3, 3), min_size=3, max_size=3),
)
def test_jets_equal_nested_forward_mode(
    activation: str, depth: int, inputs: int, outputs: int, weights: list[float]
) -> None:
    torch.manual_seed(0)
    network = MLP(inputs, outputs, width=5, depth=depth, activation=activation).double()
    x = torch.randn(7, inputs, dtype=torch.float64)
    along = torch.tensor(weights[:inputs], dtype=torch.float64)
    points = stacked(network, 3)
    layers = chain_of(network)
    assert layers is not None
    jets = propagate(layers, points, x, Buffers(), [(along, 2)], derivatives=4)
    for p in range(3):
        value, first, second = nested(network, {k: v[p] for k, v in points.items()}, x, along)
        torch.testing.assert_close(jets.value[p].T, value, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(jets.first[0][p].T, first[-4:], rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(jets.second[0][p].T, second[-4:], rtol=1e-10, atol=1e-11)


def test_several_directions_go_forward_together_and_only_those_asked_for() -> None:
    network = MLP(2, 1, width=4, depth=2).double()
    x, points = torch.randn(5, 2, dtype=torch.float64), stacked(network, 2)
    time, space = torch.eye(2, dtype=torch.float64)
    layers = chain_of(network)
    jets = propagate(layers, points, x, Buffers(), [(time, 1), (space, 2)], derivatives=5)
    assert jets.second[0] is None
    for along, found in ((time, jets.first[0]), (space, jets.first[1])):
        expected = nested(network, {k: v[1] for k, v in points.items()}, x, along)[1]
        torch.testing.assert_close(found[1].T, expected)


def test_the_second_derivative_of_a_sine_layer_is_minus_frequency_squared() -> None:
    network = nn.Sequential(nn.Linear(1, 3, bias=False), *[ACTIVATIONS["sin"]()]).double()
    frequency = torch.tensor([[[1.0], [2.0], [5.0]]], dtype=torch.float64)
    x = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None]
    layers = chain_of(network)
    along = torch.ones(1, dtype=torch.float64)
    jets = propagate(layers, {"0.weight": frequency}, x, Buffers(), [(along, 2)], derivatives=9)
    k = frequency[0]
    torch.testing.assert_close(jets.value[0], torch.sin(k * x.T))
    torch.testing.assert_close(jets.first[0][0], k * torch.cos(k * x.T))
    torch.testing.assert_close(jets.second[0][0], -(k**2) * torch.sin(k * x.T))


class Skipping(nn.Sequential):
    """A chain with a forward pass of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


def hooked() -> nn.Module:
    network = nn.Sequential(nn.Linear(2, 2))
    network[0].register_forward_hook(lambda module, args, output: 2 * output)
    return network


@pytest.mark.parametrize(
    "network",
    [
        Skipping(nn.Linear(2, 2)),
        hooked(),
        nn.Sequential(nn.Tanh(), nn.Linear(2, 2)),
        nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Tanh()),
        nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)),
        nn.Sequential(nn.Linear(2, 2), nn.GELU(approximate="tanh")),
        nn.Sequential(),
        nn.Conv2d(1, 1, 1),
    ],
    ids=[
        "own forward", "hook", "activation first", "two activations", "batch norm",
        "approximate gelu", "empty", "convolution",
    ],
)  # fmt: skip
def test_a_network_that_is_no_chain_is_left_to_the_generic_path(network: nn.Module) -> None:
    assert chain_of(network) is None


def test_nested_sequences_dropout_and_shared_layers_are_chains() -> None:
    shared = nn.Linear(2, 2)
    network = nn.Sequential(nn.Sequential(shared, nn.ReLU()), nn.Dropout(0.5), shared)
    layers = chain_of(network)
    assert [layer.weight for layer in layers] == ["0.0.weight", "0.0.weight"]
    assert layers[1].activation is None
    again = chain_of(nn.Sequential(shared, nn.ReLU(), shared))
    assert [layer.weight for layer in again] == ["0.weight", "0.weight"]
