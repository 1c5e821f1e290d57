"""What a study will cost: a few steps and points of each kind are timed here and multiplied out."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from topograph.config.models import (
    METHODS,
    Analysis,
    AnyMethod,
    Around,
    Baselines,
    Interpolation,
    Landscape,
    PinnTraining,
    Slices,
    Spectrum,
    SupervisedTraining,
    Target,
    Topography,
)
from topograph.config.runs import Cell
from topograph.data.dataset import PARTS, Dataset
from topograph.data.sources import files_of
from topograph.families import pinn, supervised
from topograph.families.build import build_data, build_loss, build_model
from topograph.families.result import state_arrays
from topograph.families.training import family_of
from topograph.foundation.progress import track
from topograph.foundation.provenance import digest
from topograph.foundation.threads import limit_threads
from topograph.landscape.hessian import HessianProduct
from topograph.landscape.plan import make_plan
from topograph.landscape.precision import random_vertices
from topograph.objective.objective import Objective
from topograph.problems.problem import is_deepxde
from topograph.problems.through_deepxde import load_deepxde

# L-BFGS stops by itself: a thousand iterations is about the mean of the default study.
ITERATIONS = 1_000
# Products with the Hessian for two or three eigenpairs in the default study: 60 to 130.
PRODUCTS = 90
# Those of the top eigenvalues, the trace and the density together.
SPECTRUM_PRODUCTS = PRODUCTS + 96 + 640
# Gradients in a step of a curve between two models.
GRADIENTS = 6
# What the seconds of one loss are taken from, where an analysis has no grid of its own.
LINE = Landscape(kind="landscape", directions="random", dimensions=1, points=99, distance=1.0)
# Larger samples of the data than this are timed in part.
EXAMPLES = 32
ENOUGH_SECONDS = 0.3
# Starts of Python that a job takes; one that runs a notebook starts a kernel as well.
STARTS = Counter({"figure": 4})


class Estimate(NamedTuple):
    """Processor seconds by stage, and by missing file the runs that could not be estimated."""

    seconds: dict[str, float]
    missing: dict[str, list[str]]


def estimate(
    cells: Mapping[str, Cell],
    analyses: Mapping[tuple[str, str], Analysis],
    counted: Mapping[str, int],
) -> Estimate:
    """Time what the cells do, on one thread of this machine, and multiply it out.

    Builds every distinct model and data set, and so finds what only running them would. Raises
    TopographError for those that do not fit together.
    """
    limit_threads(1)
    stopwatch, missing = _Stopwatch(), dict[str, list[str]]()
    kinds = ("train", "landscape", "spectrum", "jump-retrain", "baselines", *METHODS)
    seconds = dict.fromkeys(kinds, 0.0)
    for run, cell in track(cells.items(), "timing cells", len(cells)):
        absent = _absent(cell)
        if absent:
            missing.setdefault(absent, []).append(run)
            continue
        seconds["train"] += len(cell.seeds) * stopwatch.training(cell.training)
        for analysis in (found for (name, _), found in analyses.items() if name == run):
            seconds[analysis.kind] += stopwatch.analysis(cell, analysis)
    start = _start_seconds()
    seconds["every job's start, and other stages"] = start * sum(
        number * (STARTS[stage] or 1) for stage, number in counted.items()
    )
    return Estimate(seconds, missing)


def _absent(cell: Cell) -> str | None:
    """Return a file that must be downloaded before a cell can be trained."""
    data = getattr(cell.training, "data", None)
    files = files_of(data.target) if data else []
    return next((file for file in files if not Path(file).is_file()), None)


def _start_seconds() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "import topograph.families.training"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class _Stopwatch:
    """Processor seconds of each distinct subject, each timed once."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._shapes: dict[str, list[Any]] = {}

    def training(self, training: PinnTraining | SupervisedTraining) -> float:
        """Return the seconds of training one seed."""
        if isinstance(training, SupervisedTraining):
            epoch, test = self._epoch(training, training.schedule.batch)
            return training.schedule.epochs * (epoch + test) + test
        key = [*self._subject(training), training.optimiser.history]
        many, few = (self._time([*key, n], partial(_iterations, training, n)) for n in (30, 5))
        return min(training.optimiser.max_iterations, ITERATIONS) * max(many - few, 0.0) / 25

    def analysis(self, cell: Cell, analysis: Analysis) -> float:
        """Return the seconds of an analysis of all the seeds of a cell."""
        if isinstance(analysis, Landscape):
            landscapes = len(cell.seeds) * len(analysis.epochs)
            return landscapes * self._landscape(cell.training, analysis)
        if isinstance(analysis, Spectrum):
            spectra = len(cell.seeds) * len(analysis.epochs)
            return spectra * SPECTRUM_PRODUCTS * self._product(cell.training, analysis)
        if isinstance(analysis, AnyMethod):
            asked = analysis.model_dump(include={"examples", "batch_norm", "objective"})
            line = LINE.model_copy(update=asked)
            one = self._landscape(cell.training, line) / line.points
            return one * _evaluations(analysis, len(cell.seeds))
        batch = getattr(analysis, "batch", None) or cell.training.schedule.batch
        epoch, test = self._epoch(cell.training, batch)
        if isinstance(analysis, Baselines):
            return len(cell.seeds) * 2 * analysis.points * test
        retraining = analysis.epochs * (epoch + test) + test
        seeds = analysis.weights_seeds or cell.seeds
        return len(seeds) * len(analysis.seeds) * len(analysis.steps) * retraining

    def _epoch(self, training: SupervisedTraining, batch: int) -> tuple[float, float]:
        """Return the seconds of an epoch's steps and of its evaluation on all the data."""
        key = [*self._subject(training), training.optimiser.name, batch]
        train, test = (shape[0] for shape in key[0][:4:2])
        batch = min(batch, train)
        step = self._time([*key, "step"], lambda: _step(training, batch))
        tested = self._time([*key, "test"], lambda: _test(training))
        examples = min(train, EXAMPLES) + min(test, EXAMPLES)
        return step * train / batch, tested * (train + test) / examples

    def _landscape(self, training: Any, analysis: Landscape) -> float:
        """Return the seconds of one landscape: directions, points, and those again in float64."""
        key, few, share = self._on_few(training, analysis)
        count = analysis.points**analysis.dimensions
        again = 0 if analysis.dtype == "float64" else 2 * len(random_vertices(count))
        point = self._time([*key, "point"], lambda: _points(training, few))
        seconds = share * (count + again) * point
        if analysis.directions == "hessian":
            seconds += PRODUCTS * self._product(training, analysis)
        return seconds

    def _product(self, training: Any, analysis: Landscape | Spectrum) -> float:
        """Return the seconds of a Hessian-vector product."""
        key, few, share = self._on_few(training, analysis)
        return share * self._time([*key, "product"], lambda: _product(training, few))

    def _on_few(self, training: Any, analysis: Any) -> tuple[list[Any], Any, float]:
        """Return what a unit's seconds depend on, the analysis on few examples, all by these."""
        key, share = self._subject(training), 1.0
        if isinstance(training, SupervisedTraining):
            total = key[0][0][0]
            wanted = min(analysis.examples or total, total)
            analysis = analysis.model_copy(update={"examples": min(wanted, EXAMPLES)})
            share = wanted / min(wanted, EXAMPLES)
        key += [analysis.examples, analysis.dtype, analysis.objective, analysis.batch_norm]
        return key, analysis, share

    def _subject(self, training: Any) -> list[Any]:
        """Return what the seconds depend on: shapes of the data, the model, the loss."""
        supervised_one = isinstance(training, SupervisedTraining)
        source = training.data if supervised_one else training.problem
        key = digest(source.model_dump())
        if key not in self._shapes:
            with _quiet():
                self._shapes[key] = _shapes(source, supervised_one)
        rest = training.model_dump(include={"family", "model", "loss"})
        return [self._shapes[key], source.target, rest]

    def _time(self, key: list[Any], prepare: Callable[[], tuple[Callable[[], Any], int]]) -> float:
        """Return the seconds of a unit of what ``prepare`` returns: a call, and its units."""
        name = digest(key)
        if name not in self._seconds:
            with _quiet():
                call, units = prepare()
                self._seconds[name] = _processor_seconds(call) / units
        return self._seconds[name]


