"""Training blocks and analyses as pydantic models: keys documented, unknown ones refused."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from topograph.config.targets import check_kwargs, signature
from topograph.foundation.errors import ConfigError, nearest
from topograph.foundation.provenance import canonical_json

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
Seeds = Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], Field(min_length=1)]
Map = Literal["phate", "pca", "tsne", "umap"]
WeightsMap = Map | Literal["autoencoder"]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
# YAML 1.1 takes an exponent for a number only after a point and with a sign: 1.0e-3, 1.0e+5.
NUMBER_AS_TEXT = re.compile(r"^[+-]?\d+(\.\d*)?[eE][+-]?\d+$")


class Strict(BaseModel):
    """A mapping that takes exactly its fields, each of exactly its type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

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


def _plain(value: Any) -> Any:
    if isinstance(value, str) and NUMBER_AS_TEXT.match(value):
        raise PydanticCustomError("number_as_text", "Input should be a valid number")
    try:
        canonical_json(value)
    except (TypeError, ValueError) as error:
        raise PydanticCustomError(
            "not_plain",
            "Input should be text, a finite number, true, false, null, or made of these",
        ) from error
    return value


class Target(Strict):
    """A class or function by short name or by ``package.module:Name``, with its arguments."""

    target: str
    kwargs: dict[str, Annotated[Any, AfterValidator(_plain)]] = {}


def _short(target: Target) -> Any:
    """Return the name alone where there are no arguments, as it enters the run's id."""
    return target.model_dump() if target.kwargs else target.target


# A short name may stand for the whole mapping.
Loss = Annotated[
    Target,
    BeforeValidator(
        lambda value: {"target": value} if isinstance(value, str) else value,
        json_schema_input_type=str | Target,
    ),
    PlainSerializer(_short),
]


def _checked(kind: str, target: Target) -> None:
    try:
        key = f"{kind}.target: "
        signature(kind, target.target)
        key = f"{kind}."
        check_kwargs(kind, target.target, target.kwargs, given=set())
    except ConfigError as error:
        message = f"{key}{error}"
        raise PydanticCustomError("target", "{message}", {"message": message}) from error


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
    """All that training a classifier, a segmentation or a regression network reads.

    ``loss`` is a function of outputs and targets, or a class of such modules, that returns a mean.
    """

    family: Literal["supervised"]
    data: Target
    model: Target
    loss: Loss = Target(target="cross-entropy")
    optimiser: Annotated[Sgd | Adam, Field(discriminator="name")]
    schedule: Schedule

    @model_validator(mode="after")
    def _check_targets(self) -> SupervisedTraining:
        _checked("data", self.data)
        _checked("model", self.model)
        _checked("loss", self.loss)
        return self


Training = Annotated[PinnTraining | SupervisedTraining, Field(discriminator="family")]


class Around(Strict):
    """What the loss around trained weights is evaluated on.

    ``epochs`` counts from 0, the initial weights; ``examples`` limits the training data that the
    loss is averaged over. ``objective`` is the loss on the data, or with the decay term that the
    optimiser saw; ``batch_norm`` runs on the buffers of the centre or is recalibrated at each
    point.
    """

    epochs: Annotated[list[Annotated[int, Field(ge=0)] | Literal["last"]], Field(min_length=1)] = [
        "last"
    ]
    examples: Count | None = None
    objective: Literal["data", "regularised"] = "data"
    batch_norm: Literal["centre", "recalibrated"] = "centre"
    seed: Annotated[int, Field(ge=0)] = 0


class Landscape(Around):
    """A loss landscape on a grid of directions around trained weights, and its topology.

    ``distance`` is the largest |alpha| in units of the direction, or, where ``extent`` is
    ``curvature``, of 1 / sqrt(|eigenvalue|) along each unit eigenvector: there the quadratic part
    of the loss rises by distance**2 / 2 along each axis, in every landscape alike.
    """

    kind: Literal["landscape"]
    directions: Literal["hessian", "random"]
    dimensions: Annotated[int, Field(ge=1, le=6)]
    points: Annotated[int, Field(ge=2)]
    distance: Positive
    extent: Literal["fixed", "curvature"] = "fixed"
    normalization: Literal["none", "filter", "layer", "model"] = "none"
    dtype: Literal["float32", "float64", "bfloat16", "tf32"] = "float32"
    connectivity: Literal["freudenthal", "axis", "moore", "mutual-knn"] = "freudenthal"

    @model_validator(mode="after")
    def _check_extent(self) -> Landscape:
        if self.extent == "curvature" and (self.directions, self.normalization) != (
            "hessian",
            "none",
        ):
            raise PydanticCustomError(
                "extent",
                "extent: curvature needs directions: hessian and normalization: none, whose "
                "eigenvalues set the length of each axis; choose these, or extent: fixed",
            )
        return self


class Spectrum(Around):
    """The Hessian at trained weights: top eigenvalues by magnitude, trace, spectral density."""

    kind: Literal["spectrum"]
    eigenvalues: Count = 20
    dtype: Literal["float32", "float64"] = "float32"


