"""Low-loss curves between two models: straight, quadratic Bezier, nudged elastic band."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

from topograph.foundation.errors import TopographError, unknown_name
from topograph.foundation.progress import track
from topograph.landscape.evaluation import Points
from topograph.landscape.grid import line_of
from topograph.landscape.plan import DTYPES, existing_device
from topograph.landscape.precision import measured_errors, random_vertices
from topograph.landscape.sampling import interpolate
from topograph.landscape.work import Progress, work_on
from topograph.objective.engines import Parameters, exact_products
from topograph.objective.objective import Objective
from topograph.objective.vectors import flatten, unflatten

CURVES = ("line", "bezier", "nudged_elastic_band")
# The longest step, as a share of the distance between the ends, and how far the middle of the
# line is first moved aside: on a symmetric saddle the gradient alone would leave it there.
RATE, ASIDE = 0.05, 0.01
JUDGED = 10


class Curve(NamedTuple):
    """A curve from the first to the last of its control points: vectors by name (K, ...).

    ``kind`` bezier has the control points of a Bezier curve of degree K - 1, the others are
    polygons with equal steps of t from corner to corner; one control point alone is a curve of no
    length. ``steps`` were made to find it, at the cost of ``evaluations`` of the loss or its
    gradient.
    """

    kind: str
    vectors: Parameters
    steps: int = 0
    evaluations: int = 0

    def coefficients(self, t: ArrayLike) -> np.ndarray:
        """Return the weights (M, K) of the control points at t (M,) from 0 to 1, exact at both."""
        t = np.asarray(t, dtype=np.float64)
        last = len(next(iter(self.vectors.values()))) - 1
        if self.kind == "bezier":
            columns = [comb(last, k) * (1 - t) ** (last - k) * t**k for k in range(last + 1)]
        else:
            columns = [np.interp(t * last, np.arange(last + 1), hat) for hat in np.eye(last + 1)]
        return np.stack(columns, axis=1)


def connect(
    objective: Objective,
    start: Parameters,
    end: Parameters,
    *,
    curve: str = "bezier",
    points: int = 41,
    pivots: int = 9,
    steps: int = 200,
    seed: int = 0,
    engine: str = "auto",
    dtype: str = "float32",
    device: str | None = None,
) -> xr.Dataset:
    """Find a curve of low loss between two models and evaluate the objective along it.

    ``start`` and ``end`` are parameters by name, ``curve`` is line, bezier or nudged_elastic_band.
    Returns ``loss`` and one variable per metric, float64 over ``t`` = linspace(0, 1, points), both
    ends exact, ``length`` along the curve, and the ``barrier`` among the attributes: what ``along``
    returns for the curve of ``find_curve``, where the methods, their sources and the errors raised
    stand. Call these two to evaluate other data on the same curve.
    """
    options: dict[str, Any] = {"engine": engine, "dtype": dtype, "device": device}
    shape: dict[str, Any] = {"points": points, "pivots": pivots, "steps": steps, "seed": seed}
    found = find_curve(objective, start, end, curve=curve, **shape, **options)
    return along(objective, found, points=points, **options)


def find_curve(
    objective: Objective,
    start: Parameters,
    end: Parameters,
    *,
    curve: str = "bezier",
    points: int = 41,
    pivots: int = 9,
    steps: int = 200,
    seed: int = 0,
    engine: str = "auto",
    dtype: str = "float32",
    device: str | None = None,
) -> Curve:
    """Return a curve of low loss between two models, parameters by name.

    - ``line``                 straight
    - ``bezier``               (1-t)^2 start + 2t(1-t) theta + t^2 end, theta moved against the
                               gradient of E_t L: at t and 1 - t a step, t drawn uniformly
                               (Garipov et al. 2018, arXiv 1802.10026, eq. 2)
    - ``nudged_elastic_band``  a polygon, its ``pivots`` moved against the gradient across a tangent
                               that points uphill (Henkelman and Jónsson 2000, eq. 8-11) and set
                               equally far apart after each step (Draxler et al. 2018, arXiv
                               1803.00885)

    Adam makes ``steps`` steps, shortened along a cosine. A step in which all N parameters move is
    at first 0.05 of the distance between the ends long (a learning rate of 0.05 distance / sqrt N),
    so that neither the scale of the loss nor that of the parameters matters. After each tenth of
    the steps the loss at ``points`` values of t decides: the curve is kept where neither barrier
    nor largest loss exceeds that of the best so far, and one of them, or else the mean, is lower.
    The line is the first best: nothing worse is returned, and the line itself, two control points,
    where nothing is better. A gradient that is not finite ends the search; identical ends make a
    curve of one point.

    Raises TopographError for an unknown curve, engine, dtype or device, ends of another model or
    not finite, pivots or steps below 1, points below 2, and a loss without gradient.
    """
    ends = torch.stack([_flat("start", start, objective), _flat("end", end, objective)])
    _check_counts(curve, pivots, steps)
    t = line_of(points).coordinates["t"][1]
    options: dict[str, Any] = {"engine": engine, "dtype": dtype, "device": device}
    distance = float(torch.dist(*ends.double()))
    best = Curve(curve, unflatten(ends if distance else ends[:1], objective.center))
    if curve == "line" or not distance:
        return best
    straight = _evaluated(objective, best, t, options)
    # All are judged by one engine, chosen once.
    options["engine"] = straight.plan.engine
    lowest, spent, made = _score(t, straight), len(t), 0
    gradient = _Gradient(objective)
    placed = ends.to(existing_device(device), DTYPES[dtype][0])
    search = _moves(gradient, curve, placed, pivots, steps, seed)
    for made, moved in enumerate(search, start=1):
        if made * JUDGED // steps == (made - 1) * JUDGED // steps:
            continue
        controls = torch.cat([ends[:1], moved.to(ends), ends[1:]])
        candidate = Curve(curve, unflatten(controls, objective.center))
        score = _score(t, _evaluated(objective, candidate, t, options))
        spent += len(t)
        if score[0] <= lowest[0] and score[1] <= lowest[1] and score < lowest:
            best, lowest = candidate, score
    return best._replace(steps=made, evaluations=gradient.evaluations + spent)


def along(
    objective: Objective,
    curve: Curve,
    *,
    points: int = 41,
    engine: str = "auto",
    dtype: str = "float32",
    device: str | None = None,
) -> xr.Dataset:
    """Evaluate an objective on a curve at t = linspace(0, 1, points); both ends are exact.

    Returns ``loss`` and one variable per metric, float64 over ``t``, and ``length``, that of the
    chords between the points so far, in the unit of the parameters. Attributes are those of
    ``interpolate``, ``curve``, its ``barrier``, ``distance`` between the ends, ``steps``, and
    ``evaluations``: of the loss or its gradient, to find the curve and here. Raises TopographError
    for a curve of another model, fewer than 2 points, and options that cannot be.
    """
    t = line_of(points).coordinates["t"][1]
    first, last = ({k: v[i] for k, v in curve.vectors.items()} for i in (0, -1))
    _flat("the curve", first, objective)
    options: dict[str, Any] = {"engine": engine, "dtype": dtype, "device": device}
    if len(next(iter(curve.vectors.values()))) == 2:
        dataset = interpolate(objective, first, last, points=points, **options)
    else:
        dataset = _dataset(objective, curve, t, options)
    length, distance = _lengths(curve, t)
    dataset["length"] = ("t", length)
    return dataset.assign_attrs(
        curve=curve.kind,
        barrier=barrier(t, dataset["loss"]),
        distance=distance,
        steps=curve.steps,
        evaluations=curve.evaluations + len(t),
    )


def barrier(t: ArrayLike, loss: ArrayLike) -> float:
    """Return how far the loss rises above the line between the losses at both ends, at least 0.

    ``t`` and ``loss`` are (M,), t increasing; the result has the unit of the loss. A NaN gives NaN,
    an infinite rise infinity. Raises TopographError for other shapes or a t that does not increase.
    Source: Frankle et al. 2020 (arXiv 1912.05671), who subtract the mean of both ends, the same
    where they are equal; with the line between them Entezari et al. 2022 (arXiv 2110.06296).
    """
    t, loss = np.asarray(t, dtype=np.float64), np.asarray(loss, dtype=np.float64)
    if t.ndim != 1 or t.shape != loss.shape or len(t) < 2 or not (np.diff(t) > 0).all():
        raise TopographError(
            f"t has shape {t.shape} and the loss {loss.shape}; allowed: one loss for each of at "
            "least 2 increasing t; sort them"
        )
    if np.isnan(loss).any():
        return float("nan")
    if np.isposinf(loss).any() or np.isneginf(loss[[0, -1]]).any():
        return float("inf")
    return float(max(0.0, (loss - np.interp(t, t[[0, -1]], loss[[0, -1]])).max()))


def barriers(
    objective: Objective, models: Sequence[Parameters], *, curve: str = "line", **options: Any
) -> np.ndarray:
    """Return the barriers (K, K) between each two of K models, 0 on the diagonal.

    Each pair is connected once, the earlier model first; ``options`` are those of ``connect``.
    """
    found = np.zeros((len(models), len(models)))
    for i, j in combinations(range(len(models)), 2):
        joined = connect(objective, models[i], models[j], curve=curve, **options)
        found[i, j] = found[j, i] = joined.attrs["barrier"]
    return found


class _Gradient:
    """Losses () and gradients (N,) at flat parameter points (N,), counted."""

    def __init__(self, objective: Objective) -> None:
        self._objective, self.evaluations = objective, 0

    def __call__(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        theta = theta.detach().requires_grad_()
        with torch.enable_grad(), exact_products():
            loss = self._objective.loss(unflatten(theta, self._objective.center))
            if not loss.requires_grad:
                raise TopographError(
                    f"the loss does not depend on {', '.join(self._objective.names[:4])}, so it "
                    "has no gradient to follow; give a differentiable loss, or curve 'line'"
                )
            (gradient,) = torch.autograd.grad(loss, theta)
        self.evaluations += 1
        return loss.detach(), gradient


def _moves(
    gradient: _Gradient, curve: str, ends: Tensor, pivots: int, steps: int, seed: int
) -> Iterator[Tensor]:
    """Yield the control points (K, N) between the ends after each step of Adam."""
    draw = torch.Generator().manual_seed(seed)
    rate = torch.dist(*ends) / ends.shape[1] ** 0.5
    aside = ASIDE * rate * torch.randn(ends.shape[1], generator=draw).to(ends)
    middle = (ends[0] + ends[1]) / 2 + aside
    if curve == "bezier":
        moving, force = middle[None], _across_bezier(gradient, ends, draw)
    else:
        t = torch.arange(1, pivots + 1).to(ends)[:, None] / (pivots + 1)
        bent = (1 - t) ** 2 * ends[0] + t**2 * ends[1]
        moving, force = bent + 2 * t * (1 - t) * middle, _across_band(gradient, ends)
    # A floor under the gradient would give losses a scale.
    optimiser = torch.optim.Adam([moving], lr=RATE * float(rate), betas=(0.9, 0.99), eps=1e-30)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in track(range(steps), curve, steps, unit="steps"):
        moving.grad = force(moving)
        if not bool(moving.grad.isfinite().all()):
            return
        optimiser.step()
        schedule.step()
        if curve != "bezier":
            moving.copy_(_equally_spaced(torch.cat([ends[:1], moving, ends[1:]])))
        yield moving


def _across_bezier(
    gradient: _Gradient, ends: Tensor, draw: torch.Generator
) -> Callable[[Tensor], Tensor]:
    """Return the gradient (1, N) of E_t L(theta(t)) as a function of the middle control point."""

    def at(t: float, middle: Tensor) -> Tensor:
        weight = 2 * t * (1 - t)
        # Grouped so that exchanged ends give the same bits.
        return weight * gradient(weight * middle[0] + ((1 - t) ** 2 * ends[0] + t**2 * ends[1]))[1]

    def force(middle: Tensor) -> Tensor:
        t = float(torch.rand((), generator=draw)) / 2
        return (at(t, middle) + at(1 - t, middle))[None] / 2

    return force


def _across_band(gradient: _Gradient, ends: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the part across the band of the gradients (K, N) as a function of the pivots."""
    first, last = (gradient(end)[0] for end in ends)

    def force(pivots: Tensor) -> Tensor:
        losses, gradients = zip(*map(gradient, pivots), strict=True)
        chain = torch.cat([ends[:1], pivots, ends[1:]])
        tangents = _tangents(chain, torch.stack([first, *losses, last]))
        slopes = torch.stack(gradients)
        return slopes - (slopes * tangents).sum(dim=1, keepdim=True) * tangents

    return force