def _evaluations(analysis: AnyMethod, seeds: int) -> int:
    """Return about how many losses a method evaluates; a gradient or a product costs three."""
    pairs = seeds * (seeds - 1) // 2
    if isinstance(analysis, Interpolation):
        curved, networks = len(set(analysis.curves) - {"line"}), min(seeds, analysis.networks)
        pairs = networks * (networks - 1) // 2
        return seeds * analysis.points + pairs * curved * 3 * GRADIENTS * analysis.steps
    if isinstance(analysis, Slices):
        return seeds * (analysis.planes + 1) * analysis.points * (analysis.points + 1)
    if isinstance(analysis, Topography):
        networks = min(seeds, analysis.networks)
        return networks * (2 * analysis.points**3 + 3 * analysis.stages * SPECTRUM_PRODUCTS)
    return pairs * analysis.points + 2 * analysis.points**2


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Swallow what is told of engines and by libraries: it is no news here."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _processor_seconds(call: Callable[[], Any]) -> float:
    """Return the least of some calls: on a busy machine the others measure its other work."""
    times: list[float] = []
    # The first call imports, compiles and fills caches.
    while len(times) < 2 or sum(times[1:]) < ENOUGH_SECONDS:
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def _shapes(source: Target, has_data: bool) -> list[Any]:
    if has_data:
        dataset = build_data(source)
        shapes: list[Any] = [list(getattr(dataset, name).shape) for name in PARTS]
        return [*shapes, dataset.augmentation is not None]
    problem = pinn.build_problem(source)
    arrays = [problem.train_x] if is_deepxde(problem) else problem.points()
    return [list(array.shape) for array in arrays]


