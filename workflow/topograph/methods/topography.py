"""What kind of place training ends at and passes: slope, curvature, sharpness, critical points."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from topograph.comparison.card import words
from topograph.config.models import Topography
from topograph.config.runs import Cell
from topograph.geometry.directions import Directions, hessian_directions, random_directions
from topograph.landscape.hessian import hessian_eigenpairs
from topograph.landscape.point import DENSE, Stationary, gradient_norm, layer_blocks, stationary
from topograph.landscape.sampling import sample
from topograph.landscape.sharpness import KINDS, sharpness
from topograph.landscape.spectrum import (
    LANCZOS_STEPS,
    SKETCH,
    TRACE_PROBES,
    hessian_density,
    hessian_trace,
)
from topograph.landscape.stable import largest_stable_rate
from topograph.methods.record import Record, write_pieces
from topograph.methods.subject import Subject
from topograph.objective.objective import Objective
from topograph.topology.critical import critical_points

# Critical points of every index are found on grids of up to three axes.
AXES = 3
# A random direction is as long as the weights, filter by filter: its grid reaches as far.
RANDOM_DISTANCE = 1.0
DENSITY_PROBES = 10
NUMBERS = ("loss", "gradient_norm", "relative_step", "index", "condition", "alignment")


def write_topography(
    cell: Cell,
    analysis: Topography,
    weights: str | Path,
    files: Mapping[str, str],
    *,
    scratch: str | Path,
    code: str,
    device: str = "cpu",
) -> None:
    """Write what kind of points training passes to ``results``, its cost to ``methods``.

    Over (seed, epoch): loss, gradient_norm, relative_step, index, condition, alignment, trace and
    trace_error, ``top`` and ``bottom`` (rank) with their errors. Over seed, at the last epoch:
    sharpness (kind), density and its error over grid (point), ``layer_…`` (layer). ``card`` has a
    row of numbers and words for each network; ``critical`` the points off the border by directions
    (random, hessian), number of dimensions and index: their count and median height.
    """
    subject = Subject(cell, analysis, weights, device)
    seeds = subject.seeds[: analysis.networks]
    pieces = {f"seed-{seed}": partial(_network, subject, analysis, seed) for seed in seeds}
    write_pieces(subject, files, pieces, scratch=scratch, code=code)


def _network(subject: Subject, analysis: Topography, seed: int, record: Record) -> xr.Dataset:
    """Look at the points that a training passed, and at the last of them more closely."""
    passed = []
    for epoch in _stages(subject.epochs(seed), analysis.stages):
        objective = subject.objective(seed, epoch)
        drawn = subject.draws(seed, epoch)
        with record.about(seed, f"epoch {epoch}"):
            point, numbers = _point(objective, analysis.eigenvalues, drawn, subject.device, record)
        ends = {
            name: ("rank", getattr(point, name))
            for name in ("top", "top_errors", "bottom", "bottom_errors")
        }
        passed.append(xr.Dataset(numbers | ends).expand_dims(epoch=[epoch]))
    card = {
        **numbers,
        "parameters": point.parameters,
        "top_eigenvalue": float(point.top[0]),
        "bottom_eigenvalue": float(point.bottom[0]),
        "words": "\n".join(words(point)),
    }
    with record.about(seed):
        closely, more = _closely(objective, analysis.rho, subject.draws(seed), subject, record)
        _grids(objective, analysis, subject.draws(seed), subject.device, record)
        record.add("card", **card, **more, **_losses(subject, seed))
    return xr.merge([xr.concat(passed, "epoch"), closely]).expand_dims(seed=[seed])


def _stages(epochs: list[int], count: int) -> list[int]:
    """Return up to ``count`` epochs, evenly spaced, the first and the last among them."""
    chosen = np.linspace(0, len(epochs) - 1, count).round().astype(int)
    return sorted({epochs[number] for number in chosen[::-1]})


def _point(
    objective: Objective, eigenvalues: int, seed: int, device: str, record: Record
) -> tuple[Stationary, dict[str, Any]]:
    """Return slope and curvature at a point."""
    with record.method("gradient_norm") as row:
        gradient_norm(objective, device=device)
        row["evaluations"] = 1
    with record.method("hessian_eigenpairs") as row:
        # Lanczos leaves more to its tolerance than float32 to rounding, and takes half the time.
        dtype = "float64" if _size(objective) <= DENSE else "float32"
        point = stationary(
            objective, eigenvalues=eigenvalues, seed=seed, dtype=dtype, device=device
        )
        row["evaluations"] = point.products
    with record.method("hessian_trace") as row:
        trace = hessian_trace(objective, seed=seed, device=device)
        row["evaluations"] = min(point.parameters, 2 * SKETCH + TRACE_PROBES)
        row["standard_error"] = trace.standard_error
    numbers: dict[str, Any] = {name: getattr(point, name) for name in NUMBERS}
    return point, numbers | {"trace": trace.value, "trace_error": trace.standard_error}


def _closely(
    objective: Objective, rho: float, seed: int, subject: Subject, record: Record
) -> tuple[xr.Dataset, dict[str, float]]:
    """Return what only the end of training is looked at for, and the numbers for its card."""
    device = subject.device
    with record.method("sharpness") as row:
        rises = {
            kind: sharpness(objective, rho=rho, kind=kind, seed=seed, device=device)
            for kind in KINDS
        }
        row["evaluations"] = sum(rise.evaluations for rise in rises.values())
        row["standard_error"] = rises["average"].standard_error
    with record.method("hessian_density") as row:
        density = hessian_density(objective, probes=DENSITY_PROBES, seed=seed, device=device)
        row["evaluations"] = min(_size(objective), DENSITY_PROBES * LANCZOS_STEPS)
    with record.method("layer_blocks"):
        layers = layer_blocks(objective, seed=seed, device=device)
    with record.method("stable_rate") as row:
        stable = largest_stable_rate(objective, seed=seed, device=device)
        row["evaluations"] = stable.gradients
    found: dict[str, Any] = {
        "sharpness": ("kind", [rise.value for rise in rises.values()]),
        "grid": ("point", density.grid),
        "density": ("point", density.density),
        "density_error": ("point", density.standard_error),
    }
    found |= {f"layer_{name}": ("layer", layers[name].to_numpy()) for name in layers.columns[1:]}
    more = {f"sharpness_{kind}": rise.value for kind, rise in rises.items()}
    more |= {"stable_rate": stable.rate, "stable_rate_low": stable.low}
    coordinates = {"kind": list(KINDS), "layer": layers["layer"].to_list()}
    return xr.Dataset(found, coordinates), more | {"stable_rate_high": stable.high}


def _size(objective: Objective) -> int:
    return sum(value.numel() for value in objective.center.values())


def _losses(subject: Subject, seed: int) -> dict[str, float]:
    """Return the mean loss on all examples, those trained on and those held out."""
    both = {
        "train_loss": subject.objective(seed, all_examples=True),
        "test_loss": subject.held_out(seed, all_examples=True),
    }
    return {
        name: float(objective.loss(objective.center)) if objective else float("nan")
        for name, objective in both.items()
    }


def _grids(
    objective: Objective, analysis: Topography, seed: int, device: str, record: Record
) -> None:
    """Record the critical points on grids of one to three directions, random and Hessian."""
    with record.method("critical_points") as row:
        pairs = hessian_eigenpairs(objective, AXES, seed=seed, device=device)
        row["evaluations"] = pairs.products
        grids = {
            "hessian": (hessian_directions(pairs, AXES), analysis.distance),
            "random": (random_directions(objective, AXES, seed=seed), RANDOM_DISTANCE),
        }
        for name, (directions, distance) in grids.items():
            losses = _grid(objective, directions, analysis.points, distance, device)
            row["evaluations"] += losses.size
            for dimensions in range(1, AXES + 1):
                _add_critical(record, name, losses, dimensions)


def _grid(
    objective: Objective, directions: Directions, points: int, distance: float, device: str
) -> np.ndarray:
    found = sample(
        objective, directions, points=points, distance=distance, dtype="float64", device=device
    )
    return found["loss"].to_numpy()


def _add_critical(record: Record, directions: str, losses: np.ndarray, dimensions: int) -> None:
    """Record the critical points of the grid through its centre along the first directions."""
    middle = (losses.shape[0] // 2,) * (losses.ndim - dimensions)
    found = critical_points(losses[(..., *middle)])
    inner = found[~found["on_border"]]
    for index in range(dimensions + 1):
        of_index = inner[inner["index"] == index]
        record.add(
            "critical",
            directions=directions,
            dimensions=dimensions,
            index=index,
            count=int(of_index["multiplicity"].sum()),
            on_border=int((found["on_border"] & (found["index"] == index)).sum()),
            height=float(of_index["value"].median()),
        )
