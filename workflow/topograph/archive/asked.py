"""What a study asks for today of the job that made a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from topograph.config.load import load_study
from topograph.config.models import Analysis
from topograph.config.runs import (
    Cell,
    Member,
    analyses,
    cells,
    claims_roles,
    entries,
    labels_of,
    members,
    sources_shown,
)
from topograph.config.study import Study


@dataclass(frozen=True)
class Asked:
    """A study resolved: what each of its jobs is given."""

    study: Study
    members: list[Member]
    cells: Mapping[str, Cell]
    analyses: Mapping[tuple[str, str], Analysis]

    @staticmethod
    def of(study_file: str | Path) -> Asked:
        """Read and resolve a study file; raises ConfigError as the workflow does."""
        study = load_study(study_file)
        all_members = members(study, str(study_file))
        resolved = analyses(study, all_members, str(study_file))
        return Asked(study, all_members, cells(all_members), resolved)

    def parameters(self, output: str) -> dict[str, Any] | None:
        """Return the parameters that decide the content of a file, as builtins.

        ``output`` is a path such as results/<study>/<stage>/<run>/<analysis>.nc. Returns None for a
        run, analysis or figure that the study does not have.
        """
        match PurePosixPath(output).parts:
            case "results", _, "claims", _:
                return {"roles": claims_roles(self.study, entries(self.members))}
            case "results", _, "train", run, *_:
                return self._of_run(run)
            case "results", _, _, run, file, *_:
                return self._of_analysis(run, file.split(".")[0])
            case "reports", _, "profiles", file:
                run, _, rest = file.partition(".")
                found = self._of_analysis(run, rest.split(".")[0])
                return found and {**found, "labels": labels_of(self.members, run)}
            case "reports", _, "figures", file:
                return self._of_figure(file.split(".")[0])
            case ("reports", _, "papers", _) | ("reports", _, "index.html"):
                return {"figures": list(self.study.figures), "claims": list(self.study.claims)}
            case "results", _, "index.parquet":
                return {"rows": entries(self.members)}
        return {}

    def _of_run(self, run: str) -> dict[str, Any] | None:
        return {"cell": self.cells[run].to_dict()} if run in self.cells else None

    def _of_analysis(self, run: str, name: str) -> dict[str, Any] | None:
        analysis, cell = self.analyses.get((run, name)), self._of_run(run)
        return {**cell, "analysis": analysis.model_dump()} if analysis and cell else None

    def _of_figure(self, name: str) -> dict[str, Any] | None:
        figure = self.study.figures.get(name)
        if figure is None:
            return None
        sources = sources_shown(figure, entries(self.members))
        return {"figure": figure.model_dump(), "sources": sources}
