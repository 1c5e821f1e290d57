"""Topograph: loss landscapes of neural networks, their topology, and the studies built on them."""

from __future__ import annotations

import importlib
import os
from typing import Any

# On some processors MKL multiplies a matrix by other code where it lies elsewhere in memory: a
# point's loss would depend on its place among others. Read at the first product, not at import.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

# Names are resolved on first use (PEP 562), so that reading a config loads neither torch nor
# deepxde: the workflow imports this package each time it builds its job graph.
_PUBLIC = {
    "Objective": "topograph.objective.objective",
    "TopographError": "topograph.foundation.errors",
    "connect": "topograph.landscape.curves",
    "diagram_distance": "topograph.topology.distances",
    "difference_directions": "topograph.geometry.directions",
    "embed": "topograph.embedding.manifold",
    "evaluate_claims": "topograph.claims.tables",
    "hessian_density": "topograph.landscape.spectrum",
    "hessian_directions": "topograph.geometry.directions",
    "hessian_eigenpairs": "topograph.landscape.hessian",
    "hessian_trace": "topograph.landscape.spectrum",
    "interpolate": "topograph.landscape.sampling",
    "jump_and_retrain": "topograph.trajectory.jump_retrain",
    "largest_stable_rate": "topograph.landscape.stable",
    "layer_blocks": "topograph.landscape.point",
    "merge_tree": "topograph.topology.merge_tree",
    "path_directions": "topograph.geometry.directions",
    "persistence": "topograph.topology.persistence",
    "phate": "topograph.embedding.phate",
    "pinn_objective": "topograph.objective.pinn",
    "profile": "topograph.topology.profile",
    "quality": "topograph.embedding.quality",
    "quantities": "topograph.topology.quantities",
    "random_directions": "topograph.geometry.directions",
    "sample": "topograph.landscape.sampling",
    "sharpness": "topograph.landscape.sharpness",
    "similarity": "topograph.comparison.similarity",
    "stationary": "topograph.landscape.point",
    "train": "topograph.families.training",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'topograph' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
