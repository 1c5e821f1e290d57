"""Any module on fixed batches, as functions of its parameters."""

from __future__ import annotations

import copy
import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from topograph.foundation.errors import TopographError
from topograph.objective.chain import Chain
from topograph.objective.engines import Mapped, Parameters, Placed
from topograph.objective.fusion import fused
from topograph.objective.jets import chain_of

Function = Callable[[Tensor, Tensor], Tensor]
Batch = tuple[Tensor, Tensor]


class Ratio(NamedTuple):
    """A metric that is a ratio of two means over the data, as an intersection over a union is."""

    numerator: Function
    denominator: Function


class OnBatches(NamedTuple):
    """A network in evaluation mode, the functions of its outputs, and the data they are means over.

    ``weight_decay`` w adds w / 2 times the squared norm of the trainable parameters to the loss.
    """

    network: nn.Module
    functions: Mapping[str, Function | Ratio]
    batches: Sequence[Batch]
    weight_decay: float

    def place(self, dtype: torch.dtype, device: torch.device, names: Sequence[str]) -> Placed:
        """Return the objective with the parameters ``names`` moving, in a dtype on a device."""
        network = copy.deepcopy(self.network).requires_grad_(False).to(device, dtype)
        batches = [(_moved(x, dtype, device), _moved(y, dtype, device)) for x, y in self.batches]
        batches = self._laid_out(network, batches, dtype)
        state = dict(network.named_parameters())
        center = {name: state[name].detach().clone() for name in names}
        fixed = {name: value.detach() for name, value in state.items() if name not in center}
        means = _Means(self.functions, batches, dtype)
        decayed = [k for k, v in self.network.named_parameters() if v.requires_grad]

        call = functional(network)
        quick = cache(lambda: fused(network, batches[0][0][:2]))

        def terms(parameters: Parameters) -> dict[str, Tensor]:
            found = means.of(partial(call, parameters))
            return self._with_decay(found, {**fixed, **parameters}, decayed)

        def bind(views: Parameters) -> Callable[[], dict[str, Tensor]]:
            bound, every = _bound(quick(), views), {**fixed, **views}
            return lambda: self._with_decay(means.of(bound), every, decayed)

        layers = None if self.weight_decay else chain_of(network)
        if layers is None or any(inputs.ndim != 2 for inputs, _ in batches):
            return Placed(center, terms, bind, Mapped(center, terms))
        chain = Chain(layers, center, fixed, batches, means.parts)
        return Placed(center, terms, bind, _Finished(chain, means))

    def _laid_out(
        self, network: nn.Module, batches: list[Batch], dtype: torch.dtype
    ) -> list[Batch]:
        """Lay images and filters out channels last, which is faster, where everything runs so.

        A network or a loss that calls ``view`` may depend on the usual layout.
        """
        inputs, targets = batches[0]
        few = _Means(self.functions, [(_flat(inputs[:2]), _flat(targets[:2]))], dtype)
        for layout in (torch.channels_last, torch.contiguous_format):
            for parameter in network.parameters():
                parameter.data = _flat(parameter.data, layout)
            try:
                with torch.no_grad():
                    few.of(network)
            except RuntimeError:
                continue
            return [(_flat(x, layout), _flat(y, layout)) for x, y in batches]
        return batches

    def _with_decay(
        self, terms: dict[str, Tensor], parameters: Parameters, decayed: Sequence[str]
    ) -> dict[str, Tensor]:
        if not self.weight_decay:
            return terms
        norm = torch.stack([parameters[name].square().sum() for name in decayed]).sum()
        return {
            **terms,
            "data_loss": terms["loss"],
            "loss": terms["loss"] + self.weight_decay / 2 * norm,
        }


class _Finished(NamedTuple):
    """A chain whose numerators and denominators are divided at the end."""

    chain: Chain
    means: _Means

    @property
    def footprint(self) -> int:
        return self.chain.footprint

    def lift(self, vectors: Parameters) -> Tensor:
        return self.chain.lift(vectors)

    def evaluate(self, rows: Tensor) -> dict[str, Tensor]:
        return self.means.finished(self.chain.evaluate(rows))


