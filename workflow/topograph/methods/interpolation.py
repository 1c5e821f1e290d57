"""Straight lines and low-loss curves: from the start to the end of training, and between ends."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import combinations
from pathlib import Path

import xarray as xr

from topograph.config.models import Interpolation
from topograph.config.runs import Cell
from topograph.landscape.curves import Curve, along, find_curve
from topograph.methods.record import Record, write_pieces
from topograph.methods.subject import Subject
from topograph.objective.objective import Objective

INITIAL = 0


def write_interpolation(
    cell: Cell,
    analysis: Interpolation,
    weights: str | Path,
    files: Mapping[str, str],
    *,
    scratch: str | Path,
    code: str,
    device: str = "cpu",
) -> None:
    """Write the losses along curves to ``results`` and what each curve cost to ``methods``.

    Over t: ``initial_loss`` (seed) and its metrics, from initial to trained weights; over pair and
    curve ``between_loss`` and its metrics, between the ends of two seeds, with ``between_barrier``
    and ``between_length``. ``…_test_…`` are of the test set, where there is one.
    """
    subject = Subject(cell, analysis, weights, device)
    pieces = {
        f"initial-{seed}": partial(_initial, subject, analysis, seed) for seed in subject.seeds
    }
    for pair in combinations(subject.seeds[: analysis.networks], 2):
        pieces["between-{}-{}".format(*pair)] = partial(_between, subject, analysis, pair)
    write_pieces(subject, files, pieces, scratch=scratch, code=code)


def _initial(subject: Subject, analysis: Interpolation, seed: int, record: Record) -> xr.Dataset:
    objective, held_out = subject.objective(seed), subject.held_out(seed)
    first = subject.parameters(objective.names, seed, INITIAL)
    with record.about(seed, "initial"), record.method("interpolation") as row:
        curve = find_curve(objective, first, objective.center, curve="line")
        found = _losses(objective, held_out, curve, "initial", analysis.points, subject.device)
        row |= found.attrs
    return found.drop_attrs().expand_dims(seed=[seed])


def _between(
    subject: Subject, analysis: Interpolation, pair: tuple[int, int], record: Record
) -> xr.Dataset:
    objective, held_out = subject.objective(pair[0]), subject.held_out(pair[0])
    other = subject.objective(pair[1]).center
    name, rows = "{}-{}".format(*pair), []
    for kind in analysis.curves:
        method = "interpolation" if kind == "line" else kind
        with record.about(part=name), record.method(method) as row:
            curve = find_curve(
                objective,
                objective.center,
                other,
                curve=kind,
                points=analysis.points,
                steps=analysis.steps,
                seed=subject.draws("curve", *pair),
                device=subject.device,
            )
            found = _losses(objective, held_out, curve, "between", analysis.points, subject.device)
            row |= found.attrs
        rows.append(found.drop_attrs().assign(between_barrier=found.attrs["barrier"]))
    named = xr.Variable("curve", list(analysis.curves))
    return xr.concat(rows, dim=named).expand_dims(pair=[name])


def _losses(
    objective: Objective,
    held_out: Objective | None,
    curve: Curve,
    name: str,
    points: int,
    device: str,
) -> xr.Dataset:
    """Return loss and metrics along a curve, and of the test set as ``…_test_…``."""
    found = along(objective, curve, points=points, device=device)
    named = found.rename({str(key): f"{name}_{key}" for key in found.data_vars})
    if held_out is not None:
        test = along(held_out, curve, points=points, device=device).drop_vars("length")
        named = named.assign({f"{name}_test_{key}": value for key, value in test.items()})
    kept = {name: found.attrs[name] for name in ("evaluations", "barrier")}
    return named.drop_attrs().assign_attrs(kept)
