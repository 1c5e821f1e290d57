"""From a target in a config to an object: import, call, and say plainly what went wrong."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from topograph.config.models import Target
from topograph.config.targets import resolve
from topograph.data.dataset import Dataset, as_dataset
from topograph.foundation.errors import TopographError
from topograph.foundation.seeds import all_seeded, derive_seed, torch_seed
from topograph.objective.model import Function


def build(kind: str, target: Target) -> Any:
    """Import a target and call it with its arguments.

    Raises TopographError when it cannot be imported or refuses its arguments.
    """
    factory = imported(kind, target)
    try:
        return factory(**target.kwargs)
    except (TypeError, ValueError, RuntimeError, LookupError) as error:
        if isinstance(error, TopographError):
            raise
        raise TopographError(
            f"{kind} {target.target!r} does not accept {target.kwargs}: {error}"
        ) from error


def imported(kind: str, target: Target) -> Any:
    """Return the class or function that a target names; raise TopographError where none is."""
    module, name = resolve(kind, target.target).split(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except Exception as error:  # a module of the user's may raise anything
        what = f"{type(error).__name__}: {error}"
        raise TopographError(f"{kind} {target.target!r} cannot be imported: {what}") from error
    if not callable(factory):
        raise TopographError(
            f"{kind} {target.target!r} is {type(factory).__name__}; allowed: a class or a function"
        )
    return factory


def build_model(target: Target, seed: int, trial: Callable[[nn.Module], None] | None = None) -> Any:
    """Build a network with the initial weights of a seed.

    Its convolutions are laid out channels last where ``trial``, which raises TopographError for a
    network that does not run, passes so. Raises TopographError for what is no network and where
    the trial fails.
    """
    with torch_seed(derive_seed(seed, "initial weights")):
        model = build("model", target)
        if not isinstance(model, nn.Module):
            raise TopographError(
                f"model {target.target!r} made {type(model).__name__}; allowed: a torch.nn.Module"
            )
        if trial:
            _lay_out(model, trial)
        return model


def _lay_out(model: nn.Module, trial: Callable[[nn.Module], None]) -> None:
    """Lay convolutions out channels last, unless the network depends on the usual layout.

    A step of training takes three quarters of the time that it takes in the usual layout, but a
    network or a loss that calls ``view`` may not run so.
    """
    flat = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    try:
        for module in flat:
            module.to(memory_format=torch.channels_last)
        trial(model)
    except TopographError:
        for module in flat:
            module.to(memory_format=torch.contiguous_format)
        trial(model)


def build_data(target: Target) -> Dataset:
    """Build a data set; what a factory draws from global generators is the same at every call.

    Raises TopographError as ``build`` and ``as_dataset`` do.
    """
    with all_seeded(derive_seed(0, "data")):
        return as_dataset(build("data", target), f"data {target.target!r}")


def build_loss(target: Target) -> Function:
    """Return a loss as a function of outputs and targets: a module of a class, or a function."""
    found = imported("loss", target)
    if isinstance(found, type):
        return build("loss", target)
    return partial(found, **target.kwargs) if target.kwargs else found
