"""Slices: random filter-normalised planes, and the plane of the optimiser's path with the path."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from topograph.config.models import Slices
from topograph.config.runs import Cell
from topograph.geometry.directions import path_directions
from topograph.landscape.roughness import plane_shape
from topograph.landscape.sampling import sample
from topograph.landscape.slices import off_plane_share, repeated_planes
from topograph.methods.record import Record, write_pieces
from topograph.methods.subject import Subject

# The plane of the path reaches this much beyond the path.
MARGIN = 1.25
DIMENSIONS = {"line": 1, "plane": 2}


def write_slices(
    cell: Cell,
    analysis: Slices,
    weights: str | Path,
    files: Mapping[str, str],
    *,
    scratch: str | Path,
    code: str,
    device: str = "cpu",
) -> None:
    """Write slices of the loss to ``results``, what they cost to ``methods``.

    Over seed: ``line_loss`` (plane, line_1) and ``plane_loss`` (plane, plane_1, plane_2) along
    random directions; where training kept more than two epochs, ``path_loss`` (path_1, path_2) on
    the plane of the path's principal components, ``path`` (epoch, path_axis) on it, ``off_plane``
    (epoch), the share of each squared distance that lies off the plane, ``off_plane_length``, that
    of the path's own length, and ``explained`` (path_axis). Axes reach from -1 to 1, in units of
    ``line_distance``, ``plane_distance`` and ``path_distance``; ``line_reached`` and
    ``plane_reached`` say whether the loss came to the multiple. Metrics beside each loss. ``shape``
    has roughness, minima and convex_share of each random plane.
    """
    subject = Subject(cell, analysis, weights, device)
    pieces = {}
    for seed in subject.seeds:
        pieces[f"line-{seed}"] = partial(_random, subject, analysis, seed, "line")
        pieces[f"plane-{seed}"] = partial(_random, subject, analysis, seed, "plane")
        if len(subject.epochs(seed)) > 2:
            pieces[f"path-{seed}"] = partial(_path, subject, analysis, seed)
    write_pieces(subject, files, pieces, scratch=scratch, code=code)


def _random(subject: Subject, analysis: Slices, seed: int, name: str, record: Record) -> xr.Dataset:
    objective, dimensions = subject.objective(seed), DIMENSIONS[name]
    with record.about(seed, name), record.method("filter_slice") as row:
        found = repeated_planes(
            objective,
            dimensions=dimensions,
            planes=analysis.planes,
            points=analysis.points,
            multiple=analysis.multiple,
            normalization=analysis.normalization,
            seed=subject.draws(seed),
            device=subject.device,
        )
        row["evaluations"] = found["loss"].size + found.attrs["searched"]
    if name == "plane":
        with record.about(seed):
            for number, losses in enumerate(found["loss"].transpose("plane", ...).values):
                record.add("shape", plane=number, **plane_shape(losses)._asdict())
    distance = np.full(dimensions, found.attrs["distance"])
    named = _named(found.drop_vars("seed"), name, distance)
    return named.assign({f"{name}_reached": found.attrs["reached"]}).expand_dims(seed=[seed])


def _path(subject: Subject, analysis: Slices, seed: int, record: Record) -> xr.Dataset:
    objective, epochs = subject.objective(seed), subject.epochs(seed)
    with record.about(seed), record.method("pca_path") as row:
        path = [subject.parameters(objective.names, seed, epoch) for epoch in epochs]
        directions = path_directions(objective, path[:-1], 2)
        assert directions.explained is not None
        explained = directions.explained.numpy()
        projected = off_plane_share(objective, directions, path)
        distance = MARGIN * np.abs(projected.coordinates).max(axis=0)
        found = sample(
            objective,
            directions,
            points=analysis.points,
            distance=distance,
            device=subject.device,
        )
        row["evaluations"] = found["loss"].size
        row["explained"] = float(explained.sum())
    named = _named(found, "path", distance).assign(
        path=(("epoch", "path_axis"), projected.coordinates / distance),
        off_plane=("epoch", projected.off_plane),
        off_plane_length=projected.length_share,
        explained=("path_axis", explained),
    )
    return named.assign_coords(epoch=epochs).expand_dims(seed=[seed])


def _named(found: xr.Dataset, name: str, distance: np.ndarray) -> xr.Dataset:
    """Return the losses of a slice under names of their own, axes in units of its distance."""
    axes = {f"alpha_{i + 1}": f"{name}_{i + 1}" for i in range(len(distance))}
    shown = [key for key, value in found.items() if set(axes) <= set(value.dims)]
    named = found[shown].rename({**axes, **{key: f"{name}_{key}" for key in shown}})
    for axis in axes.values():
        named[axis] = np.linspace(-1.0, 1.0, named.sizes[axis])
    named[f"{name}_distance"] = (f"{name}_axis", distance)
    named[f"{name}_center_loss"] = found.attrs["center_loss"]
    return named.drop_attrs()
