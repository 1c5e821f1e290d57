"""Many trajectories as one training, their parameters stacked: where a step is mostly waiting."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, vmap

from topograph.data.dataset import Dataset
from topograph.families.supervised import EVALUATION_BATCH, accuracy
from topograph.landscape.plan import (
    CLEARLY_FASTER,
    PROBE_RUNS,
    SECONDS_WORTH_A_PROBE,
    is_out_of_memory,
)
from topograph.objective.engines import exact_products
from topograph.objective.vectors import flatten
from topograph.trajectory.retraining import Epoch, Jump, Retrainer

Tensors = dict[str, Tensor]


class StackedRetrainer:
    """Retraining of several jumps at once on one device, equal to one by one up to rounding.

    Each trajectory has its own parameters, buffers, batches and SGD history, stacked along a
    leading axis; torch.func maps the network over it. A network that draws at random, by dropout
    say, cannot be mapped so: torch raises RuntimeError.
    """

    def __init__(self, alone: Retrainer, device: torch.device) -> None:
        self._alone, self._device = alone, device

    def retrain(self, jumps: Sequence[Jump]) -> Iterator[Epoch]:
        """Make the jumps and retrain; yield every epoch, the first being the jumps themselves."""
        alone, how = self._alone, self._alone.how
        parameters, buffers = self._starts(jumps)
        model = alone.model.to(self._device)
        optimiser = how.optimiser(parameters.values(), alone.training.optimiser.weight_decay)
        anchor = flatten(alone.origin)
        for epoch in range(how.epochs + 1):
            with exact_products():
                if epoch:
                    model.train()
                    for inputs, targets in self._batches(jumps, epoch):
                        optimiser.zero_grad()
                        self._losses(parameters, buffers, inputs, targets).sum().backward()
                        optimiser.step()
                model.eval()
                records = self._records(parameters, buffers, len(jumps))
            rows = [flatten({n: p[i] for n, p in parameters.items()}) for i in range(len(jumps))]
            offsets = torch.stack([row.detach().cpu() - anchor for row in rows])
            yield Epoch(offsets.numpy(), records)

    def _starts(self, jumps: Sequence[Jump]) -> tuple[Tensors, Tensors]:
        """Return the parameters and the buffers of the network after each jump, stacked."""
        model = self._alone.model.cpu()
        parameters: list[Tensors] = []
        buffers: list[Tensors] = []
        for jump in jumps:
            self._alone.jump(*jump)
            parameters.append({n: p.detach().clone() for n, p in model.named_parameters()})
            buffers.append({n: b.clone() for n, b in model.named_buffers()})
        trained = {n: value.requires_grad_() for n, value in self._stacked(parameters).items()}
        return trained, self._stacked(buffers)

    def _stacked(self, each: Sequence[Tensors]) -> Tensors:
        return {n: torch.stack([one[n] for one in each]).to(self._device) for n in each[0]}

    def _batches(self, jumps: Sequence[Jump], epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the inputs and targets of every trajectory's batch, stacked in its own order."""
        dataset, batch = self._alone.dataset, self._alone.how.batch
        seeds = list(dict.fromkeys(seed for seed, _ in jumps))
        rays = torch.tensor([seeds.index(seed) for seed, _ in jumps], device=self._device)
        drawn = [torch.Generator().manual_seed(self._alone.how.order(s, epoch)) for s in seeds]
        count = len(dataset.train_inputs)
        orders = [torch.randperm(count, generator=generator).split(batch) for generator in drawn]
        for chosen in zip(*orders, strict=True):
            inputs = [dataset.train_inputs[one] for one in chosen]
            if dataset.augmentation is not None:
                inputs = [dataset.augmentation(x, g) for x, g in zip(inputs, drawn, strict=True)]
            targets = torch.stack([dataset.train_targets[one] for one in chosen])
            # Only one batch for a ray travels to the device.
            yield (
                torch.stack(inputs).to(self._device)[rays],
                targets.to(self._device)[rays],
            )

    def _losses(self, parameters: Tensors, buffers: Tensors, x: Tensor, y: Tensor) -> Tensor:
        def loss(p: Tensors, b: Tensors, x: Tensor, y: Tensor) -> Tensor:
            return self._alone.loss(functional_call(self._alone.model, (p, b), (x,)), y)

        return vmap(loss)(parameters, buffers, x, y)

    @torch.no_grad()
    def _records(self, parameters: Tensors, buffers: Tensors, count: int) -> list[dict[str, float]]:
        def outputs(p: Tensors, b: Tensors, x: Tensor) -> Tensor:
            return functional_call(self._alone.model, (p, b), (x,))

        dataset = self._alone.dataset
        found: list[dict[str, float]] = [{} for _ in range(count)]
        for split in ("train", "test"):
            parts = getattr(dataset, f"{split}_inputs").split(EVALUATION_BATCH)
            mapped = vmap(outputs, in_dims=(0, 0, None))
            made = [mapped(parameters, buffers, part.to(self._device)).cpu() for part in parts]
            targets = getattr(dataset, f"{split}_targets")
            for record, one in zip(found, torch.cat(made, dim=1), strict=True):
                record[f"{split}_loss"] = float(self._alone.loss(one, targets))
                right = float(accuracy(one, targets)) if dataset.has_classes else np.nan
                record[f"{split}_accuracy"] = right
        return found


def how_many_together(
    alone: Retrainer, jumps: Sequence[Jump], workers: int, device: torch.device
) -> int:
    """Time some steps either way; return how many trajectories to stack, 0 for one by one.

    A GPU is expected to be faster stacked, a processor one by one in ``workers`` processes: only
    where the other way is clearly faster is it taken, so that a noisy clock decides nothing.
    """
    how, dataset = replace(alone.how, epochs=PROBE_RUNS + 1), _first(alone.dataset, alone.how.batch)
    tried = Retrainer(alone.training, alone.state, how, dataset)
    single = _seconds(tried, jumps[:1]) * len(jumps) / workers
    steps = -(-len(alone.dataset.train_inputs) // how.batch) * alone.how.epochs
    if device.type == "cpu" and single * steps < SECONDS_WORTH_A_PROBE:
        return 0
    together, stacked = len(jumps), float("inf")
    while together:
        try:
            found = _seconds(StackedRetrainer(tried, device), jumps[:together])
            stacked = found * len(jumps) / together
            break
        except (RuntimeError, MemoryError) as error:
            # What cannot be mapped is retrained one by one.
            together = together // 2 if is_out_of_memory(error) else 0
    print(
        f"a step of {len(jumps)} jumps: {1000 * single:.3g} ms one by one in {workers} processes, "
        f"{1000 * stacked:.3g} ms with {together} stacked on {device}",
        file=sys.stderr,
    )
    if device.type == "cpu":
        return together if stacked * CLEARLY_FASTER < single else 0
    return 0 if single * CLEARLY_FASTER < stacked else together


def _first(dataset: Dataset, batch: int) -> Dataset:
    """Return a data set of one batch."""
    return replace(
        dataset,
        train_inputs=dataset.train_inputs[:batch],
        train_targets=dataset.train_targets[:batch],
        test_inputs=dataset.test_inputs[:batch],
        test_targets=dataset.test_targets[:batch],
    )


def _seconds(retrainer: Retrainer | StackedRetrainer, jumps: Sequence[Jump]) -> float:
    """Return the seconds of an epoch of all jumps; each ends with numbers on the processor."""
    epochs = retrainer.retrain(jumps)
    next(epochs)
    times = [time.perf_counter()]
    times += [time.perf_counter() for _ in epochs]
    # The first one warms up.
    return median(np.diff(times)[1:])
