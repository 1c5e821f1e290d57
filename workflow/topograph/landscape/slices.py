"""Slices: how far to draw them, what of a path lies off them, how much they depend on the plane."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from topograph.foundation.errors import TopographError
from topograph.foundation.seeds import derive_seed
from topograph.geometry.directions import Directions, random_directions
from topograph.landscape.evaluation import Points, evaluate
from topograph.landscape.plan import Plan
from topograph.landscape.sampling import sample
from topograph.objective.engines import Parameters
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten, flatten_each

# Where the search for a distance begins, and how far it goes, in units of a direction. A
# filter-normalised direction is as long as the weights themselves.
FIRST, SMALLEST, LARGEST = 2.0**-10, 2.0**-30, 2.0**10
# Losses in float32 do not tell distances that differ by less.
FINEST = 1e-6
# The smallest eigenvalue of the cosines below which directions count as dependent.
DEPENDENT = 1e-12
# What differs from plane to plane.
PER_PLANE = ("error_absolute", "error_relative")


class AutomaticDistance(NamedTuple):
    """A distance (n,) for each direction, whether all reach the loss asked for, losses evaluated.

    The distances are in units of the directions, as ``sample`` takes them.
    """

    distance: np.ndarray
    reached: bool
    evaluations: int


class Projection(NamedTuple):
    """Checkpoints on a plane: coordinates (M, n) and what of them lies off it.

    ``off_plane`` (M,) is the share of each squared distance from the centre, ``length_share`` that
    of the squared length of the steps from checkpoint to checkpoint; 0 on the plane, 1 orthogonal
    to it, NaN where there is no length.
    """

    coordinates: np.ndarray
    off_plane: np.ndarray
    length_share: float


def automatic_distance(
    objective: Objective,
    directions: Directions,
    *,
    multiple: float = 5.0,
    tolerance: float = 0.01,
    engine: str = "auto",
    dtype: str = "float32",
    device: str | None = None,
) -> AutomaticDistance:
    """Return how far along each direction the loss first reaches a multiple of the centre's.

    Both half-axes are looked at: d reaches it where the loss at -d or at d does, so that a
    direction and its opposite have one distance, and of a lopsided valley the steeper side decides.
    d grows from 2**-10 in doublings, between which a thin wall may be missed, and is then bisected
    on a log scale: the loss at the distance returned reaches the multiple, and at one shorter by
    less than the share ``tolerance`` it does not. A centre whose loss is 0 or less has no
    multiples: there the loss has to rise by ``multiple`` - 1, as if it were 1.

    ``reached`` is False where along some direction the loss stays below up to 2**10, which is then
    its distance, or turns NaN first, and its distance is the last without; no distance is below
    2**-30. Raises TopographError for a multiple of 1 or less, a tolerance below 1e-6, a loss at the
    centre that is not finite, and whatever ``sample`` refuses.
    """
    _check_search(multiple, tolerance)
    count = len(directions.norms)
    options: dict[str, Any] = {"engine": engine, "dtype": dtype, "device": device}
    center = sample(objective, directions, points=np.zeros((1, count)), **options).attrs
    level = _level(center["center_loss"], multiple)
    # Of a larger tile most would be padding.
    plan = Plan.of(center)
    plan = replace(plan, tile=min(plan.tile, 2 * count))
    axes = Points(_center(objective), directions.vectors, np.eye(count))
    low, high, evaluations = np.zeros(count), np.full(count, np.inf), 1
    reached = np.zeros(count, dtype=bool)
    while (searched := _searched(low, high, tolerance)).any():
        distance = _next(low, high)[searched]
        ends = distance[:, None, None] * np.stack([-np.eye(count), np.eye(count)], 1)[searched]
        losses = evaluate(objective, axes.at(ends.reshape(-1, count)), plan)["loss"].reshape(-1, 2)
        is_over = (losses >= level).any(axis=1)
        is_past = is_over | np.isnan(losses).any(axis=1)
        low[searched] = np.where(is_past, low[searched], distance)
        high[searched] = np.where(is_past, distance, high[searched])
        reached[searched] = np.where(is_past, is_over, reached[searched])
        evaluations += losses.size
    found = np.where(reached, high, np.maximum(low, SMALLEST))
    return AutomaticDistance(found, bool(reached.all()), evaluations)


def off_plane_share(
    objective: Objective, directions: Directions, checkpoints: Iterable[Parameters]
) -> Projection:
    """Return where checkpoints lie on the plane of n directions, and what of them lies off it.

    The directions may be skew and of any length: the coordinates are those of ``sample``, by least
    squares through their Gram matrix, in float64 (the projected paths of Li et al. 2018, section
    7.2, whose pictures show contours where the checkpoints are not). ``checkpoints`` are parameters
    by name, M of them, read one by one; no more than a few vectors are held beside the directions.
    A checkpoint that is not finite gives NaN. Raises TopographError for no checkpoints, parameters
    of another architecture, and directions that span less than n dimensions.
    """
    _check_independent(directions)
    _check_shapes("the directions", {k: v[0] for k, v in directions.vectors.items()}, objective)
    rows = flatten_each({name: directions.vectors[name] for name in objective.names})
    center = flatten(_center(objective))
    previous: Tensor | None = None
    places, steps = [], []
    for number, checkpoint in enumerate(checkpoints):
        _check_shapes(f"checkpoint {number}", checkpoint, objective)
        moved = flatten({name: _exact(checkpoint[name]) for name in objective.names}) - center
        places.append(_projected(moved, rows, directions))
        if previous is not None:
            steps.append(_projected(moved - previous, rows, directions))
        previous = moved
    if not places:
        raise TopographError("no checkpoints were given; give at least one, parameters by name")
    coordinates, squared, off = (np.array(column) for column in zip(*places, strict=True))
    lengths = np.array([step[1:] for step in steps]).reshape(-1, 2).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return Projection(coordinates, off / squared, float(lengths[1] / lengths[0]))


def repeated_planes(
    objective: Objective,
    *,
    dimensions: int = 2,
    planes: int = 5,
    points: int = 25,
    distance: float | None = None,
    multiple: float = 5.0,
    normalization: str = "filter",
    seed: int = 0,
    engine: str = "auto",
    dtype: str = "float32",
    device: str | None = None,
) -> xr.Dataset:
    """Sample the same slice along several independent sets of random directions, on one range.

    Without ``distance`` the range is the largest automatic distance of all directions for
    ``multiple``, and attributes say whether all were ``reached`` and in how many ``searched``
    losses. Returns what ``sample`` returns, over (plane, alpha_1, …), ``norm`` and ``cosine`` by
    plane too; ``seed`` (plane,) draws the directions of one again, by ``random_directions``. One
    dimension repeats the line of Li et al. 2018, section 3, two the filter-normalised surface of
    their section 4. Raises TopographError for planes < 1 and whatever ``sample``,
    ``random_directions`` and ``automatic_distance`` refuse.
    """
    if planes < 1 or planes != int(planes):
        raise TopographError(f"planes is {planes}; allowed: a whole number of at least 1")
    seeds = [derive_seed(seed, "plane", number) for number in range(int(planes))]
    options: dict[str, Any] = {"engine": engine, "dtype": dtype, "device": device}

    # Drawn again where they are needed: the directions of all planes may not fit into memory.
    def drawn(one: int) -> Directions:
        return random_directions(objective, dimensions, normalization=normalization, seed=one)

    described: dict[str, Any] = {"distance": distance}
    if distance is None:
        searches = [
            automatic_distance(objective, drawn(one), multiple=multiple, **options) for one in seeds
        ]
        described = {"multiple": multiple, **_common(searches)}
    found: list[xr.Dataset] = []
    for one in seeds:
        found.append(
            sample(objective, drawn(one), points=points, distance=described["distance"], **options)
        )
        # A clock that chose another engine for the next plane would add a spread of rounding.
        options["engine"] = found[0].attrs["engine"]
    dataset = _stacked(found).assign_attrs(described, normalization=normalization, seed=seed)
    return dataset.assign(seed=("plane", np.array(seeds, dtype=np.int64)))


def spread(dataset: xr.Dataset) -> pd.DataFrame:
    """Return how far the loss rises with the distance from the centre, and how planes differ in it.

    ``dataset`` is that of ``repeated_planes``. A plane's rise is the mean over the points of a
    shell, as thick as the grid is fine, less the loss at the centre; shells that the grid cuts are
    left out. A row for each shell: ``distance``, the mean of its points', in units of the
    directions; ``points`` in it; the ``lower_quartile``, ``median`` and ``upper_quartile`` of the
    rise over planes; and of how many planes it is ``not_finite``, which the quartiles then may not
    be either. The last row is the rim. Raises TopographError without planes or on axes that differ.
    """
    names = [str(name) for name in dataset["loss"].dims if name != "plane"]
    axes = [dataset[name].values for name in names]
    if "plane" not in dataset["loss"].dims or any(
        not np.array_equal(axes[0], other) for other in axes[1:]
    ):
        raise TopographError(
            f"the losses lie over {dataset['loss'].dims} of shape {dataset['loss'].shape}; "
            "allowed: planes on equal axes; give what repeated_planes returns for one number of "
            "points"
        )
    radius, shells = _shells(axes)
    losses = dataset["loss"].transpose("plane", *names).values
    rises = losses.reshape(len(losses), -1) - dataset.attrs["center_loss"]
    rows = []
    for shell in range(shells.max() + 1):
        inside = shells == shell
        with np.errstate(invalid="ignore"):
            rise = rises[:, inside].mean(axis=1)
            lower, median, upper = np.quantile(rise, (0.25, 0.5, 0.75))
        rows.append(
            {
                "distance": radius[inside].mean(),
                "points": int(inside.sum()),
                "lower_quartile": lower,
                "median": median,
                "upper_quartile": upper,
                "not_finite": int(np.count_nonzero(~np.isfinite(rise))),
            }
        )
    return pd.DataFrame(rows)


def _check_search(multiple: float, tolerance: float) -> None:
    if not 1 < multiple < np.inf:
        raise TopographError(
            f"multiple is {multiple}; allowed: a finite number above 1; 5 shows a valley with its "
            "walls"
        )
    if not tolerance >= FINEST:
        raise TopographError(
            f"tolerance is {tolerance}; allowed: {FINEST} or more, as a share of the distance"
        )


def _level(center_loss: float, multiple: float) -> float:
    if not np.isfinite(center_loss):
        raise TopographError(
            f"the loss at the centre is {center_loss}; a range by multiples of it needs a finite "
            "one: give a distance, or another centre"
        )
    return center_loss + (multiple - 1) * (center_loss if center_loss > 0 else 1.0)


def _searched(low: np.ndarray, high: np.ndarray, tolerance: float) -> np.ndarray:
    """Return which distances are not yet known, each between its low and its high."""
    known = np.where(low == 0, high <= SMALLEST, high <= low * (1 + tolerance))
    return ~known & (low < LARGEST)


def _next(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return where to look next: outwards or inwards in doublings, then in the middle, in logs."""
    following = np.where(low == 0, FIRST, 2 * low)
    bounded = np.isfinite(high)
    below, above = low[bounded], high[bounded]
    following[bounded] = np.where(below == 0, above / 2, np.sqrt(below * above))
    return following


