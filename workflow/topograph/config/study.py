"""The study file as a whole: experiments with their grids, claims, figures, and how they fit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from topograph.config.models import (
    Analysis,
    Baselines,
    JumpRetrain,
    Method,
    Name,
    PinnTraining,
    Seeds,
    Similarity,
    Strict,
    SupervisedTraining,
    WeightMap,
)
from topograph.foundation.errors import nearest

# Names of folders that mean something else among those of the studies.
RESERVED = {
    "scratch": "by this word in its path a file is known as work in progress, without a manifest",
    "published": "reports/published/ holds the published tables of every study",
}


def reserved_name_problem(name: str) -> str | None:
    """Return why no study may have a name, or None."""
    return f"reserved, {RESERVED[name]}; choose another name" if name in RESERVED else None


def _not_reserved(name: str) -> str:
    if problem := reserved_name_problem(name):
        raise PydanticCustomError("reserved", "{problem}", {"problem": problem})
    return name


# What a claim is tested on; topograph.claims says which claims need which.
Role = Literal[
    "pinn-grid",
    "pinn-grid-scaled",
    "pinn-4d",
    "pinn-betas",
    "pinn-betas-spectrum",
    "unet-epochs",
    "residual",
    "residual-spectrum",
    "residual-slices",
    "jumps",
    "jumps-maps",
    "jumps-homology",
    "jumps-memorising",
    "jumps-baselines",
    "jumps-continued",
    "topography",
    "topography-critical",
    "topography-pinns",
    "topography-pinns-critical",
]
# Kinds of analysis that begin with the initial weights.
READS_EPOCHS = ("interpolation", "weights")
# A pinn keeps the weights at the start and at the end of training.
ENDS = 2
# A map's quality counts neighbours: fewer points have none to lose. CKA divides by three less.
FEWEST_POINTS = 4
Folder = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
StudyName = Annotated[Name, AfterValidator(_not_reserved)]


class Plan(Strict):
    """What an experiment does with its training block: seeds, grid, variants, analyses.

    ``grid`` maps a dotted key of the training block to its values; ``variants`` maps a name to
    several such overrides at once; the cells are the product of both. ``published`` is the folder
    of reports/published/ that its tables go to, by default that of the study.
    """

    seeds: Seeds
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    variants: dict[Name, dict[str, Any]] = {}
    analyses: dict[Name, Analysis] = {}
    published: Folder | None = None


class PinnExperiment(PinnTraining, Plan):
    """A physics-informed family and what to do with it."""


class SupervisedExperiment(SupervisedTraining, Plan):
    """A supervised family and what to do with it."""


Experiment = Annotated[PinnExperiment | SupervisedExperiment, Field(discriminator="family")]


class Source(Strict):
    """Where results come from: an analysis of every run of an experiment."""

    experiment: Name
    analysis: Name


class Figure(Source):
    """A page of the report: a notebook, by default the one of the same name, and what it draws.

    ``others`` are more results that it draws, by the names that the notebook has for them.
    """

    title: str
    notebook: Name | None = None
    others: dict[Name, Source] = {}


class Study(Strict):
    """One config file: named experiments, the claims to test on them, the figures to draw.

    ``claims`` maps a role, what a claim is tested on, to the results that play it.
    """

    study: StudyName
    experiments: Annotated[dict[Name, Experiment], Field(min_length=1)]
    claims: dict[Role, Source] = {}
    figures: dict[Name, Figure] = {}

    @model_validator(mode="after")
    def _check_references(self) -> Study:
        sources: dict[str, Source] = {f"claims.{role}": s for role, s in self.claims.items()}
        for name, figure in self.figures.items():
            sources[f"figures.{name}"] = figure
            sources |= {f"figures.{name}.others.{n}": other for n, other in figure.others.items()}
        for where, source in sources.items():
            experiment = _lookup(f"{where}.experiment", source.experiment, self.experiments)
            analysis = _lookup(f"{where}.analysis", source.analysis, experiment.analyses)
            if where.startswith("claims."):
                _check_role(where, analysis)
        for name, experiment in self.experiments.items():
            for label, analysis in experiment.analyses.items():
                _check_analysis(f"experiments.{name}.analyses.{label}", experiment, analysis)
        return self


def _lookup(where: str, name: str, allowed: dict[str, Any]) -> Any:
    if name not in allowed:
        message = f"{where}: {name!r} is not defined{nearest(name, allowed)}"
        raise PydanticCustomError(
            "reference", "{message}", {"message": f"{message}; allowed: {', '.join(allowed)}"}
        )
    return allowed[name]


def _check_role(where: str, analysis: Analysis) -> None:
    wanted = "landscape"
    if where.endswith("-spectrum"):
        wanted = "spectrum"
    elif where.endswith("-slices"):
        wanted = "slices"
    elif where.startswith("claims.topography"):
        wanted = "topography"
    elif where.startswith("claims.jumps"):
        wanted = "baselines" if where.endswith("-baselines") else "jump-retrain"
    if analysis.kind != wanted:
        message = f"{where}.analysis: received one of kind {analysis.kind!r}; allowed: {wanted!r}"
        raise PydanticCustomError("role", "{message}", {"message": message})


def _check_analysis(where: str, experiment: Experiment, analysis: Analysis) -> None:
    problem = analysis_problem(experiment, experiment.seeds, analysis)
    if problem:
        raise PydanticCustomError("analysis", "{message}", {"message": f"{where}: {problem}"})


def analysis_problem(
    training: PinnTraining | SupervisedTraining, seeds: list[int], analysis: Analysis
) -> str | None:
    """Return why an analysis cannot be run on what training leaves, or None."""
    if isinstance(training, PinnTraining):
        problem, kept = _pinn_problem(analysis), ENDS
    else:
        problem, kept = _supervised_problem(training, seeds, analysis), training.schedule.epochs + 1
    if problem is None and isinstance(analysis, Similarity | WeightMap):
        return _too_few(seeds, kept, analysis)
    return problem


def _pinn_problem(analysis: Analysis) -> str | None:
    if isinstance(analysis, JumpRetrain | Baselines):
        return f"{analysis.kind} needs a supervised family, which can be retrained by epochs"
    if analysis.epochs != ["last"] or analysis.examples is not None:
        return "a pinn is trained in one step on fixed points: leave out epochs and examples"
    given = "batch_norm" in analysis.model_fields_set and analysis.batch_norm != "centre"
    if analysis.objective != "data" or given:
        return "a pinn has neither weight decay nor batch norm: leave out objective and batch_norm"
    return None


def _supervised_problem(
    training: SupervisedTraining, seeds: list[int], analysis: Analysis
) -> str | None:
    if isinstance(analysis, JumpRetrain):
        return _jumps_problem(seeds, analysis)
    if isinstance(analysis, Baselines) and analysis.epochs != ["last"]:
        return "baselines lie around the weights that training ends with: leave out epochs"
    schedule = training.schedule
    if isinstance(analysis, Method):
        return _method_problem(schedule.keep, analysis)
    late = [e for e in analysis.epochs if isinstance(e, int) and e > schedule.epochs]
    if late:
        return f"epochs {late} lie after the last epoch, {schedule.epochs}"
    numbers = [schedule.epochs if epoch == "last" else epoch for epoch in analysis.epochs]
    if len(set(numbers)) < len(numbers):
        return f"epochs {analysis.epochs} name one twice: the last is {schedule.epochs}"
    if schedule.keep == "last" and analysis.epochs != ["last"]:
        return "epochs before the last are not kept: set schedule.keep to 'all'"
    return None


def _method_problem(keep: str, analysis: Method) -> str | None:
    if analysis.epochs != ["last"]:
        return "all epochs that training kept are looked at: leave out epochs"
    if keep == "last" and analysis.kind in READS_EPOCHS:
        return f"{analysis.kind} needs the initial weights: set schedule.keep to 'all'"
    return None


def _too_few(seeds: list[int], kept: int, analysis: Similarity | WeightMap) -> str | None:
    points = len(seeds) * kept
    if isinstance(analysis, Similarity) and len(seeds) < 2:
        return f"seeds {seeds} give one network: two or more are needed to compare"
    if isinstance(analysis, Similarity) and (analysis.examples or FEWEST_POINTS) < FEWEST_POINTS:
        return f"examples is {analysis.examples}; allowed: {FEWEST_POINTS} or more for CKA"
    if isinstance(analysis, WeightMap) and points < FEWEST_POINTS:
        return (
            f"{points} weights are kept ({len(seeds)} seeds x {kept} epochs, the initial one "
            f"among them): a map needs {FEWEST_POINTS} or more; add seeds or epochs"
        )
    return None


def _jumps_problem(seeds: list[int], analysis: JumpRetrain) -> str | None:
    if strange := sorted({*(analysis.weights_seeds or [])} - {*seeds}):
        return f"weights_seeds {strange} are not among seeds {seeds}"
    for name in ("seeds", "steps"):
        values = getattr(analysis, name)
        if len(set(values)) < len(values):
            return f"{name} {values} name one twice: each trajectory is retrained once"
    points = len(analysis.seeds) * len(analysis.steps) * (analysis.epochs + 1)
    # Defaults may be too many for a small study, which then has no map and says so.
    for name in sorted(analysis.model_fields_set & {"knn", "neighbours"}):
        if (value := getattr(analysis, name)) >= points:
            return (
                f"{name} is {value} for {points} points ({len(analysis.seeds)} seeds x "
                f"{len(analysis.steps)} steps x {analysis.epochs + 1} epochs with the jump); "
                f"allowed: 1 to {points - 1}; lower it or add points"
            )
    return None
