"""Convolution, batch norm, addition and ReLU in one pass, at whatever the parameters are now."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
ADDITIONS = (operator.add, operator.iadd, torch.add)
RECTIFIERS = (F.relu, torch.relu)
# Far above rounding, far below what a wrong graph does.
TOLERANCE = 1e-3


class _Fused(nn.Module):
    """A convolution with what comes right after it: batch norm on its buffers, a sum, ReLU."""

    def __init__(self, convolution: nn.Module, norm: nn.Module | None, rectified: bool) -> None:
        super().__init__()
        self.convolution, self.norm, self.rectified = convolution, norm, rectified

    def forward(self, x: Tensor, other: Tensor | None = None, overwrite: bool = False) -> Tensor:
        conv: Any = self.convolution
        weight, bias = conv.weight, conv.bias
        if self.norm is not None:
            weight, bias = _folded(conv, self.norm)
        if _has_kernel(conv, x):
            return self._kernel(x, weight, bias, other, overwrite)
        found = conv._conv_forward(x, weight, bias)
        if other is not None:
            found = found.add_(other) if found.shape == other.shape else found + other
        return found.relu_() if self.rectified else found

    def _kernel(
        self, x: Tensor, weight: Tensor, bias: Tensor, other: Tensor | None, overwrite: bool
    ) -> Tensor:
        """Call the oneDNN kernels that torch's own compiler uses: the rest costs no pass."""
        conv: Any = self.convolution
        kernels = torch.ops.mkldnn
        shape = (conv.padding, conv.stride, conv.dilation, conv.groups)
        after = "relu" if self.rectified else "none"
        if other is None:
            return kernels._convolution_pointwise(x, weight, bias, *shape, after, [], "")
        other = other.contiguous(memory_format=torch.channels_last)
        last = "relu" if self.rectified else None
        added: tuple[Any, ...] = ("add", 1.0, last, [], "")
        if overwrite:
            in_place = kernels._convolution_pointwise_.binary
            return in_place(other, x, weight, bias, *shape, *added)
        return kernels._convolution_pointwise.binary(x, other, weight, bias, *shape, *added)


def _folded(conv: Any, norm: Any) -> tuple[Tensor, Tensor]:
    """Return the weight and bias of conv followed by norm (Jacob et al. 2018, section 3.2)."""
    scale = torch.rsqrt(norm.running_var + norm.eps)
    scale = scale if norm.weight is None else scale * norm.weight
    shift = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    bias = shift * scale if norm.bias is None else torch.addcmul(norm.bias, shift, scale)
    return conv.weight * scale.reshape(-1, *[1] * (conv.weight.ndim - 1)), bias


def _has_kernel(conv: Any, x: Tensor) -> bool:
    plain = type(conv) is nn.Conv2d and conv.padding_mode == "zeros"
    single = x.device.type == "cpu" and x.dtype == conv.weight.dtype == torch.float32
    usual = plain and single and isinstance(conv.padding, tuple) and x.ndim == 4
    return usual and torch.backends.mkldnn.is_available() and not torch.is_autocast_enabled("cpu")


def fused(network: nn.Module, example: Tensor) -> nn.Module:
    """Return a network that computes the same in fewer passes, or the network itself.

    The parameters stay those of ``network`` and are read anew at each call. A network that torch.fx
    cannot trace, that has hooks, or whose outputs on ``example`` would differ by more than rounding
    is returned as it is.
    """
    if any(m._forward_hooks or m._forward_pre_hooks for m in network.modules()):
        return network
    try:
        graph = fx.symbolic_trace(network)
        if not _fuse_all(graph):
            return network
        graph.graph.lint()
        graph.recompile()
        with torch.no_grad(), torch.autocast(example.device.type, enabled=False):
            expected, found = network(example), graph(example)
        error = (found - expected).abs().max()
    # Tracing runs the user's own forward on proxies: whatever that raises means "cannot".
    except Exception:
        return network
    return graph if bool(error <= TOLERANCE * expected.abs().max()) else network


class _Pattern(NamedTuple):
    """The nodes of a convolution and of what is fused into it, in order, and the other summand."""

    nodes: list[fx.Node]
    norm: nn.Module | None
    other: fx.Node | None
    rectified: bool


def _fuse_all(graph: fx.GraphModule) -> int:
    modules = dict(graph.named_modules())
    count = 0
    for node in list(graph.graph.nodes):
        if node.op != "call_module" or type(modules[str(node.target)]) not in CONVOLUTIONS:
            continue
        pattern = _pattern(node, modules)
        if len(pattern.nodes) == 1:
            continue
        name = f"fused_{count}"
        convolution = modules[str(node.target)]
        graph.add_submodule(name, _Fused(convolution, pattern.norm, pattern.rectified))
        with graph.graph.inserting_after(pattern.nodes[-1]):
            inputs: tuple[Any, ...] = (node.args[0],)
            if pattern.other is not None:
                inputs += (pattern.other, _is_last(pattern, graph))
            new = graph.graph.call_module(name, inputs)
        pattern.nodes[-1].replace_all_uses_with(new)
        for old in reversed(pattern.nodes):
            graph.graph.erase_node(old)
        count += 1
    return count


def _pattern(start: fx.Node, modules: dict[str, nn.Module]) -> _Pattern:
    nodes, norm, other = [start], None, None
    after = _only_user(start)
    if after is not None and (norm := _norm(after, modules)) is not None:
        nodes.append(after)
        after = _only_user(after)
    if after is not None and (other := _other_summand(after, nodes[-1])) is not None:
        nodes.append(after)
        after = _only_user(after)
    rectified = after is not None and _is_relu(after, modules)
    if after is not None and rectified:
        nodes.append(after)
    return _Pattern(nodes, norm, other, rectified)


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _norm(node: fx.Node, modules: dict[str, nn.Module]) -> nn.Module | None:
    norm: Any = modules.get(str(node.target)) if node.op == "call_module" else None
    return norm if type(norm) in NORMS and norm.running_mean is not None else None


def _other_summand(node: fx.Node, one: fx.Node) -> fx.Node | None:
    if node.op != "call_function" or node.target not in ADDITIONS or node.kwargs:
        return None
    others = [arg for arg in node.args if arg is not one]
    return others[0] if len(others) == 1 and isinstance(others[0], fx.Node) else None


def _is_last(pattern: _Pattern, graph: fx.GraphModule) -> bool:
    """Return whether nothing reads the other summand later, so that its memory may be reused.

    It must be a fused output, which is nobody's view, and its other readers fused: they make none.
    """

    def is_fused(node: fx.Node) -> bool:
        return node.op == "call_module" and type(graph.get_submodule(str(node.target))) is _Fused

    assert pattern.other is not None
    readers = [user for user in pattern.other.users if user not in pattern.nodes]
    earlier = all(is_fused(user) and user < pattern.nodes[0] for user in readers)
    return is_fused(pattern.other) and earlier


def _is_relu(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return type(modules.get(str(node.target))) is nn.ReLU
    return node.op == "call_function" and node.target in RECTIFIERS
