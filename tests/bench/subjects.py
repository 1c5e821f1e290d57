"""The four objectives that are sampled, as Topograph and as its rivals take them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import topograph as tg
from topograph.models.mlp import MLP
from topograph.models.resnet import ResNet
from topograph.models.unet import UNet
from topograph.problems.convection import Convection

Closure = Callable[[nn.Module], Tensor]


@dataclass(frozen=True)
class Subject:
    """One objective: ours, the model and loss closure of the rivals, and the grids to time.

    ``own`` and ``small`` are Topograph's points per axis, ``rival`` Landscaper's; ``plane`` is
    the side of loss-landscapes' plane and ``own_plane`` of Topograph's against it.
    """

    name: str
    objective: tg.Objective
    model: nn.Module
    closure: Callable[[str], Closure]
    inputs: Tensor
    dimensions: int
    own: int
    small: int
    rival: int
    plane: int
    own_plane: int
    # Products of one point over those of one forward pass of ``inputs``; and the part of them
    # that is left where the first layer, linear in alpha, is added up and not multiplied.
    passes: float = 1.0
    left: float = 1.0

    def flops(self) -> float:
        """Return the floating-point operations of the products that one point needs at least."""
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            self.model(self.inputs)
        return counter.get_total_flops() * self.passes * self.left

    def activations(self) -> tuple[type[nn.Module], int]:
        """Return the kind of activation and how many elements one point sends through it."""
        kind = nn.Tanh if self.name == "pinn" else nn.ReLU
        # In the residual network the activation is a function; each follows a batch norm.
        hooked = nn.BatchNorm2d if self.inputs.ndim == 4 else kind
        count = 0

        def add(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            nonlocal count
            count += output.numel()

        hooks = [
            module.register_forward_hook(add)
            for module in self.model.modules()
            if isinstance(module, hooked)
        ]
        with torch.no_grad():
            self.model(self.inputs)
        for hook in hooks:
            hook.remove()
        return kind, count


def pinn(beta: float = 1.0) -> Subject:
    """Return the convection PINN of Krishnapriyan et al. with N_f = 100, in 3-D."""
    torch.manual_seed(0)
    problem, network = Convection(beta), MLP(2, 1, width=50, depth=4).eval()
    tensors = [torch.from_numpy(array) for array in problem.points()]

    def closure(device: str) -> Closure:
        initial, values, left, right, inner = (tensor.to(device) for tensor in tensors)
        conditions = torch.cat([initial, left, right])
        sizes = [len(initial), len(left), len(right)]
        tangent = torch.tensor([beta, 1.0], device=device).expand_as(inner).contiguous()

        # Forward mode is the fastest way that torch offers: no graph, one pass for u and u_t.
        def loss(model: nn.Module) -> Tensor:
            with forward_ad.dual_level():
                dual = model(forward_ad.make_dual(inner, tangent))
                residual = forward_ad.unpack_dual(dual).tangent
            at_start, at_left, at_right = model(conditions).split(sizes)
            return (
                residual.square().mean()
                + (at_start - values).square().mean()
                + (at_left - at_right).square().mean()
            )

        return loss

    rows = torch.cat([tensors[0], tensors[2], tensors[3], tensors[4]])
    objective = tg.pinn_objective(problem, network)
    passes = (len(rows) + len(tensors[4])) / len(rows)
    return Subject("pinn", objective, network, closure, rows, 3, 21, 9, 11, 27, 71, passes)


def mlp() -> Subject:
    """Return a 784-128-10 network with a batch of 512, in 2-D."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    data = (torch.randn(512, 784), torch.arange(512) % 10)
    subject = _supervised("mlp", model, data, own=41, small=9, rival=41, plane=41)
    return replace(subject, left=10 / (784 + 10))


def unet() -> Subject:
    """Return the default UNet, 8 slices of 112 x 128 and about 121k parameters, in 2-D."""
    torch.manual_seed(0)
    data = (torch.randn(8, 1, 112, 128), torch.randint(0, 3, (8, 112, 128)))
    return _supervised("unet", UNet(1, 3, width=8), data, own=41, small=9, rival=21, plane=21)


def resnet() -> Subject:
    """Return ResNet-20 on 64 images of 3 x 32 x 32, in 2-D."""
    torch.manual_seed(0)
    data = (torch.randn(64, 3, 32, 32), torch.arange(64) % 10)
    return _supervised("resnet20", ResNet(depth=20), data, own=41, small=9, rival=21, plane=21)


def _supervised(
    name: str,
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    *,
    own: int,
    small: int,
    rival: int,
    plane: int,
) -> Subject:
    model.eval()
    objective = tg.Objective.from_model(model, F.cross_entropy, [data])

    def closure(device: str) -> Closure:
        inputs, targets = (tensor.to(device) for tensor in data)
        return lambda moved: F.cross_entropy(moved(inputs), targets)

    return Subject(name, objective, model, closure, data[0], 2, own, small, rival, plane, own)


def bare(subject: Subject, device: str) -> Callable[[], Tensor]:
    """Return one forward pass and loss in the layout that the in-place engine uses."""
    model = copy.deepcopy(subject.model).requires_grad_(False).to(device)
    if subject.inputs.ndim == 4:
        model = model.to(memory_format=torch.channels_last)
        inputs = subject.inputs.to(device).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            shape = model(inputs).shape
        targets = torch.zeros(shape[0], *shape[2:], dtype=torch.long, device=device)

        @torch.no_grad()
        def forward() -> Tensor:
            return F.cross_entropy(model(inputs), targets)

        return forward
    loss = subject.closure(device)
    return torch.no_grad()(lambda: loss(model))


SUBJECTS = {"pinn": pinn, "mlp": mlp, "unet": unet, "resnet20": resnet}
