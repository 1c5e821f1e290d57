"""The study file as pydantic models: every key documented, unknown keys refused, YAML traps caught."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from topograph.config.targets import check_kwargs, resolve
from topograph.foundation.errors import ConfigError, nearest

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
Seeds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Strict(BaseModel):
    """A mapping that takes exactly its fields, each of exactly its type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        for key in content:
            if key not in cls.model_fields:
                raise PydanticCustomError(
                    "unknown_key",
                    "unknown key {key}{hint}; allowed: {allowed}",
                    {
                        "key": repr(key),
                        "hint": nearest(str(key), cls.model_fields),
                        "allowed": ", ".join(cls.model_fields),
                    },
                )
        return content


class Target(Strict):
    """A class or function by short name or by ``package.module:Name``, with its arguments."""

    target: str
    kwargs: dict[str, Any] = {}


def _checked(kind: str, target: Target) -> None:
    try:
        resolve(kind, target.target)
        check_kwargs(kind, target.target, target.kwargs, given=set())
    except ConfigError as error:
        raise PydanticCustomError("target", "{message}", {"message": str(error)}) from error


class Lbfgs(Strict):
    """L-BFGS with strong Wolfe line search, one call of ``step`` (Krishnapriyan et al. 2021)."""

    name: Literal["lbfgs"]
    learning_rate: Positive = 1.0
    max_iterations: Count = 100_000
    history: Count = 50
    tolerance: Positive = 1e-7


class Sgd(Strict):
    """Stochastic gradient descent with heavy-ball momentum and L2 decay on all parameters."""

    name: Literal["sgd"]
    learning_rate: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class Adam(Strict):
    """Adam with torch's default moments."""

    name: Literal["adam"]
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class Schedule(Strict):
    """How long to train, in which batches, where the learning rate drops, what to keep."""

    epochs: Count
    batch: Count
    milestones: list[Count] = []
    factor: Positive = 0.1
    keep: Literal["all", "last"] = "all"


class PinnTraining(Strict):
    """All that training a physics-informed network reads."""

    family: Literal["pinn"]
    problem: Target
    model: Target
    optimiser: Lbfgs

    @model_validator(mode="after")
    def _check_targets(self) -> PinnTraining:
        _checked("problem", self.problem)
        _checked("model", self.model)
        return self


class SupervisedTraining(Strict):
    """All that training a classifier or a segmentation network reads."""

    family: Literal["supervised"]
    data: Target
    model: Target
    loss: Literal["cross-entropy"] = "cross-entropy"
    optimiser: Annotated[Sgd | Adam, Field(discriminator="name")]
    schedule: Schedule

    @model_validator(mode="after")
    def _check_targets(self) -> SupervisedTraining:
        _checked("data", self.data)
        _checked("model", self.model)
        return self


Training = Annotated[PinnTraining | SupervisedTraining, Field(discriminator="family")]


class Landscape(Strict):
    """A loss landscape on a grid of directions around trained weights, and its topology.

    ``distance`` is the largest |alpha| in units of the direction; ``epochs`` counts from 0, the
    initial weights; ``examples`` limits the training data that the loss is averaged over.
    """

    kind: Literal["landscape"]
    directions: Literal["hessian", "random"]
    dimensions: Annotated[int, Field(ge=1, le=6)]
    points: Annotated[int, Field(ge=2)]
    distance: Positive
    normalization: Literal["none", "filter", "layer", "model"] = "none"
    epochs: Annotated[list[Annotated[int, Field(ge=0)] | Literal["last"]], Field(min_length=1)] = [
        "last"
    ]
    examples: Count | None = None
    dtype: Literal["float32", "float64"] = "float32"
    connectivity: Literal["freudenthal", "axis", "moore"] = "freudenthal"
    seed: Annotated[int, Field(ge=0)] = 0


class JumpRetrain(Strict):
    """Jumps from trained weights along random rays, each retrained (Horoi et al. 2022)."""

    kind: Literal["jump-retrain"]
    weights_seed: Annotated[int, Field(ge=0)] = 0
    seeds: Seeds
    steps: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)]
    epochs: Count
    batch: Count
    learning_rate: Positive = 0.001
    knn: Count = 5
    neighbours: Count = 20
    mds_distance: Literal["euclidean", "cosine"] = "cosine"


Analysis = Annotated[Landscape | JumpRetrain, Field(discriminator="kind")]


class Plan(Strict):
    """What an experiment does with its training block: seeds, grid, variants, analyses.

    ``grid`` maps a dotted key of the training block to its values; ``variants`` maps a name to
    several such overrides at once; the cells are the product of both.
    """

    seeds: Seeds
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    variants: dict[Name, dict[str, Any]] = {}
    analyses: dict[Name, Analysis] = {}


class PinnExperiment(PinnTraining, Plan):
    """A physics-informed family and what to do with it."""


class SupervisedExperiment(SupervisedTraining, Plan):
    """A supervised family and what to do with it."""


Experiment = Annotated[PinnExperiment | SupervisedExperiment, Field(discriminator="family")]


class Figure(Strict):
    """A page of the report: the notebook of the same name, fed with one analysis."""

    title: str
    experiment: Name
    analysis: Name


class Study(Strict):
    """One config file: named experiments and the figures to draw from them."""

    study: Name
    experiments: Annotated[dict[Name, Experiment], Field(min_length=1)]
    figures: dict[Name, Figure] = {}

    @model_validator(mode="after")
    def _check_references(self) -> Study:
        for name, figure in self.figures.items():
            where = f"figures.{name}"
            experiment = _lookup(f"{where}.experiment", figure.experiment, self.experiments)
            _lookup(f"{where}.analysis", figure.analysis, experiment.analyses)
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


def _check_analysis(where: str, experiment: Experiment, analysis: Analysis) -> None:
    supervised = isinstance(experiment, SupervisedExperiment)
    problem = None
    if isinstance(analysis, JumpRetrain):
        if not supervised:
            problem = "jump-retrain needs a supervised family, which can be retrained by epochs"
        elif analysis.weights_seed not in experiment.seeds:
            problem = f"weights_seed {analysis.weights_seed} is not among seeds {experiment.seeds}"
    elif not supervised and (analysis.epochs != ["last"] or analysis.examples is not None):
        problem = "a pinn is trained in one step on fixed points: leave out epochs and examples"
    elif supervised:
        schedule = experiment.schedule
        late = [e for e in analysis.epochs if isinstance(e, int) and e > schedule.epochs]
        if late:
            problem = f"epochs {late} lie after the last epoch, {schedule.epochs}"
        elif schedule.keep == "last" and analysis.epochs != ["last"]:
            problem = "epochs before the last are not kept: set schedule.keep to 'all'"
    if problem:
        raise PydanticCustomError("analysis", "{message}", {"message": f"{where}: {problem}"})