def _first(dataset: Dataset, count: int) -> Dataset:
    parts = {name: getattr(dataset, name)[:count] for name in PARTS}
    return dataclasses.replace(dataset, **parts)


def _step(training: SupervisedTraining, batch: int) -> tuple[Callable[[], Any], int]:
    few, loss = _first(build_data(training.data), batch), build_loss(training.loss)
    model = supervised.build_network(training, few, 0)
    optimiser = supervised.make_optimiser(model, training.optimiser)
    return lambda: supervised.train_epoch(model, optimiser, few, loss, batch=batch, seed=0), 1


def _test(training: SupervisedTraining) -> tuple[Callable[[], Any], int]:
    few, loss = _first(build_data(training.data), EXAMPLES), build_loss(training.loss)
    model = supervised.build_network(training, few, 0)
    return lambda: supervised.evaluate(model, few, loss), 1


def _iterations(training: PinnTraining, count: int) -> tuple[Callable[[], Any], int]:
    limited = training.optimiser.model_copy(update={"max_iterations": count})
    some = training.model_copy(update={"optimiser": limited})
    load_deepxde()
    return lambda: pinn.train_seed(some, 0, Path()), 1


def _objective(training: Any, analysis: Around) -> Objective:
    """Return the objective around the initial weights of a seed."""
    if isinstance(training, SupervisedTraining):
        model = supervised.build_network(training, build_data(training.data), 0)
    else:
        model = build_model(training.model, 0)
    objective: Objective = family_of(training).objective(training, state_arrays(model), analysis)
    return objective


def _points(training: Any, analysis: Landscape) -> tuple[Callable[[], Any], int]:
    objective, count = _objective(training, analysis), analysis.points**analysis.dimensions
    plan = make_plan(objective, "", count, "auto", analysis.dtype, None)
    engine = plan.make_engine(objective)

    def tile() -> None:
        with plan.in_force():
            engine.run()

    return tile, plan.tile


def _product(training: Any, analysis: Landscape | Spectrum) -> tuple[Callable[[], Any], int]:
    dtype = "float64" if analysis.dtype == "float64" else "float32"
    product = HessianProduct(_objective(training, analysis), dtype=dtype)
    vector = np.ones(product.size)
    return lambda: product(vector), 1
