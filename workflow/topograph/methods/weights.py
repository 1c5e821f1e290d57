"""Maps of the weights that training kept, of all seeds together, and the loss on what they show."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from scipy.spatial import procrustes

from topograph.config.models import WeightMap
from topograph.config.runs import Cell
from topograph.config.study import FEWEST_POINTS
from topograph.embedding.autoencoder import (
    autoencode,
    decoded_grid,
    held_out_reconstruction,
    pca_reconstruction,
)
from topograph.embedding.manifold import embed
from topograph.embedding.quality import quality, trajectory_preservation
from topograph.foundation.provenance import canonical_json
from topograph.geometry.gram import FloatArray, distances, principal_scores
from topograph.landscape.evaluation import Points, evaluate
from topograph.landscape.plan import make_plan
from topograph.methods.record import Record, write_pieces
from topograph.methods.subject import Parameters, Subject
from topograph.objective.vectors import flatten, unflatten
from topograph.trajectory.offsets import gram_of, offset_file, write_offset

# Principal components that decoded weights are made of, and that the autoencoder learns: each holds
# a vector in memory. So many are all there are of a few trainings of ten epochs.
COMPONENTS = 64
# Maps drawn by as many random numbers, where chance has a part in them.
REPEATS = 3
BY_CHANCE = ("umap", "autoencoder")
# Parts of the points that maps with a way back are made without, one after another.
FOLDS = 4
AUTOENCODER = {"components": COMPONENTS, "width": 32, "epochs": 500}
Axes = tuple[FloatArray, FloatArray]


class Weights:
    """All weights of a cell that training kept, read one at a time."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.objective = subject.objective(subject.seeds[0])
        self.points = [(seed, epoch) for seed in subject.seeds for epoch in subject.epochs(seed)]

    def theta(self, number: int) -> torch.Tensor:
        """Return a point as one vector (N,)."""
        return flatten(self._subject.parameters(self.objective.names, *self.points[number]))

    def loss(self, number: int) -> float:
        """Return the loss at a point, with the buffers that training had there."""
        objective = self._subject.objective(*self.points[number])
        return float(objective.loss(objective.center))

    def gram(self) -> FloatArray:
        """Return the inner products (M, M) of the points less the first."""
        origin, files = self.theta(0), []
        with tempfile.TemporaryDirectory() as folder:
            for number in range(len(self.points)):
                write_offset(Path(folder), number, (self.theta(number) - origin).numpy())
                files.append(offset_file(Path(folder), number))
            return gram_of(files)

    def combined(self, coefficients: FloatArray) -> Parameters:
        """Return linear combinations (K, M) of the points, parameters by name (K, …)."""
        size = sum(value.numel() for value in self.objective.center.values())
        rows = torch.zeros(len(coefficients), size, dtype=torch.float64)
        for number, column in enumerate(coefficients.T):
            rows += torch.from_numpy(column)[:, None] * self.theta(number)
        return unflatten(rows, self.objective.center)


class Map(NamedTuple):
    """Coordinates (M, 2), and for a map with a way back to weights its error and its surface.

    ``axes`` and ``coefficients`` (P, M) are a grid over the map and the weights there, affine
    combinations of the points.
    """

    coordinates: FloatArray
    reconstruction: float = float("nan")
    axes: Axes | None = None
    coefficients: FloatArray | None = None


def write_weights(
    cell: Cell,
    analysis: WeightMap,
    weights: str | Path,
    files: Mapping[str, str],
    *,
    scratch: str | Path,
    code: str,
    device: str = "cpu",
) -> None:
    """Write maps of all weights to ``results``, their cost and quality to ``methods``.

    Over point: ``coordinates`` (method, point, axis), ``point_seed``, ``point_epoch`` and
    ``point_loss``; ``explained`` (component); for pca and autoencoder ``<method>_loss`` on the
    plane and on the decoded surface, over (<method>_1, <method>_2). ``methods`` has
    trustworthiness, continuity, overlap, shepard, stress, trajectory_preservation, seed_spread,
    the ``options`` of the map and, where there is a way back to weights, reconstruction and
    reconstruction_held_out.
    """
    subject = Subject(cell, analysis, weights, device)
    # Seeds that diverged may leave less than the study file promises.
    points = sum(len(subject.epochs(seed)) for seed in subject.seeds)
    pieces = {"maps": partial(_maps, subject, analysis)} if points >= FEWEST_POINTS else {}
    write_pieces(subject, files, pieces, scratch=scratch, code=code)


