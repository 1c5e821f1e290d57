"""Losses on an n-dimensional grid of directions around a trained model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from topograph.foundation.errors import TopographError, unknown_name
from topograph.foundation.progress import track
from topograph.geometry.directions import Directions
from topograph.geometry.vectors import flatten, unflatten
from topograph.objective.objective import Objective

ENGINES = ("auto", "stacked", "in-place")
DTYPES = ("float32", "float64")
# Points per batched product: enough to fill the cores, few enough for the activations to stay in
# cache. The last tile is padded, so that every point goes through the same kernel.
TILE = {"stacked": 64, "in-place": 1}
PRECISION_SAMPLE = 8


def sample(
    objective: Objective,
    directions: Directions,
    *,
    points: int | Sequence[int] = 41,
    distance: float | Sequence[float] = 1.0,
    engine: str = "auto",
    dtype: str = "float32",
    device: str | None = None,
) -> xr.Dataset:
    """Evaluate an objective at theta + sum_i alpha_i d_i on a grid.

    alpha_i = linspace(-distance_i, distance_i, points_i), in units of direction i, so an odd
    number of points puts the trained model on a vertex. Returns ``loss`` and one variable per
    metric, float64 over (alpha_1, …, alpha_n), with ``norm`` and ``cosine`` of the directions;
    attributes hold the engine, the loss at the centre and, for float32, the largest absolute and
    relative difference to float64 over a seeded sample of vertices. Values that are not finite
    are kept. Raises TopographError for wrong sizes or names or a centre that is not finite.
    """
    n = len(directions.norms)
    counts, reaches = _per_axis("points", points, n), _per_axis("distance", distance, n)
    _check(objective, counts, reaches, engine, dtype)
    chosen = objective.engine if engine == "auto" else engine
    axes = [axis(d, int(p)) for d, p in zip(reaches, counts, strict=True)]
    alphas = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, n)
    place = (getattr(torch, dtype), torch.device(device or "cpu"))
    values = _evaluate(objective, directions, alphas, chosen, place, "sampling")
    center = _evaluate(objective, directions, np.zeros((1, n)), chosen, place)
    names = [f"alpha_{i + 1}" for i in range(n)]
    shape = tuple(map(len, axes))
    dataset = xr.Dataset(
        {name: (names, column.reshape(shape)) for name, column in values.items()},
        coords=dict(zip(names, axes, strict=True)),
        attrs={
            "engine": chosen,
            "dtype": dtype,
            "center_loss": float(center["loss"][0]),
            "objective": objective.digest,
            **_precision(objective, directions, alphas, values["loss"], chosen, place),
        },
    )
    dataset["norm"] = ("direction", directions.norms.numpy())
    dataset["cosine"] = (("direction", "other"), directions.cosines.numpy())
    return dataset


def axis(distance: float, points: int) -> np.ndarray:
    """Return ``points`` equally spaced alphas, symmetric about 0 to the last bit.

    ``linspace`` misses the centre of many odd grids by a rounding error.
    """
    return np.arange(1 - points, points, 2) / (points - 1) * distance


def _per_axis(name: str, given: float | Sequence[float], n: int) -> list[float]:
    listed = list(given) if isinstance(given, Iterable) else [given] * n
    if len(listed) != n:
        raise TopographError(
            f"{name} has {len(listed)} values for {n} directions; give one, or {n}"
        )
    return [float(value) for value in listed]


def _check(
    objective: Objective, counts: list[float], reaches: list[float], engine: str, dtype: str
) -> None:
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    if any(count < 2 or count != int(count) for count in counts):
        raise TopographError(f"points is {counts}; each axis needs a whole number of at least 2")
    if any(not 0 < reach < np.inf for reach in reaches):
        raise TopographError(f"distance is {reaches}; each axis needs a finite number above 0")
    if not all(bool(value.isfinite().all()) for value in objective.center.values()):
        raise TopographError("the centre holds parameters that are not finite: training diverged")


def _points(
    center: Tensor, vectors: Tensor, alphas: np.ndarray, place: tuple[torch.dtype, torch.device]
) -> Tensor:
    """Form theta + sum_i alpha_i d_i elementwise in axis order, (tile, N).

    A matrix product would round differently from tile to tile.
    """
    dtype, device = place
    coefficients = torch.from_numpy(alphas).to(device, dtype)
    result = center.repeat(len(alphas), 1)
    for i, vector in enumerate(vectors):
        result.addcmul_(coefficients[:, i : i + 1], vector)
    return result


def _tiles(alphas: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(alphas), size):
        tile = alphas[start : start + size]
        yield np.concatenate([tile, np.repeat(tile[-1:], size - len(tile), axis=0)])


def _evaluate(
    objective: Objective,
    directions: Directions,
    alphas: np.ndarray,
    engine: str,
    place: tuple[torch.dtype, torch.device],
    description: str | None = None,
) -> dict[str, np.ndarray]:
    """Return the loss and every metric, each (M,) float64, at M points alpha (M, n)."""
    dtype, device = place
    center = objective.at(dtype, device).center
    flat = flatten(center)
    vectors = _rows(directions, center).to(device, dtype)
    size = TILE[engine]
    total = -(-len(alphas) // size)
    tiles = _tiles(alphas, size)
    rows = []
    for tile in track(tiles, description, total) if description else tiles:
        stacked = unflatten(_points(flat, vectors, tile, place), center)
        rows.append(objective.evaluate(stacked, engine=engine))
    return {
        name: torch.cat([row[name] for row in rows])[: len(alphas)].double().cpu().numpy()
        for name in rows[0]
    }


def _rows(directions: Directions, center: Mapping[str, Tensor]) -> Tensor:
    """Return the directions as rows (n, N), in the order of the model's parameters."""
    given = {name: tuple(v.shape[1:]) for name, v in directions.vectors.items()}
    wanted = {name: tuple(v.shape) for name, v in center.items()}
    for name in {**wanted, **given}:
        if given.get(name) != wanted.get(name):
            raise TopographError(
                f"{name!r} has shape {given.get(name)} in the directions and {wanted.get(name)} "
                "in the model: the directions belong to another model"
            )
    return torch.cat([directions.vectors[k].reshape(len(directions.norms), -1) for k in center], 1)


def _precision(
    objective: Objective,
    directions: Directions,
    alphas: np.ndarray,
    losses: np.ndarray,
    engine: str,
    place: tuple[torch.dtype, torch.device],
) -> dict[str, float]:
    if place[0] == torch.float64:
        return {"error_absolute": 0.0, "error_relative": 0.0}
    draw = np.random.default_rng(0)
    chosen = draw.choice(len(alphas), min(PRECISION_SAMPLE, len(alphas)), replace=False)
    double = (torch.float64, place[1])
    exact = _evaluate(objective, directions, alphas[chosen], engine, double)["loss"]
    finite = np.isfinite(exact) & np.isfinite(losses[chosen])
    exact = exact[finite]
    error = np.abs(losses[chosen][finite] - exact)
    scale = np.maximum(np.abs(exact), np.finfo(float).tiny)
    return {
        "error_absolute": float(error.max(initial=0.0)),
        "error_relative": float((error / scale).max(initial=0.0)),
    }
