"""The networks of all seeds beside each other: representations, predictions, weights, barriers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import xarray as xr

from topograph.comparison.similarity import similarity
from topograph.config.models import Similarity
from topograph.config.runs import Cell
from topograph.families.networks import has_classes, inputs_of, network_of
from topograph.landscape.curves import along, find_curve
from topograph.methods.record import Record, write_pieces
from topograph.methods.subject import Subject

# The Gram matrix of a mini-batch's representations is held for each network.
BATCH = 256


def write_similarity(
    cell: Cell,
    analysis: Similarity,
    weights: str | Path,
    files: Mapping[str, str],
    *,
    scratch: str | Path,
    code: str,
    device: str = "cpu",
) -> None:
    """Write ``cka``, ``disagreement``, ``output_distance``, ``distance`` and ``barrier``.

    Each lies over (model, other), both the seeds of the cell; ``barrier`` is that of the curve
    asked for, and symmetric. ``methods`` has the rows cka and barriers.
    """
    subject = Subject(cell, analysis, weights, device)
    pieces = {"networks": partial(_networks, subject)} if len(subject.seeds) > 1 else {}
    for pair in combinations(subject.seeds, 2):
        pieces["barrier-{}-{}".format(*pair)] = partial(_barrier, subject, analysis, pair)
    write_pieces(subject, files, pieces, scratch=scratch, code=code)


def _networks(subject: Subject, record: Record) -> xr.Dataset:
    training, seeds = subject.training, subject.seeds
    models = [network_of(training, subject.state(seed)) for seed in seeds]
    inputs = inputs_of(training, subject.analysis.examples)
    # Parts of equal length: each needs a few examples. Of every so many one, since in parts of a
    # sorted set all would be alike.
    count = -(-len(inputs) // BATCH)
    batches = [inputs[first::count] for first in range(count)]
    with record.method("cka") as row:
        found = similarity(models, batches, has_classes=has_classes(training))
        row["evaluations"] = len(models)
    return found.assign_coords(model=seeds, other=seeds).drop_attrs()


def _barrier(
    subject: Subject, analysis: Similarity, pair: tuple[int, int], record: Record
) -> xr.Dataset:
    objective, other = subject.objective(pair[0]), subject.objective(pair[1]).center
    with record.about(part="{}-{}".format(*pair)), record.method("barriers") as row:
        curve = find_curve(
            objective,
            objective.center,
            other,
            curve=analysis.curve,
            points=analysis.points,
            seed=subject.draws("curve", *pair),
            device=subject.device,
        )
        found = along(objective, curve, points=analysis.points, device=subject.device).attrs
        row |= {name: found[name] for name in ("evaluations", "barrier")}
    height = np.array([[0.0, found["barrier"]], [found["barrier"], 0.0]])
    return xr.Dataset(
        {"barrier": (("model", "other"), height)}, {"model": [*pair], "other": [*pair]}
    )