def _tangents(chain: Tensor, losses: Tensor) -> Tensor:
    """Return unit tangents (K, N) at K pivots between two ends, towards the higher neighbour.

    At an extremum both neighbours count, weighted by how far their losses differ from the pivot's.
    Source: Henkelman and Jónsson 2000 (doi 10.1063/1.1323224), eq. 8 to 11.
    """
    steps, rises = chain.diff(dim=0), losses.diff()
    ahead, behind = rises[1:], -rises[:-1]
    larger = torch.maximum(ahead.abs(), behind.abs())
    smaller = torch.minimum(ahead.abs(), behind.abs())
    ratio = torch.where(larger > 0, smaller / larger, 1.0)
    extremum, up = (ahead > 0) == (behind > 0), losses[2:] > losses[:-2]
    lower = torch.where(extremum, ratio, 0.0)
    forward, backward = torch.where(up, 1.0, lower), torch.where(up, lower, 1.0)
    return F.normalize(forward[:, None] * steps[1:] + backward[:, None] * steps[:-1], eps=1e-30)


def _equally_spaced(chain: Tensor) -> Tensor:
    """Return as many pivots (K, N) on the polygon of a chain (K + 2, N), equally far apart."""
    lengths = chain.diff(dim=0).norm(dim=1).double().cpu().numpy()
    reached = np.concatenate([[0.0], np.cumsum(lengths)])
    wanted = np.linspace(0.0, reached[-1], len(chain))[1:-1]
    before = np.clip(np.searchsorted(reached, wanted, side="right") - 1, 0, len(lengths) - 1)
    share = torch.from_numpy((wanted - reached[before]) / lengths[before]).to(chain)
    return torch.lerp(chain[before], chain[before + 1], share[:, None])


