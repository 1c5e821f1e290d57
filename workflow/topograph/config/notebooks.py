"""What each notebook can draw, by the header of its file, read without running or importing it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from topograph.config.models import Analysis, Count, Landscape, Strict
from topograph.config.study import Experiment, PinnExperiment
from topograph.config.targets import SHORT_NAMES
from topograph.foundation.errors import ConfigError, nearest
from topograph.foundation.provenance import PACKAGE_ROOT

NOTEBOOKS = PACKAGE_ROOT / "notebooks"
FENCE = "# ---"


Kind = Literal[
    "landscape",
    "spectrum",
    "jump-retrain",
    "baselines",
    "interpolation",
    "slices",
    "topography",
    "weights",
    "similarity",
]


class Drawable(Strict):
    """The header ``jupyter: topograph`` of a notebook; what is left out may be anything.

    ``targets`` are the short names of data or problems that it is made for; what a dotted path
    leads to is not known before it runs. ``others`` are the sources that it draws beside its own,
    by name, with the kind of analysis of each; ``reads`` are tables of the whole study.
    """

    kind: Kind
    family: Literal["pinn", "supervised"] | None = None
    dimensions: Annotated[list[Count], Field(min_length=1)] | None = None
    targets: Annotated[list[str], Field(min_length=1)] | None = None
    others: dict[str, Kind] = {}
    reads: list[Literal["classifiers", "artificial-tree"]] = []


def notebooks() -> list[str]:
    """Return the names of all notebooks."""
    return sorted(path.stem for path in NOTEBOOKS.glob("*.py"))


def notebook_problem(name: str, experiment: Experiment, analysis: Analysis) -> str | None:
    """Return why a notebook cannot draw an analysis, with those that can, or None.

    Raises ConfigError for a notebook whose header is missing or wrong.
    """
    known = notebooks()
    if known and name not in known:
        return f"no notebook {name!r} in workflow/notebooks{nearest(name, known)}; " + (
            f"allowed: {', '.join(known)}"
        )
    problem = _mismatch(name, experiment, analysis) if known else None
    if problem is None:
        return None
    others = [other for other in known if _mismatch(other, experiment, analysis) is None]
    return f"the notebook {name!r} draws {problem}; allowed: {', '.join(others) or 'none yet'}"


def others_problem(name: str, others: Mapping[str, Analysis]) -> str | None:
    """Return why a notebook cannot draw these further sources beside its own, or None."""
    if name not in notebooks():
        return None
    wanted = header(NOTEBOOKS / f"{name}.py").others
    for other, analysis in others.items():
        if other not in wanted:
            return (
                f"others.{other}: the notebook {name!r} draws no such source"
                f"{nearest(other, wanted)}; allowed: {', '.join(wanted) or 'none'}"
            )
        if analysis.kind != wanted[other]:
            return (
                f"others.{other}: the notebook {name!r} draws analyses of kind {wanted[other]!r} "
                f"there, received {analysis.kind!r}"
            )
    return None


def _mismatch(name: str, experiment: Experiment, analysis: Analysis) -> str | None:
    wanted = header(NOTEBOOKS / f"{name}.py")
    if wanted.kind != analysis.kind:
        return f"analyses of kind {wanted.kind!r}, received {analysis.kind!r}"
    if wanted.family and wanted.family != experiment.family:
        return f"the family {wanted.family!r}, received {experiment.family!r}"
    if wanted.dimensions and isinstance(analysis, Landscape):
        listed = ", ".join(map(str, wanted.dimensions))
        if analysis.dimensions not in wanted.dimensions:
            return f"landscapes in {listed} dimensions, received {analysis.dimensions}"
    kind = "problem" if isinstance(experiment, PinnExperiment) else "data"
    target = getattr(experiment, kind).target
    if wanted.targets and target in SHORT_NAMES[kind] and target not in wanted.targets:
        return f"{kind} {', '.join(wanted.targets)}, received {target!r}"
    return None


def header(path: Path) -> Drawable:
    """Return what a notebook says that it can draw; raise ConfigError where it does not say."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = lines.index(FENCE, 1) if lines[:1] == [FENCE] and FENCE in lines[1:] else 0
    text = "\n".join(line.removeprefix("# ") for line in lines[1:end])
    try:
        return Drawable.model_validate(yaml.safe_load(text)["jupyter"]["topograph"])
    except (yaml.YAMLError, TypeError, KeyError, ValidationError) as error:
        raise ConfigError(
            f"workflow/notebooks/{path.name} must begin with a header in comments between lines "
            f"'{FENCE}', jupyter: topograph: {{kind: landscape}}, that says what it can draw; "
            f"allowed keys: {', '.join(Drawable.model_fields)}"
        ) from error