class JumpRetrain(Strict):
    """Jumps from trained weights along random rays, each retrained (Horoi et al. 2022).

    ``seeds`` are those of the rays; ``weights_seeds`` the training seeds to jump from, all unless
    given; ``batch`` is that of the training unless given; a step of 0 is a control without a jump;
    ``held_out`` is the share of the training examples that retraining does not see; ``stacked``
    retrains all jumps as one training, ``auto`` where a probe finds that faster. The rest is for
    what is made of the points: ``maps`` by ``distance``; PHATE with ``knn``, ``t``,
    ``mds_distance``, by our code or the phate package (``engine``); the graph of ``neighbours``.
    """

    kind: Literal["jump-retrain"]
    weights_seeds: Seeds | None = None
    seeds: Seeds
    steps: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)]
    epochs: Count
    batch: Count | None = None
    learning_rate: Positive = 0.001
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    batch_norm: Literal["stale", "recalibrated"] = "stale"
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.0
    stacked: bool | Literal["auto"] = "auto"
    maps: Annotated[list[Map], Field(min_length=1)] = ["phate", "pca", "tsne", "umap"]
    distance: Literal["cosine", "euclidean"] = "cosine"
    knn: Count = 5
    t: Count | Literal["auto"] = "auto"
    mds_distance: Literal["euclidean", "cosine"] = "cosine"
    engine: Literal["own", "package"] = "own"
    neighbours: Count = 20


class Baselines(Around):
    """Points around trained weights, none retrained: a 3-D grid, and rays of every length.

    ``points`` are those of each, ``distance`` the largest |alpha| in units of the direction.
    """

    kind: Literal["baselines"]
    points: Annotated[int, Field(ge=8)] = 640
    distance: Positive = 1.0


def _odd(points: int) -> int:
    if points % 2 == 0:
        raise PydanticCustomError(
            "odd", "{points} points have none at the centre; an odd number has", {"points": points}
        )
    return points


class Method(Around):
    """What is looked at from the weights of the last epoch, and of those that training kept."""

    kind: str
    batch_norm: Literal["centre", "recalibrated"] = "recalibrated"


class Interpolation(Method):
    """The loss along straight lines and low-loss curves between initial and trained weights.

    From the start to the end of each training, and between the ends of each two of the first
    ``networks`` seeds. ``points`` lie on each curve; ``steps`` of an optimiser lower those that are
    not straight.
    """

    kind: Literal["interpolation"]
    curves: Annotated[
        list[Literal["line", "bezier", "nudged_elastic_band"]], Field(min_length=1)
    ] = ["line", "bezier", "nudged_elastic_band"]
    networks: Count = 3
    points: Annotated[int, Field(ge=3)] = 41
    steps: Count = 60


class Slices(Method):
    """Slices through the trained weights along random filter-normalised directions.

    The range grows until the loss is ``multiple`` times that at the centre; ``planes`` repeats the
    slice along other directions; the plane of the optimiser's path comes beside them.
    """

    kind: Literal["slices"]
    points: Annotated[int, Field(ge=3)] = 25
    planes: Count = 3
    multiple: Annotated[float, Field(gt=1)] = 5.0
    normalization: Literal["none", "filter", "layer", "model"] = "filter"


class Topography(Method):
    """Curvature along training, sharpness at its end, and critical points on a Hessian grid.

    The first ``networks`` seeds are looked at, each at ``stages`` of the epochs that training kept,
    the first and the last among them;
    ``eigenvalues`` are computed at either end of the spectrum; ``rho`` is how far sharpness looks;
    grids have ``points``, an odd number, along each of three directions: Hessian eigenvectors to
    ``distance``, and random ones as long as the weights.
    """

    kind: Literal["topography"]
    batch_norm: Literal["centre", "recalibrated"] = "centre"
    networks: Count = 3
    stages: Annotated[int, Field(ge=2)] = 4
    eigenvalues: Count = 5
    rho: Positive = 0.05
    points: Annotated[int, Field(ge=5), AfterValidator(_odd)] = 9
    distance: Positive = 0.5


class WeightMap(Method):
    """Maps of all weights that training kept, of every seed, and the loss on what they show.

    ``points`` are those of the loss along each axis of a plane or of decoded codes.
    """

    kind: Literal["weights"]
    maps: Annotated[list[WeightsMap], Field(min_length=1)] = [
        "pca",
        "phate",
        "umap",
        "tsne",
        "autoencoder",
    ]
    points: Annotated[int, Field(ge=3)] = 21


class Similarity(Method):
    """How alike the networks of all seeds are, and how high the loss rises between them."""

    kind: Literal["similarity"]
    curve: Literal["line", "bezier", "nudged_elastic_band"] = "line"
    points: Annotated[int, Field(ge=3)] = 21


AnyMethod = Interpolation | Slices | Topography | WeightMap | Similarity
Analysis = Annotated[
    Landscape | Spectrum | JumpRetrain | Baselines | AnyMethod, Field(discriminator="kind")
]
# Kinds that leave results and tables, each by a rule of its own name.
METHODS = {
    "interpolation": ("methods",),
    "slices": ("methods", "shape"),
    "topography": ("methods", "card", "critical"),
    "weights": ("methods",),
    "similarity": ("methods",),
}

# Keys that the job which begins an analysis does not read: another value samples nothing anew.
READ_LATER = {
    "landscape": {"connectivity"},
    "spectrum": set(),
    "baselines": set(),
    **{kind: set[str]() for kind in METHODS},
    "jump-retrain": {"maps", "distance", "knn", "t", "mds_distance", "engine", "neighbours"},
}


def first_settings(analysis: Analysis) -> dict[str, Any]:
    """Return what the job that begins an analysis reads of it, as builtins."""
    return analysis.model_dump(exclude=READ_LATER[analysis.kind])