def _center(objective: Objective) -> dict[str, Tensor]:
    """Return the centre with all its digits."""
    return objective.at(torch.float64).center


def _exact(value: Tensor) -> Tensor:
    return torch.as_tensor(value).detach().to("cpu", torch.float64)


def _check_shapes(what: str, given: Parameters, objective: Objective) -> None:
    for name, value in objective.center.items():
        found = tuple(given[name].shape) if name in given else None
        if found != tuple(value.shape):
            raise TopographError(
                f"{name!r} has shape {found} in {what} and {tuple(value.shape)} at the centre; "
                "give those of the same architecture"
            )


def _check_independent(directions: Directions) -> None:
    norms, cosines = directions.norms, directions.cosines
    usable = bool(((norms > 0) & norms.isfinite()).all())
    smallest = float(torch.linalg.eigvalsh(cosines)[0]) if usable else 0.0
    if not smallest > DEPENDENT:
        raise TopographError(
            f"the {len(norms)} directions, of norms {norms.tolist()}, span less than {len(norms)} "
            "dimensions, where coordinates are not unique; leave out those that others hold"
        )


def _projected(
    moved: Tensor, rows: Tensor, directions: Directions
) -> tuple[np.ndarray, float, float]:
    """Return coordinates (n,) of a step (N,), its squared length, and that of its rest."""
    norms, cosines = directions.norms.double(), directions.cosines.double()
    along = torch.stack([row.double() @ moved for row in rows])
    # The Gram matrix of directions of any length, without their lengths in its condition.
    coordinates = torch.linalg.solve(cosines, along / norms) / norms
    rest = moved.clone()
    for coordinate, row in zip(coordinates.tolist(), rows, strict=True):
        rest.sub_(row, alpha=coordinate)
    return coordinates.numpy(), float(moved @ moved), float(rest @ rest)