def _evaluated(
    objective: Objective, curve: Curve, t: np.ndarray, options: Mapping[str, Any]
) -> Progress:
    where = Points(None, curve.vectors, curve.coefficients(t))
    progress = work_on(objective, where, None, shard=(0, 1), **options)
    assert progress is not None
    return progress


def _dataset(
    objective: Objective, curve: Curve, t: np.ndarray, options: Mapping[str, Any]
) -> xr.Dataset:
    """Return what ``interpolate`` returns, on a curve."""
    progress = _evaluated(objective, curve, t, options)
    plan, losses = progress.plan, progress.values["loss"]
    columns = {
        # A metric with a value per class has an axis of its own.
        name: (("t", f"{name}_class")[: column.ndim], column)
        for name, column in progress.values.items()
    }
    described = {"objective": objective.digest, "evaluated": progress.evaluated}
    where = Points(None, curve.vectors, curve.coefficients(t))
    errors = measured_errors(objective, where, losses, plan, random_vertices(len(t)))
    attributes = {**plan.to_dict(), **described, "center_loss": float(losses[0]), **errors}
    return xr.Dataset(columns, {"t": t}, attributes)


def _lengths(curve: Curve, t: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the length of a curve (M,) up to each t, along chords, and that between its ends."""
    gram = np.zeros((), dtype=np.float64)
    for value in curve.vectors.values():
        # From the start: small differences of large vectors would lose their digits.
        offsets = (value - value[:1]).double().flatten(1)
        gram = gram + (offsets @ offsets.T).cpu().numpy()
    chords = np.diff(curve.coefficients(t), axis=0)
    squared = np.einsum("ij,jk,ik->i", chords, gram, chords)
    lengths = np.concatenate([[0.0], np.cumsum(np.sqrt(np.maximum(squared, 0.0)))])
    return lengths, float(np.sqrt(gram[-1, -1]))


def _score(t: np.ndarray, progress: Progress) -> tuple[float, float, float]:
    """Return barrier, largest and mean loss, for comparison: infinite where one is NaN."""
    loss = progress.values["loss"]
    found = np.array([barrier(t, loss), loss.max(), loss.mean()])
    height, largest, mean = np.where(np.isnan(found), np.inf, found).tolist()
    return height, largest, mean


def _flat(which: str, parameters: Parameters, objective: Objective) -> Tensor:
    """Return parameters (N,) on the CPU; raise TopographError where they are of another model."""
    for name in dict.fromkeys([*objective.names, *parameters]):
        found = tuple(parameters[name].shape) if name in parameters else None
        wanted = tuple(objective.center[name].shape) if name in objective.names else None
        if found != wanted:
            raise TopographError(
                f"{which}: {name!r} has shape {found} and in the objective {wanted}; give "
                "parameters by name, with the shapes of objective.center"
            )
    flat = flatten({name: parameters[name].detach() for name in objective.names}).cpu()
    if not bool(flat.isfinite().all()):
        raise TopographError(f"{which} holds parameters that are not finite; give finite ones")
    return flat


def _check_counts(curve: str, pivots: int, steps: int) -> None:
    if curve not in CURVES:
        raise unknown_name("curve", curve, CURVES)
    for name, count in (("pivots", pivots), ("steps", steps)):
        if count < 1 or count != int(count):
            raise TopographError(f"{name} is {count}; a curve needs a whole number of at least 1")
