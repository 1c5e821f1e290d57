"""The objective: a loss on fixed data, as a function of a model's parameters."""

from __future__ import annotations

import copy
import fnmatch
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from topograph.foundation.errors import TopographError

Parameters = Mapping[str, Tensor]
Terms = Callable[[Parameters], dict[str, Tensor]]
Metric = Callable[[Tensor, Tensor], Tensor]
Batch = tuple[Tensor, Tensor]


class Placed(NamedTuple):
    """An objective on one device in one dtype: its centre and its terms, the loss among them."""

    center: dict[str, Tensor]
    terms: Terms


class Objective:
    """The loss as a function of a parameter vector, on data fixed at construction.

    ``center`` holds the trained parameters by name; ``engine`` is ``stacked`` when many parameter
    points run best as one batched product, ``in-place`` when they run best one after another;
    ``filter_axes`` gives the axis of the output unit for each weight with more than one axis.
    """

    def __init__(
        self,
        place: Callable[[torch.dtype, torch.device], Placed],
        *,
        engine: str,
        filter_axes: Mapping[str, int],
    ) -> None:
        self._place = place
        self._placed: dict[tuple[torch.dtype, torch.device], Placed] = {}
        self.engine = engine
        self.filter_axes = dict(filter_axes)

    @classmethod
    def from_model(
        cls,
        model: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        batches: Batch | Sequence[Batch],
        *,
        parameters: str | Sequence[str] = "*",
        metrics: Mapping[str, Metric] | None = None,
    ) -> Objective:
        """Build the objective of any module; the module itself is copied and stays as it is.

        ``loss(outputs, targets)`` returns a mean over the batch; batches of different length are
        weighted by it, so the result does not depend on how the data are cut. ``parameters``
        selects by name pattern; frozen parameters never move. Batch norm runs in evaluation mode
        on the buffers of the centre. Raises TopographError when nothing is selected, the data are
        empty or the loss is not a scalar.
        """
        kept = copy.deepcopy(model)
        listed = _listed(batches)
        names = _selected(model, parameters)
        functions: dict[str, Metric] = {"loss": loss, **(metrics or {})}

        def place(dtype: torch.dtype, device: torch.device) -> Placed:
            network = copy.deepcopy(kept).eval().to(device, dtype).requires_grad_(False)
            state = dict(network.named_parameters())
            center = {name: state[name].detach().clone() for name in names}
            placed = [(_moved(x, dtype, device), _moved(y, dtype, device)) for x, y in listed]
            return Placed(center, _model_terms(network, functions, placed))

        # Batched convolutions become grouped ones, which are slower than one point at a time.
        batched = all(isinstance(m, nn.Linear) or not m._parameters for m in model.modules())
        objective = cls(
            place, engine="stacked" if batched else "in-place", filter_axes=_filter_axes(model)
        )
        _check_scalar(objective)
        return objective

    def at(self, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Placed:
        """Return the centre and the terms in a dtype on a device; kept for the next call."""
        key = (dtype, torch.device(device))
        if key not in self._placed:
            self._placed[key] = self._place(*key)
        return self._placed[key]

    @property
    def center(self) -> dict[str, Tensor]:
        """The trained parameters, by name, float32."""
        return self.at().center

    def loss(self, parameters: Parameters) -> Tensor:
        """Return the scalar loss at one parameter point, differentiable."""
        first = next(iter(parameters.values()))
        return self.at(first.dtype, first.device).terms(parameters)["loss"]

    def losses(self, stacked: Parameters) -> Tensor:
        """Return the losses (P,) at P parameter points stacked along a leading axis."""
        return self.evaluate(stacked)["loss"]

    def metrics(self, stacked: Parameters) -> dict[str, Tensor]:
        """Return the other terms, each (P,), at P parameter points."""
        return {name: v for name, v in self.evaluate(stacked).items() if name != "loss"}

    @torch.no_grad()
    def evaluate(self, stacked: Parameters, *, engine: str | None = None) -> dict[str, Tensor]:
        """Return the loss and every metric, each (P,), in one pass over P points."""
        first = next(iter(stacked.values()))
        terms = self.at(first.dtype, first.device).terms
        if (engine or self.engine) == "stacked":
            return vmap(terms)(dict(stacked))
        points = [terms({k: v[p] for k, v in stacked.items()}) for p in range(len(first))]
        return {name: torch.stack([point[name] for point in points]) for name in points[0]}

    @property
    def digest(self) -> str:
        """Twelve hex digits of the centre and of the loss there: one model on one set of data."""
        placed = self.at(torch.float64)
        with torch.no_grad():
            loss = placed.terms(placed.center)["loss"]
        parts = [*sorted(placed.center.items()), ("loss", loss)]
        content = hashlib.sha256()
        for name, value in parts:
            content.update(name.encode())
            content.update(value.cpu().numpy().tobytes())
        return content.hexdigest()[:12]


def _listed(batches: Batch | Sequence[Batch]) -> list[Batch]:
    listed: list[Any] = list(batches)
    if len(listed) == 2 and isinstance(listed[0], Tensor):
        listed = [tuple(listed)]
    filled = [pair for pair in listed if len(pair[0])]
    if not filled:
        raise TopographError(
            f"no examples in {len(listed)} batches; an objective needs at least one "
            "(inputs, targets) pair that is not empty"
        )
    return filled


def _selected(model: nn.Module, patterns: str | Sequence[str]) -> list[str]:
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    names = [n for n in trainable if any(fnmatch.fnmatchcase(n, pattern) for pattern in wanted)]
    if not names:
        raise TopographError(
            f"parameters={patterns!r} selects none of the trainable parameters; "
            f"allowed are patterns matching {', '.join(trainable[:8]) or 'none, all are frozen'}"
        )
    return names


def _moved(tensor: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    moved = tensor.to(device, dtype if tensor.is_floating_point() else None)
    return moved.contiguous(memory_format=torch.channels_last) if moved.ndim == 4 else moved


def _model_terms(
    network: nn.Module, functions: Mapping[str, Metric], batches: Iterable[Batch]
) -> Terms:
    weighted = [(inputs, targets, len(inputs)) for inputs, targets in batches]
    total = sum(weight for _, _, weight in weighted)

    def terms(parameters: Parameters) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        for inputs, targets, weight in weighted:
            outputs = functional_call(network, dict(parameters), (inputs,))
            for name, function in functions.items():
                term = function(outputs, targets) * (weight / total)
                sums[name] = sums[name] + term if name in sums else term
        return sums

    return terms


def _filter_axes(model: nn.Module) -> dict[str, int]:
    """Return the axis of the output unit: 1 for transposed convolutions, 0 for all others."""
    axes = {}
    for prefix, module in model.named_modules():
        transposed = isinstance(module, nn.modules.conv._ConvTransposeNd)
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim > 1:
                axes[f"{prefix}.{name}" if prefix else name] = int(transposed)
    return axes


def _check_scalar(objective: Objective) -> None:
    with torch.no_grad():
        terms = objective.at().terms(objective.center)
    for name, value in terms.items():
        if value.ndim != 0:
            raise TopographError(
                f"{name} has shape {tuple(value.shape)}, a scalar is needed: "
                "return the mean over the batch"
            )
