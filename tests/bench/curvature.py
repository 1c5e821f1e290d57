"""Top five eigenpairs and trace against PyHessian, and the price of one product."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pyhessian import hessian
from timing import alternate, begin, line, publish, ratio
from torch import Tensor, nn
from torch.nn import functional as F

import topograph as tg
from topograph.landscape.hessian import HessianProduct
from topograph.models.resnet import ResNet

PROBES = 96
SETTINGS = {"defaults": {}, "tol=1e-6, maxIter=1000": {"tol": 1e-6, "maxIter": 1000}}
Row = dict[str, object]
Fitted = tuple[nn.Module, Tensor, Tensor]


def _trained(model: nn.Module, inputs: Tensor, steps: int) -> tuple[nn.Module, Tensor]:
    """Fit ten classes a little, so that the spectrum has outliers as trained models have."""
    torch.manual_seed(0)
    targets = (inputs.flatten(1) @ torch.randn(inputs[0].numel(), 10)).argmax(1)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(steps):
        optimiser.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return model.eval(), targets


def mlp() -> Fitted:
    """Return a 784-128-10 network fitted to 512 inputs."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    inputs = torch.randn(512, 784)
    return model, inputs, _trained(model, inputs, 100)[1]


def resnet() -> Fitted:
    """Return ResNet-8 fitted to 16 images."""
    torch.manual_seed(0)
    model, inputs = ResNet(depth=8), torch.randn(16, 3, 32, 32)
    return model, inputs, _trained(model, inputs, 20)[1]


def _flat(vectors: Sequence[Tensor]) -> np.ndarray:
    return torch.cat([part.detach().reshape(-1) for part in vectors]).double().cpu().numpy()


def _residual(product: HessianProduct, values: Sequence[float], rows: list[np.ndarray]) -> float:
    """Return the largest ||H v - lambda v|| / |lambda| of vectors made unit."""
    units = [row / np.linalg.norm(row) for row in rows]
    found = [
        np.linalg.norm(product(v) - e * v) / abs(e) for e, v in zip(values, units, strict=True)
    ]
    return float(max(found))


def _objective(fitted: Fitted) -> tg.Objective:
    model, inputs, targets = fitted
    return tg.Objective.from_model(model, F.cross_entropy, [(inputs, targets)])


def _computer(model: nn.Module, inputs: Tensor, targets: Tensor, device: str) -> hessian:
    moved = copy.deepcopy(model).to(device)
    data = (inputs.to(device), targets.to(device))
    return hessian(moved, F.cross_entropy, data=data, cuda=device == "cuda")


def top_five(fitted: Fitted, options: dict[str, float], device: str, repeats: int) -> Row:
    """Time five eigenpairs at the residual that PyHessian reaches with the given options."""
    objective = _objective(fitted)
    product = HessianProduct(objective, dtype="float32", device=device)
    found: dict[str, Any] = {}

    def rival() -> None:
        torch.manual_seed(0)
        found["rival"] = _computer(*fitted, device).eigenvalues(top_n=5, **options)

    rival()
    values, vectors = found["rival"]
    reached = _residual(product, values, [_flat(v) for v in vectors])

    def own() -> None:
        found["own"] = tg.hessian_eigenpairs(objective, 5, tolerance=reached, device=device)

    times = alternate({"own": own, "rival": rival}, device, repeats)
    pairs = found["own"]
    return {
        "topograph_seconds": statistics.median(times["own"]),
        "pyhessian_seconds": statistics.median(times["rival"]),
        "times_pyhessian": ratio(times["rival"], times["own"]),
        "topograph_residual": float(max(pairs.residuals / abs(pairs.values))),
        "pyhessian_residual": reached,
        "topograph_products": pairs.products,
        "topograph_values": " ".join(f"{value:.4g}" for value in pairs.values),
        "pyhessian_values": " ".join(f"{value:.4g}" for value in values),
    }


def trace(fitted: Fitted, device: str, repeats: int) -> Row:
    """Time traces at equal standard error, and one product beside one gradient."""
    objective = _objective(fitted)
    product = HessianProduct(objective, dtype="float32", device=device)
    found: dict[str, Any] = {}

    def own() -> None:
        found["own"] = tg.hessian_trace(objective, device=device)

    def rival() -> None:
        found["rival"] = _computer(*fitted, device).trace(maxIter=PROBES, tol=0)

    draw = np.random.default_rng(0).standard_normal(product.size)
    point = {k: v.to(device).requires_grad_() for k, v in objective.center.items()}
    works = {
        "own": own,
        "rival": rival,
        "product": lambda: product(draw),
        "gradient": lambda: torch.autograd.grad(objective.loss(point), list(point.values())),
    }
    times = alternate(works, device, repeats)
    probes = np.array(found["rival"])
    error = float(probes.std(ddof=1) / np.sqrt(len(probes)))
    # Hutchinson's error falls with the root of its probes: its time to reach our standard error.
    more = (error / found["own"].standard_error) ** 2
    return {
        "topograph_trace": found["own"].value,
        "pyhessian_trace": float(probes.mean()),
        "topograph_standard_error": found["own"].standard_error,
        "pyhessian_standard_error": error,
        "topograph_seconds": statistics.median(times["own"]),
        "pyhessian_seconds": statistics.median(times["rival"]),
        "times_pyhessian_at_equal_error": ratio(times["rival"], times["own"]) * more,
        "product_over_gradient": ratio(times["product"], times["gradient"]),
    }


def run(device: str, names: list[str], repeats: int) -> None:
    """Print and write both tables, one line a model and setting of PyHessian."""
    start = begin(__file__)
    pairs: list[Row] = []
    traces: list[Row] = []
    for name, make in {"mlp": mlp, "resnet8": resnet}.items():
        fitted = make()
        for setting, options in SETTINGS.items():
            found = top_five(fitted, options, device, min(repeats, 3))
            pairs.append({"objective": name, "pyhessian": setting, **found})
            line(pairs[-1])
        traces.append({"objective": name, **trace(fitted, device, min(repeats, 3))})
        line(traces[-1])
    publish("top-five", pairs, device, start)
    publish("trace", traces, device, start)
