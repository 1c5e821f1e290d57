"""Batch norm folded into the convolution before it, at whatever the parameters are now."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# Far above rounding, far below what a wrong graph does.
TOLERANCE = 1e-3


class _Folded(nn.Module):
    """A convolution, batch norm on its buffers and perhaps ReLU: one pass over the images."""

    def __init__(self, convolution: nn.Module, norm: nn.Module, rectified: bool) -> None:
        super().__init__()
        self.convolution, self.norm, self.rectified = convolution, norm, rectified

    def forward(self, x: Tensor) -> Tensor:
        conv: Any = self.convolution
        norm: Any = self.norm
        scale = torch.rsqrt(norm.running_var + norm.eps)
        scale = scale if norm.weight is None else scale * norm.weight
        shift = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
        bias = shift * scale if norm.bias is None else torch.addcmul(norm.bias, shift, scale)
        weight = conv.weight * scale.reshape(-1, *[1] * (conv.weight.ndim - 1))
        found = conv._conv_forward(x, weight, bias)
        return found.relu_() if self.rectified else found


def folded(network: nn.Module, example: Tensor) -> nn.Module:
    """Return a network that computes the same in fewer passes, or the network itself.

    Batch norm on running statistics right after a convolution scales and shifts its output, which
    scaling its weights does as well (Jacob et al. 2018, section 3.2). The parameters stay those
    of ``network`` and are read anew at each call. A network that torch.fx cannot trace, that has
    hooks, or whose outputs on ``example`` would differ is returned as it is.
    """
    if any(m._forward_hooks or m._forward_pre_hooks for m in network.modules()):
        return network
    try:
        graph = fx.symbolic_trace(network)
    # Tracing runs the user's own forward on proxies: whatever that raises means "cannot".
    except Exception:
        return network
    if not _fold_all(graph):
        return network
    graph.graph.lint()
    graph.recompile()
    expected, found = network(example), graph(example)
    error = (found - expected).abs().max() if isinstance(found, Tensor) else torch.tensor(1.0)
    return graph if bool(error <= TOLERANCE * expected.abs().max()) else network


def _fold_all(graph: fx.GraphModule) -> int:
    modules = dict(graph.named_modules())
    count = 0
    for node in list(graph.graph.nodes):
        before = _convolution_before(node, modules)
        if before is None:
            continue
        user = next(iter(node.users)) if len(node.users) == 1 else None
        rectified = user is not None and _is_relu(user, modules)
        last = user if user is not None and rectified else node
        name = f"folded_{count}"
        graph.add_submodule(
            name, _Folded(modules[str(before.target)], modules[str(node.target)], rectified)
        )
        with graph.graph.inserting_after(last):
            new = graph.graph.call_module(name, (before.args[0],))
        last.replace_all_uses_with(new)
        for old in dict.fromkeys((last, node, before)):
            graph.graph.erase_node(old)
        count += 1
    return count


def _convolution_before(node: fx.Node, modules: dict[str, nn.Module]) -> fx.Node | None:
    """Return the convolution whose output goes to this batch norm alone, if there is one."""
    norm: Any = modules.get(str(node.target)) if node.op == "call_module" else None
    if type(norm) not in NORMS or norm.running_mean is None:
        return None
    before = node.args[0] if node.args else None
    if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
        return None
    return before if type(modules.get(str(before.target))) in CONVOLUTIONS else None


def _is_relu(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return type(modules.get(str(node.target))) is nn.ReLU
    return node.op == "call_function" and node.target in (F.relu, torch.relu)
