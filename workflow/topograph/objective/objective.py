"""The objective: a loss on fixed data, as a function of a model's parameters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from topograph.foundation.errors import TopographError, unknown_name
from topograph.objective import model as models
from topograph.objective.engines import (
    ENGINES,
    Engine,
    Parameters,
    Placed,
    default_tile,
    exact_products,
    make_engine,
)
from topograph.objective.model import Batch, Function, Ratio
from topograph.objective.vectors import flatten

Place = Callable[[torch.dtype, torch.device, Sequence[str]], Placed]
BATCH_NORM = ("centre", "recalibrated")


class Objective:
    """The loss as a function of a parameter vector, on data fixed at construction.

    ``center`` holds the trained parameters by name; ``engine`` is ``stacked`` where many parameter
    points are expected to run best as one batched product, ``in-place`` where they run best one
    after another, and ``engines`` lists those that are possible; ``filter_axes`` gives the axis of
    the output unit for each weight with more than one axis.
    """

    def __init__(
        self,
        place: Place,
        names: Sequence[str],
        *,
        engine: str,
        filter_axes: Mapping[str, int],
        engines: Sequence[str] = ENGINES,
    ) -> None:
        self._place, self.names = place, tuple(names)
        self._placed: dict[tuple[torch.dtype, torch.device], Placed] = {}
        self.engine, self.engines = engine, tuple(engines)
        self.filter_axes = dict(filter_axes)

    @classmethod
    def from_model(
        cls,
        model: nn.Module,
        loss: Function,
        batches: Batch | Sequence[Batch],
        *,
        parameters: str | Sequence[str] = "*",
        batch_norm: str = "centre",
        metrics: Mapping[str, Function | Ratio] | None = None,
        weight_decay: float = 0.0,
    ) -> Objective:
        """Build the objective of any module; the module itself is copied and stays as it is.

        ``loss(outputs, targets)`` returns a mean over the batch; batches of different length are
        weighted by it, so the result does not depend on how the data are cut. A metric is such a
        mean too, a scalar or one value a class, or a ``Ratio`` of two. ``parameters`` selects by
        name pattern; frozen parameters never move. Batch norm runs on the buffers of the
        ``centre``, or is ``recalibrated`` at each point: normalised by the statistics of all the
        data there. With ``weight_decay`` w the loss has the term w/2 ||theta||^2 that the optimiser
        minimised with it, and the metric ``data_loss`` is the loss without it. Raises
        TopographError for a model in training mode, when nothing is selected, the data are empty
        or the loss is not a scalar.
        """
        if batch_norm not in BATCH_NORM:
            raise unknown_name("batch_norm", batch_norm, BATCH_NORM)
        models.require_evaluation_mode(model)
        data = models.listed(batches)
        data = models.joined(data) if batch_norm == "recalibrated" else data
        kept = models.with_batch_norm(model, batch_norm)
        taken = {"loss", "data_loss"} & set(metrics or {})
        if taken:
            raise TopographError(f"a metric is named {taken.pop()!r}; give it another name")
        functions = {"loss": loss, **(metrics or {})}
        trainable = [name for name, p in model.named_parameters() if p.requires_grad]
        # Batched convolutions become grouped ones, mostly slower than one point at a time.
        dense = all(isinstance(m, nn.Linear) or not m._parameters for m in model.modules())
        objective = cls(
            models.OnBatches(kept, functions, data, weight_decay).place,
            models.selected(trainable, parameters),
            engine="stacked" if dense else "in-place",
            filter_axes=models.filter_axes(model),
        )
        _check_shapes(objective)
        return objective

    def restricted(self, parameters: str | Sequence[str]) -> Objective:
        """Return the objective in which only the parameters that match a pattern move.

        Its Hessian is a block of the whole one. Raises TopographError when nothing matches.
        """
        names = models.selected(self.names, parameters)
        return Objective(
            self._place,
            names,
            engine=self.engine,
            filter_axes=self.filter_axes,
            engines=self.engines,
        )

    def at(self, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Placed:
        """Return the objective in a dtype on a device; kept for the next call."""
        key = (dtype, torch.device(device))
        if key not in self._placed:
            self._placed[key] = self._place(*key, self.names)
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
        """Return the other terms, each (P, …), at P parameter points."""
        return {name: v for name, v in self.evaluate(stacked).items() if name != "loss"}

    @torch.no_grad()
    def evaluate(self, stacked: Parameters, *, engine: str | None = None) -> dict[str, Tensor]:
        """Return the loss and every metric, each (P, …), at P points, tile by tile."""
        first = next(iter(stacked.values()))
        placed = self.at(first.dtype, first.device)
        name = engine or self.engine
        with exact_products():
            return self._evaluated(placed, name, stacked)

    def _evaluated(self, placed: Placed, name: str, stacked: Parameters) -> dict[str, Tensor]:
        made: Engine = make_engine(placed, name, default_tile(placed, name))
        rows = made.lift(stacked)
        found = []
        for start in range(0, len(rows), len(made.buffer)):
            tile = rows[start : start + len(made.buffer)]
            # The rest of the last tile repeats a point: every point goes through the same kernel.
            made.buffer.copy_(tile[-1:]).narrow(0, 0, len(tile)).copy_(tile)
            found.append({k: v[: len(tile)].clone() for k, v in made.run().items()})
        return {name: torch.cat([tile[name] for tile in found]) for name in found[0]}

    @cached_property
    def digest(self) -> str:
        """Twelve hex digits of the centre, the loss there, and the names of what is evaluated."""
        placed = self.at(torch.float64)
        with torch.no_grad():
            terms = make_engine(placed, "in-place", 1).run()
        loss = float(terms["loss"])
        content = hashlib.sha256(" ".join([*self.names, *sorted(terms)]).encode())
        content.update(flatten(placed.center).cpu().numpy().tobytes())
        # The last digits of a sum depend on the number of threads.
        content.update(f"{loss:.6g}".encode())
        return content.hexdigest()[:12]


def _check_shapes(objective: Objective) -> None:
    with torch.no_grad():
        terms = objective.at().terms(objective.center)
    for name, value in terms.items():
        if value.ndim > (name != "loss"):
            wanted = "a scalar is needed" if name == "loss" else "a scalar or one axis is needed"
            raise TopographError(
                f"{name} has shape {tuple(value.shape)}, {wanted}: return the mean over the batch"
            )
