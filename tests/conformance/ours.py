"""Topograph behind the adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from package import Grid, Problem
from torch import Tensor

import topograph as tg


class Topograph:
    """The public functions, with their defaults."""

    name = "topograph"
    filter_normalised = True
    engines = ("stacked", "in-place")

    def grid(
        self, problem: Problem, directions: Tensor, points: int | Sequence[int], distance: float
    ) -> Grid:
        """Call ``sample`` with the given rows as directions."""
        objective = self._objective(problem)
        given = self._directions(objective, directions)
        return self._grid(tg.sample(objective, given, points=points, distance=distance), given)

    def points(
        self, problem: Problem, directions: Tensor, alphas: np.ndarray, engine: str
    ) -> np.ndarray:
        """Call ``sample`` with a list of points."""
        objective = self._objective(problem)
        given = self._directions(objective, directions)
        dataset = tg.sample(objective, given, points=alphas, engine=engine)
        return dataset["loss"].values.reshape(-1)

    def random_plane(self, problem: Problem, points: int, distance: float, seed: int) -> np.ndarray:
        """Sample two filter-normalised random directions."""
        objective = self._objective(problem)
        directions = tg.random_directions(objective, 2, seed=seed)
        return tg.sample(objective, directions, points=points, distance=distance)["loss"].values

    def random_rows(self, problem: Problem, n: int, normalization: str, seed: int) -> Tensor:
        """Call ``random_directions``."""
        objective = self._objective(problem)
        options = {"normalization": normalization}
        if normalization == "orthogonal":
            options = {"normalization": "none", "orthogonal": True}
        return self._rows(tg.random_directions(objective, n, seed=seed, **options).vectors)

    def eigen_plane(self, problem: Problem, points: int, distance: float) -> Grid:
        """Sample along two raw eigenvectors."""
        objective = self._objective(problem)
        directions = tg.hessian_directions(tg.hessian_eigenpairs(objective, 2), 2)
        dataset = tg.sample(objective, directions, points=points, distance=distance)
        return self._grid(dataset, directions)

    def eigenpairs(
        self, problem: Problem, k: int, which: str = "magnitude"
    ) -> tuple[np.ndarray, Tensor]:
        """Call ``hessian_eigenpairs``."""
        pairs = tg.hessian_eigenpairs(self._objective(problem), k, which=which)
        return pairs.values, self._rows(pairs.vectors)

    def trace(self, problem: Problem, seed: int) -> tuple[float, float | None]:
        """Call ``hessian_trace``."""
        found = tg.hessian_trace(self._objective(problem), seed=seed)
        return float(found.value), float(found.standard_error)

    def density(self, problem: Problem, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Call ``hessian_density`` and turn it into weights of its grid."""
        found = tg.hessian_density(self._objective(problem), seed=seed)
        weights = np.asarray(found.density) * np.gradient(np.asarray(found.grid))
        return np.asarray(found.grid), weights / weights.sum()

    def _objective(self, problem: Problem) -> tg.Objective:
        return tg.Objective.from_model(problem.model, problem.loss, problem.batches)

    def _directions(self, objective: tg.Objective, rows: Tensor) -> Any:
        rows = rows.double()
        gram = rows @ rows.T
        norms = gram.diagonal().sqrt()
        parts = rows.split([value.numel() for value in objective.center.values()], dim=1)
        vectors = {
            name: part.reshape(-1, *value.shape)
            for (name, value), part in zip(objective.center.items(), parts, strict=True)
        }
        drawn = tg.random_directions(objective, len(rows), normalization="none")
        cosines = gram / torch.outer(norms, norms)
        return drawn._replace(vectors=vectors, norms=norms, cosines=cosines)

    def _rows(self, vectors: dict[str, Tensor]) -> Tensor:
        return torch.cat([torch.as_tensor(v).flatten(1) for v in vectors.values()], dim=1)

    def _grid(self, dataset: xr.Dataset, directions: Any) -> Grid:
        names = [f"alpha_{i + 1}" for i in range(len(directions.norms))]
        axes = [dataset[name].values for name in names]
        listed = dataset["loss"].stack(point=names)
        coordinates = np.stack([listed[name].values for name in names], axis=1)
        units = self._rows(directions.vectors).double().numpy()
        return Grid(axes, dataset["loss"].values, units, coordinates)
