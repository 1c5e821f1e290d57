"""Parameter dictionaries as flat vectors, in the order of the dictionary."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def flatten(parameters: Mapping[str, Tensor]) -> Tensor:
    """Concatenate parameters (...) into one vector (N,)."""
    return torch.cat([value.reshape(-1) for value in parameters.values()])


def flatten_each(stacked: Mapping[str, Tensor]) -> Tensor:
    """Concatenate stacked parameters (M, …) into rows (M, N)."""
    return torch.cat([value.reshape(len(value), -1) for value in stacked.values()], dim=1)


def unflatten(vectors: Tensor, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return views of vectors (..., N) with the names and shapes of ``like``."""
    sizes = [value.numel() for value in like.values()]
    leading = vectors.shape[:-1]
    parts = vectors.split(sizes, dim=-1)
    return {
        name: part.reshape(*leading, *value.shape)
        for (name, value), part in zip(like.items(), parts, strict=True)
    }
