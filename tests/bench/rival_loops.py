"""The sampling loops of the rivals, called as their own tutorials call them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import loss_landscapes
import torch
from landscaper import LossLandscape
from landscaper.utils import generate_random_orthogonal_directions
from loss_landscapes.metrics.metric import Metric
from loss_landscapes.model_interface.model_wrapper import ModelWrapper
from subjects import Closure, Subject
from torch import nn


def landscaper(subject: Subject, device: str, points: int, dimensions: int) -> Callable[[], object]:
    """Return a call of Landscaper's grid; making directions is not timed."""
    model = copy.deepcopy(subject.model).to(device).eval().requires_grad_(False)
    torch.manual_seed(0)
    directions = generate_random_orthogonal_directions(model, dimensions)
    loss = subject.closure(device)
    return lambda: LossLandscape.compute(
        model,
        None,
        directions,
        lambda moved, _: loss(moved).item(),
        steps=points,
        distance=0.1,
        dim=dimensions,
        device=device,
    )


class _Closure(Metric):
    def __init__(self, loss: Closure) -> None:
        super().__init__()
        self.loss = loss

    def __call__(self, model_wrapper: ModelWrapper) -> float:
        return self.loss(model_wrapper.get_modules()[0]).item()


def plane(subject: Subject, device: str, points: int) -> Callable[[], object]:
    """Return a call of loss-landscapes' plane between three models; it has no third dimension.

    An interpolation spares it the normalisation filter by filter, slow in its random planes.
    """
    models: list[nn.Module] = []
    for seed in range(3):
        torch.manual_seed(seed)
        model = copy.deepcopy(subject.model).to(device).eval().requires_grad_(False)
        for parameter in model.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
        models.append(model)
    metric = _Closure(subject.closure(device))
    return torch.no_grad()(
        lambda: loss_landscapes.planar_interpolation(*models, metric, points, deepcopy_model=True)
    )