def _maps(subject: Subject, analysis: WeightMap, record: Record) -> xr.Dataset:
    kept = Weights(subject)
    gram = kept.gram()
    apart, seeds = distances(gram), [seed for seed, _ in kept.points]
    # UMAP takes no more than 32 bits.
    random = [subject.draws(number) % 2**32 for number in range(REPEATS)]
    drawn: dict[str, FloatArray] = {}
    surfaces = xr.Dataset()
    for method in analysis.maps:
        with record.method(method) as row:
            chances = random if method in BY_CHANCE else random[:1]
            maps = [_map(method, gram, apart, one, analysis.points) for one in chances]
            drawn[method] = maps[0].coordinates
            row |= _measured(apart, [one.coordinates for one in maps], seeds)
            row["reconstruction"] = maps[0].reconstruction
            row["reconstruction_held_out"] = _held_out(method, gram, chances[0])
            row["options"] = canonical_json({"seeds": chances, **_settings(method, len(gram))})
            if maps[0].axes is not None:
                surface = _surface(kept, gram, maps[0], method, subject.device)
                surfaces = surfaces.merge(surface)
                row["evaluations"] = surface[f"{method}_loss"].size
    scores = principal_scores(gram, len(gram))
    variances = np.square(scores).sum(axis=0)
    each = [kept.loss(number) for number in range(len(gram))]
    found = {
        "coordinates": (("method", "point", "axis"), np.stack(list(drawn.values()))),
        "explained": ("component", (variances / variances.sum())[:COMPONENTS]),
        "point_seed": ("point", seeds),
        "point_epoch": ("point", [epoch for _, epoch in kept.points]),
        "point_loss": ("point", each),
    }
    return surfaces.assign(found).assign_coords(method=list(drawn))


def _map(method: str, gram: FloatArray, apart: FloatArray, seed: int, points: int) -> Map:
    count = len(gram)
    if method == "autoencoder":
        coder = autoencode(gram, seed=seed, **_settings(method, count))
        first, second, flat = decoded_grid(coder.coordinates, points)
        decoded = coder.decode(flat)
        return Map(coder.coordinates, coder.reconstruction, (first, second), decoded)
    if method == "pca":
        scores = principal_scores(gram, 2)
        first, second, flat = decoded_grid(scores, points)
        # theta - mean is a score times a unit vector, which is a combination of the points.
        coefficients = 1 / count + flat @ (scores / np.square(scores).sum(axis=0)).T
        return Map(scores, pca_reconstruction(gram), (first, second), coefficients)
    return Map(embed(apart, method, seed=seed, **_settings(method, count)))


def _held_out(method: str, gram: FloatArray, seed: int) -> float:
    """Return the error at points that a map was made without, NaN where they are too few."""
    options = {"pca": {"epochs": 0}, "autoencoder": AUTOENCODER}.get(method)
    if options is None or len(gram) < FOLDS:
        return float("nan")
    return held_out_reconstruction(gram, folds=FOLDS, seed=seed, **options)


def _settings(method: str, count: int) -> dict[str, Any]:
    """Return the settings of a map of so many points: the usual ones, or what few points allow."""
    settings: dict[str, dict[str, Any]] = {
        "phate": {"knn": min(5, count - 2), "decay": 40.0, "t": "auto"},
        "umap": {"neighbours": min(15, count - 1), "min_dist": 0.1},
        "tsne": {"perplexity": min(30.0, (count - 1) / 3)},
        "autoencoder": AUTOENCODER,
    }
    return settings.get(method, {})


def _measured(
    apart: FloatArray, maps: Sequence[FloatArray], seeds: Sequence[int]
) -> dict[str, float]:
    """Return the quality of the first map, and how far others by chance lie from it, 0 to 1."""
    neighbours = min(15, (len(apart) - 1) // 2)
    kept = trajectory_preservation(maps[0], seeds, neighbours=min(5, neighbours))
    others = [procrustes(maps[0], other)[2] for other in maps[1:]]
    return {
        **quality(apart, maps[0], neighbours=neighbours),
        "trajectory_preservation": kept,
        "seed_spread": float(np.mean(others)) if others else 0.0,
    }


def _surface(kept: Weights, gram: FloatArray, drawn: Map, method: str, device: str) -> xr.Dataset:
    """Return the loss and its metrics on the grid of a map."""
    assert drawn.axes is not None and drawn.coefficients is not None
    losses = _evaluated(kept, gram, drawn.coefficients, device)
    dims = (f"{method}_1", f"{method}_2")
    shape = tuple(map(len, drawn.axes))
    return xr.Dataset(
        {
            f"{method}_{name}": (dims, values.reshape(shape))
            for name, values in losses.items()
            if values.ndim == 1
        },
        dict(zip(dims, drawn.axes, strict=True)),
    )


def _evaluated(
    kept: Weights, gram: FloatArray, coefficients: FloatArray, device: str
) -> dict[str, np.ndarray]:
    """Return the loss at affine combinations (P, M), made of the leading principal components."""
    scores = principal_scores(gram, COMPONENTS)
    squares = np.square(scores).sum(axis=0)
    scores = scores[:, squares > squares[0] * 1e-12]
    count = len(scores)
    units = np.vstack([np.full(count, 1 / count), (scores / np.square(scores).sum(axis=0)).T])
    vectors = kept.combined(units)
    origin = {name: value[0] for name, value in vectors.items()}
    components = {name: value[1:] for name, value in vectors.items()}
    points = Points(origin, components, coefficients @ scores)
    plan = make_plan(kept.objective, "", len(coefficients), "auto", "float32", device)
    return evaluate(kept.objective, points, plan)