class _Means:
    """Means over all examples: each batch counts by its length, so cuts change nothing."""

    def __init__(
        self,
        functions: Mapping[str, Function | Ratio],
        batches: Sequence[Batch],
        dtype: torch.dtype,
    ) -> None:
        self._functions, self._batches, self._dtype = functions, batches, dtype
        self._total = sum(len(inputs) for inputs, _ in batches)
        self.parts: dict[str, Function] = {}
        for name, function in functions.items():
            if isinstance(function, Ratio):
                self.parts[f"{name}/above"] = function.numerator
                self.parts[f"{name}/below"] = function.denominator
            else:
                self.parts[name] = function

    def of(self, network: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        for inputs, targets in self._batches:
            outputs = network(inputs)
            if isinstance(outputs, Tensor) and outputs.is_floating_point():
                # Under autocast they come in half precision; a loss summed so would lose digits.
                outputs = outputs.to(self._dtype)
            for name, function in self.parts.items():
                term = function(outputs, targets) * (len(inputs) / self._total)
                sums[name] = sums[name] + term if name in sums else term
        return self.finished(sums)

    def finished(self, sums: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: sums[f"{name}/above"] / sums[f"{name}/below"]
            if isinstance(function, Ratio)
            else sums[name]
            for name, function in self._functions.items()
        }


def functional(network: nn.Module) -> Callable[[Parameters, Tensor], Tensor]:
    """Return a network as a function of parameters and inputs; shared parameters move together."""
    places = _places(network)

    def call(parameters: Parameters, inputs: Tensor) -> Tensor:
        every = {place: value for name, value in parameters.items() for place in places[name]}
        return functional_call(network, every, (inputs,), tie_weights=False)

    return call


def _places(network: nn.Module) -> dict[str, list[str]]:
    """Return by name of a parameter the names of all attributes that hold it, each once.

    torch's own tying swaps a parameter of a shared module twice and restores it wrongly.
    """
    first: dict[int, str] = {}
    places: dict[str, dict[tuple[int, str], str]] = {}
    for path, value in network.named_parameters(remove_duplicate=False):
        owner, _, leaf = path.rpartition(".")
        name = first.setdefault(id(value), path)
        places.setdefault(name, {}).setdefault((id(network.get_submodule(owner)), leaf), path)
    return {name: list(found.values()) for name, found in places.items()}


def _bound(network: nn.Module, views: Parameters) -> nn.Module:
    """Return a copy of a network that computes with the views as its parameters."""
    bound = copy.deepcopy(network)
    for name, places in _places(bound).items():
        for place in places if name in views else ():
            owner, _, leaf = place.rpartition(".")
            view = nn.Parameter(views[name], requires_grad=False)
            setattr(bound.get_submodule(owner), leaf, view)
    return bound


def listed(batches: Batch | Iterable[Batch]) -> list[Batch]:
    """Return batches as a list of (inputs, targets); raise TopographError where all are empty."""
    found: list[Any] = list(batches)
    if len(found) == 2 and isinstance(found[0], Tensor):
        found = [tuple(found)]
    filled = [pair for pair in found if len(pair[0])]
    if not filled:
        raise TopographError(
            f"no examples in {len(found)} batches; an objective needs at least one "
            "(inputs, targets) pair that is not empty"
        )
    return filled


def joined(batches: Sequence[Batch]) -> list[Batch]:
    """Return all batches as one."""
    inputs, targets = zip(*batches, strict=True)
    return [(torch.cat(inputs), torch.cat(targets))]


def selected(names: Sequence[str], patterns: str | Sequence[str]) -> list[str]:
    """Return the names that match a pattern; raise TopographError where none does."""
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    found = [n for n in names if any(fnmatch.fnmatchcase(n, pattern) for pattern in wanted)]
    if not found:
        raise TopographError(
            f"parameters={patterns!r} selects none of the trainable parameters; "
            f"allowed are patterns matching {', '.join(names[:8]) or 'none, all are frozen'}"
        )
    return found


def require_evaluation_mode(model: nn.Module) -> None:
    """Raise TopographError for a model in training mode, whose loss may differ between calls."""
    training = [name or "the model itself" for name, m in model.named_modules() if m.training]
    if training:
        raise TopographError(
            f"the model is in training mode ({training[0]}), in which dropout and batch norm "
            "change the loss from call to call; a landscape needs evaluation mode: call "
            "model.eval() first, and batch_norm='recalibrated' where statistics should follow "
            "the weights"
        )


def with_batch_norm(model: nn.Module, policy: str) -> nn.Module:
    """Return a copy whose batch norm keeps the centre's buffers or follows the data it sees."""
    kept = copy.deepcopy(model)
    for module in kept.modules():
        if policy == "recalibrated" and isinstance(module, nn.modules.batchnorm._BatchNorm):
            # Without running statistics a layer uses those of its input, in evaluation mode too.
            module.running_mean = module.running_var = None
    return kept


def filter_axes(model: nn.Module) -> dict[str, int]:
    """Return the axis of the output unit: 1 for transposed convolutions, 0 for all others."""
    axes = {}
    for prefix, module in model.named_modules():
        transposed = isinstance(module, nn.modules.conv._ConvTransposeNd)
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim > 1:
                axes[f"{prefix}.{name}" if prefix else name] = int(transposed)
    return axes


def _moved(tensor: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    return tensor.to(device, dtype if tensor.is_floating_point() else None)


def _flat(tensor: Tensor, layout: torch.memory_format = torch.channels_last) -> Tensor:
    return tensor.contiguous(memory_format=layout) if tensor.ndim == 4 else tensor
