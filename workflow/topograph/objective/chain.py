"""Batched evaluation of a chain of linear layers on data: many parameter points in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn import functional as F

from topograph.objective.jets import Buffers, Jets, Layer, continue_from, first_layer, propagate
from topograph.objective.vectors import unflatten

Function = Callable[[Tensor, Tensor], Tensor]
# From this many inputs on, the first layer's pre-activations are cheaper to move than its weights.
WIDE = 16


class Chain:
    """Means of functions of a chain's outputs over batches (R, in), at P parameter points.

    ``center`` holds the parameters that move, ``fixed`` the others. The wide first layer of a
    chain is *lifted*: its pre-activations on the data depend linearly on its weights, so they take
    the place of the weights in theta + sum alpha_i d_i, and n + 1 matrix products serve all points.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        center: Mapping[str, Tensor],
        fixed: Mapping[str, Tensor],
        batches: Sequence[tuple[Tensor, Tensor]],
        functions: Mapping[str, Function],
    ) -> None:
        self._layers, self._fixed, self._functions = layers, fixed, functions
        self._buffers = Buffers()
        self._batches = [(inputs.flatten(1), targets) for inputs, targets in batches]
        self._labelled = [_is_labelled(targets) for _, targets in batches]
        self._total = sum(len(inputs) for inputs, _ in batches)
        first = layers[0]
        self._width, inputs = {**fixed, **center}[first.weight].shape
        own = {first.weight, first.bias} - {None}
        later = {name for layer in layers[1:] for name in (layer.weight, layer.bias)}
        self._lifted = inputs >= WIDE and own <= set(center) and not own & later
        self._kept = {k: v for k, v in center.items() if not (self._lifted and k in own)}
        self._weights = sum(value.numel() for value in self._kept.values())
        self.footprint = self._width * max(len(inputs) for inputs, _ in batches)

    def lift(self, vectors: Mapping[str, Tensor]) -> Tensor:
        """Return vectors by name (M, …) as rows (M, L), a linear map."""
        rows = [vectors[name].flatten(1) for name in self._kept]
        if self._lifted:
            count = len(vectors[self._layers[0].weight])
            # One product a vector: its bits must not depend on what else is in the call.
            singles = [{k: v[m : m + 1] for k, v in vectors.items()} for m in range(count)]
            for inputs, _ in self._batches:
                lifted = [self._lifted_row(single, inputs) for single in singles]
                # Under autocast products come in half precision.
                rows.append(torch.cat(lifted).flatten(1).to(inputs.dtype))
        return torch.cat(rows, dim=1)

    def _lifted_row(self, single: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        return first_layer(self._layers[0], single, inputs, Buffers())

    def evaluate(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the mean of each function, (P, …), at rows (P, L), which are overwritten."""
        weights = {k: v.expand(len(rows), *v.shape) for k, v in self._fixed.items()}
        weights |= unflatten(rows[:, : self._weights], self._kept)
        sums: dict[str, Tensor] = {}
        done = self._weights
        for (inputs, targets), labelled in zip(self._batches, self._labelled, strict=True):
            if self._lifted:
                size = self._width * len(inputs)
                z = rows[:, done : done + size].view(len(rows), self._width, -1)
                jets = continue_from(Jets(z, [], []), self._layers, weights, self._buffers)
                done += size
            else:
                jets = propagate(self._layers, weights, inputs, self._buffers)
            # Under autocast products come in half precision; a loss summed so would lose digits.
            outputs = jets.value.to(rows.dtype)
            for name, function in self._functions.items():
                term = _each(function, outputs, targets, labelled) * (len(inputs) / self._total)
                sums[name] = sums[name] + term if name in sums else term
        return sums


def _is_labelled(targets: Tensor) -> bool:
    """Return whether targets are one class each, none to be ignored."""
    return targets.ndim == 1 and not targets.is_floating_point() and bool((targets >= 0).all())


def _each(function: Function, outputs: Tensor, targets: Tensor, labelled: bool) -> Tensor:
    """Return a function of outputs (P, classes, R) and targets (R, …) at each of P points."""
    if function is F.cross_entropy and labelled:
        # A soft-max across contiguous rows takes a tenth of the time of one along short columns.
        labels = targets.expand(len(outputs), -1)
        return F.cross_entropy(outputs, labels, reduction="none").mean(dim=1)
    return vmap(function, in_dims=(0, None))(outputs.transpose(1, 2), targets)
