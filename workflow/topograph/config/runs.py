"""From a study to its cells: grid expansion, run ids, labels."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from topograph.config.load import config_error
from topograph.config.models import Analysis, Training
from topograph.config.study import Experiment, Figure, Plan, Study, analysis_problem
from topograph.config.targets import SHORT_NAMES, resolve, signature
from topograph.foundation.errors import ConfigError, nearest
from topograph.foundation.provenance import digest

TRAINING = TypeAdapter(Training)
# The stage, and its table, that claims are tested on: of a role, else of an analysis of this kind.
CLAIMS_READ = {
    "landscape": ("topology", "choices"),
    "spectrum": ("spectrum", "quantities"),
    "jump-retrain": ("embedding", "points"),
    "baselines": ("baselines", "points"),
    "jumps-maps": ("embedding", "quality"),
    "jumps-homology": ("homology", "statistics"),
    "topography": ("topography", "card"),
    "topography-critical": ("topography", "critical"),
    "topography-pinns-critical": ("topography", "critical"),
    "slices": ("slices", "shape"),
}


@dataclass(frozen=True)
class Cell:
    """One training job: a fully resolved training block and the seeds to train it with."""

    run: str
    seeds: tuple[int, ...]
    training: Any

    @property
    def modules(self) -> list[str]:
        """The modules that its targets come from; they are imported by name, at run time."""
        named = {kind: getattr(self.training, kind, None) for kind in SHORT_NAMES}
        paths = [resolve(kind, t.target) for kind, t in named.items() if t is not None]
        # torch is named by its version, in the lock.
        return [p.partition(":")[0] for p in paths if not p.startswith("torch.")]

    def to_dict(self) -> dict[str, Any]:
        """Return the cell as builtins, the form in which it reaches a rule or a manifest."""
        training = self.training.model_dump()
        return {"run": self.run, "seeds": list(self.seeds), "training": training}

    @staticmethod
    def from_dict(content: dict[str, Any]) -> Cell:
        """Rebuild a cell from ``to_dict``."""
        training = TRAINING.validate_python(content["training"])
        return Cell(content["run"], tuple(content["seeds"]), training)


@dataclass(frozen=True)
class Member:
    """A cell as an experiment sees it: its label and the values of the grid axes."""

    experiment: str
    label: str
    parameters: dict[str, Any]
    cell: Cell


def members(study: Study, source: str) -> list[Member]:
    """Return every cell of every experiment, in the order of the file.

    Raises ConfigError, naming ``source`` and the key path, when an axis does not exist or a value
    is not allowed.
    """
    return [
        member
        for name, experiment in study.experiments.items()
        for member in _experiment_members(name, experiment, source)
    ]


def cells(all_members: list[Member]) -> dict[str, Cell]:
    """Return the distinct cells by run id, with the union of the seeds asked of each."""
    merged: dict[str, Cell] = {}
    for member in all_members:
        cell = member.cell
        known = merged.get(cell.run)
        seeds = sorted({*cell.seeds, *(known.seeds if known else ())})
        merged[cell.run] = replace(cell, seeds=tuple(seeds))
    return merged


def entries(all_members: list[Member]) -> list[dict[str, Any]]:
    """Return every cell of every experiment as builtins: what figures and the index show of it."""
    return [
        {
            "experiment": member.experiment,
            "run": member.cell.run,
            "label": member.label,
            "parameters": member.parameters,
            "seeds": list(member.cell.seeds),
        }
        for member in all_members
    ]


def sources_shown(figure: Figure, listed: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return analysis and runs of what a figure draws from: itself under "", others by name.

    ``listed`` are the study's `entries`.
    """
    return {
        name: {
            "analysis": source.analysis,
            "runs": [entry for entry in listed if entry["experiment"] == source.experiment],
        }
        for name, source in {"": figure, **figure.others}.items()
    }


