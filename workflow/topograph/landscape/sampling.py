"""Losses on an n-dimensional grid of directions around a trained model, or along a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike
from torch import Tensor

from topograph.foundation.errors import TopographError
from topograph.foundation.storage import read_dataset, write_dataset
from topograph.geometry.directions import Directions
from topograph.landscape.evaluation import Points, evaluate
from topograph.landscape.grid import Grid, grid_of, line_of
from topograph.landscape.plan import Plan
from topograph.landscape.precision import measured_errors, random_vertices
from topograph.landscape.work import Progress, work_on
from topograph.objective.objective import Objective

PER_CENTER = ("center_loss", "objective", "error_absolute", "error_relative")


def sample(
    objective: Objective | Sequence[Objective],
    directions: Directions | Sequence[Directions],
    *,
    points: int | Sequence[int] | ArrayLike = 41,
    distance: float | Sequence[float] = 1.0,
    path: str | Path | None = None,
    engine: str = "auto",
    dtype: str = "float32",
    device: str | None = None,
    shard: tuple[int, int] = (0, 1),
) -> xr.Dataset:
    """Evaluate an objective at theta + sum_i alpha_i d_i on a grid, or at a list of points.

    alpha_i = linspace(-distance_i, distance_i, points_i), in units of direction i, so an odd
    number of points puts the trained model on a vertex; ``points`` may be the alphas themselves,
    (M, n). Returns ``loss`` and one variable per metric, float64 over (alpha_1, …, alpha_n) or
    (point,), with ``norm`` and ``cosine`` of the directions; attributes hold the plan (engine,
    dtype, tile, threads, device), the loss at the centre and, unless in float64, the largest
    absolute and relative difference to float64 over a seeded sample of vertices. Values that are
    not finite are kept.

    With ``path`` the landscape is written there, and work in progress beside it: after a crash the
    same call goes on, to the same bits. Shard (i, k) evaluates the i-th of k parts, NaN elsewhere,
    and the last to finish writes the whole. Several objectives, each with its directions, are
    stacked along ``center``; ``path`` is then a folder with one file each.

    Raises TopographError for wrong sizes or names, a centre that is not finite, a device that does
    not exist, memory too small for one point, or a file at ``path`` of another landscape.
    """
    options = {"engine": engine, "dtype": dtype, "device": device, "shard": shard}
    if not isinstance(objective, Objective):
        return _sample_each(
            objective, directions, path, {**options, "points": points, "distance": distance}
        )
    if not isinstance(directions, Directions):
        raise TopographError("one objective came with several sets of directions; give it one")
    grid = grid_of(points, distance, len(directions.norms))
    _check_vectors(directions.vectors, objective)
    where = Points(_origin(objective), directions.vectors, grid.coefficients)
    center = np.zeros((1, len(directions.norms)))
    described = {
        "norm": ("direction", directions.norms.numpy()),
        "cosine": (("direction", "other"), directions.cosines.numpy()),
    }
    return _landscape(objective, where, grid, center, described, path, options)


def interpolate(
    objective: Objective,
    start: Mapping[str, Tensor],
    end: Mapping[str, Tensor],
    *,
    points: int = 41,
    path: str | Path | None = None,
    engine: str = "auto",
    dtype: str = "float32",
    device: str | None = None,
) -> xr.Dataset:
    """Evaluate an objective at (1 - t) start + t end for t = linspace(0, 1, points).

    ``start`` and ``end`` are parameters by name; both ends are hit to the last bit. Returns what
    ``sample`` returns, over the dimension ``t``, the loss at the start as ``center_loss``
    (Goodfellow et al. 2015, arXiv 1412.6544).
    """
    grid = line_of(points)
    for parameters in (start, end):
        _check_vectors({name: value[None] for name, value in parameters.items()}, objective)
    vectors = {name: torch.stack([start[name], end[name]]) for name in objective.names}
    where = Points(None, vectors, grid.coefficients)
    options = {"engine": engine, "dtype": dtype, "device": device, "shard": (0, 1)}
    return _landscape(objective, where, grid, np.array([[1.0, 0.0]]), {}, path, options)


def remeasured(
    objective: Objective, directions: Directions, landscape: xr.Dataset, vertices: np.ndarray
) -> xr.Dataset:
    """Return a landscape of ``sample`` with its errors measured at more vertices.

    ``vertices`` are numbers of points in C order, of births and deaths for instance; the larger
    errors are kept.
    """
    names = [f"alpha_{i + 1}" for i in range(len(directions.norms))]
    if set(names) != set(landscape["loss"].dims):
        raise TopographError(
            f"the landscape lies over {landscape['loss'].dims}, the directions over {names}; "
            "give a grid and its own directions"
        )
    axes = np.meshgrid(*(landscape[name].values for name in names), indexing="ij")
    alphas = np.stack(axes, axis=-1).reshape(-1, len(axes))
    where = Points(_origin(objective), directions.vectors, alphas)
    plan = Plan.of(landscape.attrs)
    losses = landscape["loss"].values.ravel()
    found = measured_errors(objective, where, losses, plan, vertices)
    return landscape.assign_attrs({k: max(v, landscape.attrs[k]) for k, v in found.items()})


def _sample_each(
    objectives: Sequence[Objective],
    directions: Directions | Sequence[Directions],
    path: str | Path | None,
    options: Mapping[str, Any],
) -> xr.Dataset:
    count = 1 if isinstance(directions, Directions) else len(directions)
    if isinstance(directions, Directions) or count != len(objectives) or not count:
        raise TopographError(
            f"{len(objectives)} objectives came with {count} sets of directions; "
            "give each objective its own"
        )
    found = [
        sample(one, own, path=Path(path) / f"{i}.nc" if path else None, **options)
        for i, (one, own) in enumerate(zip(objectives, directions, strict=True))
    ]
    dataset = xr.concat(found, "center", join="exact", combine_attrs="drop_conflicts")
    for name in PER_CENTER:
        dataset[name] = ("center", [one.attrs[name] for one in found])
        dataset.attrs.pop(name, None)
    return dataset


def _check_vectors(vectors: Mapping[str, Tensor], objective: Objective) -> None:
    given = {name: tuple(v.shape[1:]) for name, v in vectors.items()}
    wanted = {name: tuple(v.shape) for name, v in objective.center.items()}
    for name in {**wanted, **given}:
        if given.get(name) != wanted.get(name):
            raise TopographError(
                f"{name!r} has shape {given.get(name)} in the directions and {wanted.get(name)} "
                "in the model: the directions belong to another model"
            )
    broken = [name for name, value in vectors.items() if not bool(value.isfinite().all())]
    if broken:
        raise TopographError(f"{broken[0]!r} has directions that are not finite; give finite ones")


def _origin(objective: Objective) -> dict[str, Tensor]:
    """Return the centre with all its digits, whatever the type of the evaluation."""
    return objective.at(torch.float64).center


def _landscape(
    objective: Objective,
    points: Points,
    grid: Grid,
    center: np.ndarray,
    described: Mapping[str, Any],
    path: str | Path | None,
    options: Mapping[str, Any],
) -> xr.Dataset:
    if not all(bool(value.isfinite().all()) for value in objective.center.values()):
        raise TopographError("the centre holds parameters that are not finite: training diverged")
    progress = work_on(objective, points, path, **options)
    if progress is None:
        assert path is not None
        return read_dataset(path)
    dataset = _dataset(objective, points, grid, center, progress).assign(described)
    if path and progress.is_complete:
        write_dataset(path, dataset)
        progress.clear()
    return dataset


def _dataset(
    objective: Objective, points: Points, grid: Grid, center: np.ndarray, progress: Progress
) -> xr.Dataset:
    plan, values = progress.plan, progress.values
    dataset = xr.Dataset(coords=grid.coordinates)
    for name, column in values.items():
        # A metric with a value per class has an axis of its own.
        inner = (f"{name}_class",)[: column.ndim - 1]
        shaped = column.reshape(*grid.shape, *column.shape[1:])
        dataset[name] = ((*grid.dims, *inner), shaped)
    dataset.attrs = {
        **plan.to_dict(),
        "objective": objective.digest,
        "evaluated": progress.evaluated,
        "center_loss": float(evaluate(objective, points.at(center), plan)["loss"][0]),
    }
    vertices = random_vertices(len(grid.coefficients))
    dataset.attrs |= measured_errors(objective, points, values["loss"], plan, vertices)
    return dataset
