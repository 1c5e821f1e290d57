"""What training one seed leaves behind, and its file in scratch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from topograph.foundation.storage import read_weights, write_weights


@dataclass(frozen=True)
class SeedResult:
    """Weights by epoch, one history row per recorded epoch, final metrics of one seed.

    Epoch 0 holds the initial weights; ``metrics`` always has ``diverged``, 0 or 1.
    """

    weights: dict[int, dict[str, np.ndarray]]
    history: list[dict[str, float]]
    metrics: dict[str, float]

    def save(self, path: Path, digest: str) -> None:
        """Write the result to one file, marked with the digest of its training."""
        write_weights(
            path,
            named(self.weights),
            {
                "digest": digest,
                "history": json.dumps(self.history),
                "metrics": json.dumps(self.metrics),
            },
        )

    @staticmethod
    def load(path: Path) -> SeedResult:
        """Read a result back."""
        tensors, header = read_weights(path)
        weights: dict[int, dict[str, np.ndarray]] = {}
        for name, value in tensors.items():
            epoch, parameter = name.split("/", 1)
            weights.setdefault(int(epoch), {})[parameter] = value
        history, metrics = json.loads(header["history"]), json.loads(header["metrics"])
        return SeedResult(dict(sorted(weights.items())), history, metrics)


def named(weights: Mapping[int, Mapping[str, Any]], prefix: str = "") -> dict[str, Any]:
    """Flatten weights by epoch into names ``epoch/parameter``."""
    return {
        f"{prefix}{epoch}/{name}": value
        for epoch, state in weights.items()
        for name, value in state.items()
    }


def state_arrays(model: nn.Module) -> dict[str, np.ndarray]:
    """Copy a model's parameters and buffers to numpy arrays."""
    return {name: value.detach().cpu().numpy().copy() for name, value in model.state_dict().items()}


def load_state(model: nn.Module, state: Mapping[str, np.ndarray]) -> nn.Module:
    """Load numpy arrays into a model, every name required, and return the model."""
    import torch

    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return model
