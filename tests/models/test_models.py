"""Networks have the published sizes, shapes and initial weights."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from topograph.models.mlp import MLP
from topograph.models.unet import UNet
from topograph.models.wide_resnet import Block, WideResNet
from topograph.objective.objective import Objective


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("depth", "width", "parameters"),
    [
        (10, 1, 77_850),
        (10, 2, 303_706),
        (16, 1, 175_066),
        (16, 2, 691_674),
        (22, 1, 272_282),
        (22, 2, 1_079_642),
        (28, 2, 1_467_610),
    ],
)
def test_wide_resnets_have_the_published_parameter_counts(
    depth: int, width: int, parameters: int
) -> None:
    assert size(WideResNet(depth, width, in_channels=3)) == parameters


@pytest.mark.parametrize("depth", [4, 9, 12, -2])
def test_a_depth_that_is_not_4_plus_6n_is_refused_with_the_allowed_ones(depth: int) -> None:
    with pytest.raises(ValueError, match=rf"depth is {depth}; allowed: 10, 16, 22"):
        WideResNet(depth, 1)


@pytest.mark.parametrize("side", [8, 32])
def test_wide_resnet_maps_images_to_logits(side: int) -> None:
    model = WideResNet(10, 1, in_channels=1, classes=7).eval()
    assert model(torch.zeros(2, 1, side, side)).shape == (2, 7)


def test_wide_resnet_starts_from_the_published_distribution() -> None:
    torch.manual_seed(0)
    model = WideResNet(10, 2)
    conv = model.blocks[2].conv2.weight
    assert conv.std().item() == pytest.approx(math.sqrt(2 / (9 * conv.shape[0])), rel=0.02)
    assert model.head.weight.std().item() == pytest.approx(math.sqrt(2 / (128 + 10)), rel=0.1)
    assert not model.head.bias.any()


def test_the_shortcut_sees_the_activated_input_and_only_where_shapes_differ() -> None:
    torch.manual_seed(0)
    block, x = Block(3, 5, stride=2).eval(), torch.randn(2, 3, 8, 8)
    nn.init.zeros_(block.conv2.weight)
    expected = F.conv2d(F.relu(block.norm1(x)), block.shortcut.weight, stride=2)
    assert torch.equal(block(x), expected)
    assert Block(3, 3, stride=1).shortcut is None


def test_unet_gives_logits_per_pixel_and_has_482483_parameters() -> None:
    model = UNet(in_channels=1, classes=3, width=16, depth=4).eval()
    assert model(torch.zeros(2, 1, 16, 24)).shape == (2, 3, 16, 24)
    # Encoder 293,712; transposed convolutions 43,120; decoder 145,600; head 51.
    assert size(model) == 482_483


def test_only_transposed_convolutions_have_their_filters_on_axis_1() -> None:
    model = UNet(1, 3, width=2, depth=3)
    data = (torch.zeros(1, 1, 8, 8), torch.zeros(1, 8, 8, dtype=torch.long))
    axes = Objective.from_model(model.eval(), F.cross_entropy, data).filter_axes
    transposed = {name for name, axis in axes.items() if axis == 1}
    assert transposed == {"upsample.0.weight", "upsample.1.weight"}
    assert set(axes) == {name for name, p in model.named_parameters() if p.ndim > 1}


def test_the_published_pinn_has_7851_parameters_and_pytorchs_default_start() -> None:
    torch.manual_seed(3)
    model = MLP(2, 1, width=50, depth=4)
    assert size(model) == 7_851
    torch.manual_seed(3)
    sizes = [2, 50, 50, 50, 50, 1]
    plain = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    expected = [parameter for layer in plain for parameter in layer.parameters()]
    for found, wanted in zip(model.parameters(), expected, strict=True):
        assert torch.equal(found, wanted)


def test_the_mlp_is_linear_and_tanh_layers() -> None:
    model, x = MLP(2, 1, width=4, depth=1), torch.randn(5, 2)
    first, last = model[0], model[2]
    assert torch.equal(model(x), last(torch.tanh(first(x))))