def _common(searches: list[AutomaticDistance]) -> dict[str, Any]:
    """Return the range that holds every distance found."""
    return {
        "distance": max(float(search.distance.max()) for search in searches),
        "reached": int(all(search.reached for search in searches)),
        "searched": sum(search.evaluations for search in searches),
    }


def _stacked(found: list[xr.Dataset]) -> xr.Dataset:
    dataset = xr.concat(found, "plane", join="exact", combine_attrs="drop_conflicts")
    for name in PER_PLANE:
        dataset[name] = ("plane", [each.attrs[name] for each in found])
        dataset.attrs.pop(name, None)
    # One model, but after memory ran out another tile may round it otherwise.
    return dataset.assign_attrs(center_loss=found[0].attrs["center_loss"])


def _shells(axes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return distances (M,) from the centre and numbers of shells, -1 where the grid cuts them."""
    radius = np.linalg.norm(np.stack(np.meshgrid(*axes, indexing="ij")), axis=0).ravel()
    fineness = axes[0][1] - axes[0][0]
    # An even grid has no point at the centre: its shells begin at the nearest.
    shells = np.rint((radius - radius.min()) / fineness).astype(int)
    uncut = (axes[0].max() - radius.min()) / fineness
    return radius, np.where(shells <= uncut + 0.25, shells, -1)