def claims_roles(study: Study, listed: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the stage, table, analysis and runs that play each role of the claims.

    ``listed`` are the study's `entries`.
    """
    roles: dict[str, dict[str, Any]] = {}
    for role, source in study.claims.items():
        kind = study.experiments[source.experiment].analyses[source.analysis].kind
        stage, table = CLAIMS_READ.get(role) or CLAIMS_READ[kind]
        runs = [entry for entry in listed if entry["experiment"] == source.experiment]
        roles[role] = {"stage": stage, "table": table, "analysis": source.analysis, "runs": runs}
    return roles


def roles_told(roles: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the roles whose losses classifiers tell networks by; none without both to compare."""
    if not {"jumps", "jumps-baselines"} <= set(roles):
        return {}
    asked = ("jumps", "jumps-baselines", "jumps-continued")
    return {role: source for role, source in roles.items() if role in asked}


def labels_of(all_members: list[Member], run: str) -> list[str]:
    """Return what the experiments call a run, after their own names."""
    own = [member for member in all_members if member.cell.run == run]
    return [", ".join(dict.fromkeys((member.experiment, member.label))) for member in own]


def analyses(
    study: Study, all_members: list[Member], source: str
) -> dict[tuple[str, str], Analysis]:
    """Return every analysis by run id and name.

    Raises ConfigError when two experiments share a run and mean different things by one name,
    because both would write the same file.
    """
    found: dict[tuple[str, str], Analysis] = {}
    for member in all_members:
        run = member.cell.run
        for name, analysis in study.experiments[member.experiment].analyses.items():
            if found.setdefault((run, name), analysis) != analysis:
                raise ConfigError(
                    f"{source}: experiments.{member.experiment}.analyses.{name}: another "
                    f"experiment defines {name!r} differently for the same run ({run}); "
                    "give one of them another name"
                )
    return found


def run_id(training: dict[str, Any]) -> str:
    """Return a readable prefix and ten hex digits of the hash of all that training reads."""
    subject = training.get("problem") or training["data"]
    words = [subject["target"], training["model"]["target"]]
    prefix = "-".join(word.rpartition(":")[2].lower() for word in words)
    prefix = re.sub(r"[^a-z0-9]+", "-", prefix).strip("-")
    return f"{prefix if prefix[:1].isalpha() else 'run-' + prefix}-{digest(training, 10)}"


def _experiment_members(name: str, experiment: Experiment, source: str) -> Iterator[Member]:
    where = f"{source}: experiments.{name}"
    base = experiment.model_dump(exclude=set(Plan.model_fields))
    for axis in experiment.grid:
        _check_axis(base, axis, f"{where}.grid")
    variants = experiment.variants or {"": {}}
    for (variant, overrides), values in itertools.product(
        variants.items(), itertools.product(*experiment.grid.values())
    ):
        for axis in overrides:
            _check_axis(base, axis, f"{where}.variants.{variant}")
            if axis in experiment.grid:
                raise ConfigError(
                    f"{where}.variants.{variant}: the grid also sets {axis!r}; leave out one"
                )
        point = dict(zip(experiment.grid, values, strict=True))
        training = copy.deepcopy(base)
        for axis, value in {**overrides, **point}.items():
            _set(training, axis, value)
        try:
            resolved = TRAINING.validate_python(training)
        except ValidationError as error:
            cell_source = f"{where}, cell '{_label(name, variant, point)}'"
            raise config_error(error, training, cell_source) from error
        for analysis_name, analysis in experiment.analyses.items():
            problem = analysis_problem(resolved, experiment.seeds, analysis)
            if problem:
                label = _label(name, variant, point)
                raise ConfigError(f"{where}.analyses.{analysis_name}, cell '{label}': {problem}")
        cell = Cell(run_id(resolved.model_dump()), tuple(experiment.seeds), resolved)
        parameters = ({"variant": variant} if variant else {}) | overrides | point
        yield Member(name, _label(name, variant, point), parameters, cell)


def _label(name: str, variant: str, point: dict[str, Any]) -> str:
    """Return what tells a cell from the others of its experiment; its name where it is alone."""
    parts = [variant] if variant else []
    parts += [f"{axis.rpartition('.')[2].replace('_', ' ')} {v}" for axis, v in point.items()]
    return ", ".join(parts) or name


def _axes(training: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in training.items():
        path = f"{prefix}{key}"
        if key == "kwargs":
            kind = prefix.rstrip(".")
            found = signature(kind, training["target"])
            yield from (f"{path}.{name}" for name in {*value, *(found.allowed if found else ())})
        elif isinstance(value, dict):
            yield from _axes(value, f"{path}.")
        else:
            yield path


def _check_axis(training: dict[str, Any], axis: str, where: str) -> None:
    allowed = sorted(set(_axes(training)) - {"family"})
    if axis in allowed:
        return
    raise ConfigError(
        f"{where}: no axis {axis!r}{nearest(axis, allowed)}; allowed: {', '.join(allowed)}"
    )


def _set(training: dict[str, Any], axis: str, value: Any) -> None:
    *parents, last = axis.split(".")
    for parent in parents:
        training = training[parent]
    training[last] = value
