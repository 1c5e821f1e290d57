"""A fused network gives the network's own outputs, or the network is left as it is."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from topograph.models.resnet import ResNet
from topograph.models.unet import UNet
from topograph.models.wide_resnet import WideResNet
from topograph.objective.fusion import _Fused, fused
from topograph.objective.objective import Objective


def trained(network: nn.Module) -> nn.Module:
    """Give every norm statistics and weights that are not those of a new network."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.3, 3)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return network.eval().requires_grad_(False)


def count(network: nn.Module) -> int:
    return sum(isinstance(module, _Fused) for module in network.modules())


@pytest.mark.parametrize(
    ("network", "channels", "expected"),
    [
        (UNet(1, 3, width=2, depth=3), 1, 10),
        (ResNet(8), 3, 7),
        (ResNet(8, skip=False), 3, 7),
        (WideResNet(10, 1), 3, 6),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, affine=False), nn.Tanh()), 2, 1),
        (nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3), nn.ReLU()), 2, 1),
        (nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
                       nn.BatchNorm2d(3)), 2, 1),
    ],
    ids=["unet", "resnet", "plain", "wide", "not affine", "relu", "circular"],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fusion_changes_no_output(
    network: nn.Module, channels: int, expected: int, dtype: torch.dtype
) -> None:
    network = trained(network).to(dtype)
    images = torch.randn(3, channels, 16, 16, dtype=dtype)
    quick = fused(network, images[:2])
    assert count(quick) == expected
    rtol = 1e-4 if dtype == torch.float32 else 1e-9
    wanted = network(images)
    torch.testing.assert_close(quick(images), wanted, rtol=rtol, atol=rtol * wanted.abs().max())


def test_fusion_follows_the_parameters_as_they_change() -> None:
    network = trained(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU()))
    images = torch.randn(2, 2, 5, 5)
    quick = fused(network, images)
    for value in (network[0].weight, network[0].bias, network[1].weight, network[1].bias):
        value.mul_(1.7)
        torch.testing.assert_close(quick(images), network(images), rtol=1e-5, atol=1e-5)


class Branching(nn.Module):
    """What torch.fx cannot trace."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.norm(self.conv(x))
        return found if found.sum() > 0 else -found


class Shared(Branching):
    """A convolution whose output goes elsewhere too."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.conv(x)
        return self.norm(found) + found


def hooked() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    network.register_forward_hook(lambda module, args, output: 2 * output)
    return network


def without_statistics() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    network[1].running_mean = network[1].running_var = None
    return network.eval()


@pytest.mark.parametrize("make", [Branching, Shared, hooked, without_statistics])
def test_a_network_that_cannot_be_fused_is_left_as_it_is(make: object) -> None:
    network = make().eval().requires_grad_(False)
    assert fused(network, torch.randn(2, 2, 5, 5)) is network


class Residual(nn.Module):
    """A sum whose other summand is read again later, as it is or as a view, or is not."""

    def __init__(self, again: str) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(2))
        self.again = again

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = F.relu(self.norms[0](self.convs[0](x)))
        view = first[:, ::2] if self.again == "view" else None
        found = F.relu(self.norms[1](self.convs[1](first)) + first)
        if view is not None:
            return found[:, ::2] + view
        return torch.cat([found, first], 1) if self.again == "as it is" else found


@pytest.mark.parametrize(
    ("again", "overwritten"), [("never", [True]), ("as it is", [False]), ("view", [False])]
)
def test_a_summand_is_overwritten_only_where_nothing_reads_it_again(
    again: str, overwritten: list[bool]
) -> None:
    network = trained(Residual(again))
    images = torch.randn(3, 4, 16, 16)
    quick = fused(network, images)
    assert [n.args[2] for n in quick.graph.nodes if len(n.args) == 3] == overwritten
    for _ in range(2):
        torch.testing.assert_close(quick(images), network(images), rtol=1e-4, atol=1e-4)


def test_fused_landscapes_move_norms_convolutions_and_shared_layers_alike() -> None:
    torch.manual_seed(0)
    network = trained(ResNet(8))
    network.requires_grad_(True)
    data = (torch.randn(4, 3, 8, 8), torch.randint(0, 10, (4,)))
    objective = Objective.from_model(network, F.cross_entropy, data)
    points = {
        name: value + 0.2 * torch.randn(3, *value.shape, dtype=torch.float64)
        for name, value in objective.center.items()
    }
    found = objective.losses(points)
    for p in range(3):
        reference = copy.deepcopy(network).double()
        reference.load_state_dict({k: v[p] for k, v in points.items()}, strict=False)
        expected = F.cross_entropy(reference(data[0].double()), data[1])
        torch.testing.assert_close(found[p], expected.detach(), rtol=1e-9, atol=0)
