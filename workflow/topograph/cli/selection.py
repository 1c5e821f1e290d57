"""What of a study a command works on, and the record of what it makes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from topograph.archive.asked import Asked
from topograph.config.models import METHODS
from topograph.config.runs import Cell
from topograph.foundation.errors import TopographError, unknown_name
from topograph.foundation.provenance import Code, Start, write_manifest
from topograph.foundation.storage import require
from topograph.foundation.threads import limit_threads

# The stages whose files a figure may show, beside the training.
SHOWN = (
    *("landscape", "topology", "spectrum", "trajectory", "embedding", "homology", "baselines"),
    *METHODS,
)


class Selection:
    """What of a study a command is to work on, and where its files lie."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.asked = Asked.of(options.study)
        self.study = self.asked.study
        self.results = f"results/{self.study.study}"

    def file(self, stage: str, cell: Cell, name: str) -> str:
        """Return ``results/<study>/<stage>/<run>/<name>``."""
        return f"{self.results}/{stage}/{cell.run}/{name}"

    def page(self, run: str, analysis: str) -> str:
        """Return the interactive page of an analysis of a run."""
        return f"reports/{self.study.study}/profiles/{run}.{analysis}.html"

    def cells(self) -> list[Cell]:
        """Return the cells named, or all."""
        experiments: dict[str, set[str]] = {}
        for member in self.asked.members:
            experiments.setdefault(member.cell.run, {member.cell.run}).add(member.experiment)
        self._check_names("run or experiment", set().union(*experiments.values()))
        only = set(self.options.only)
        known = self.asked.cells.items()
        return [cell for run, cell in known if not only or only & experiments[run]]

    def analyses(self, kind: type) -> Iterator[tuple[Cell, str, Any]]:
        """Yield the analyses of a kind, of the cells named, with their names."""
        found = self.asked.analyses
        named = {name for (_, name), analysis in found.items() if isinstance(analysis, kind)}
        wanted = {self.options.analysis} if self.options.analysis else named
        if not named:
            stage = self.options.command
            raise TopographError(f"{self.options.study} has no analysis for the stage {stage!r}")
        if not wanted <= named:
            raise unknown_name("analysis of this stage", self.options.analysis, named)
        chosen = [
            (cell, name)
            for cell in self.cells()
            for name in sorted(wanted)
            if isinstance(found.get((cell.run, name)), kind)
        ]
        if not chosen:
            raise self._nothing_chosen(kind, wanted)
        for cell, name in chosen:
            yield cell, name, found[cell.run, name]

    def _nothing_chosen(self, kind: type, wanted: set[str]) -> TopographError:
        """Build the error for names of which none has an analysis that was asked for."""
        having = []
        for experiment, plan in self.study.experiments.items():
            own = {name for name, analysis in plan.analyses.items() if isinstance(analysis, kind)}
            if own & wanted:
                having.append(f"{experiment} ({', '.join(sorted(own & wanted))})")
        return TopographError(
            f"{', '.join(self.options.only)}: no {self.options.analysis or 'analysis'} for the "
            f"stage {self.options.command!r}; allowed: {', '.join(having)} and their runs"
        )

    def figures(self) -> list[str]:
        """Return the figures named, or all."""
        self._check_names("figure", self.study.figures)
        return self.options.only or list(self.study.figures)

    def made(self, run: str, analysis: str) -> list[str]:
        """Return the files that there are of a run's training and of one analysis of it."""
        patterns = [f"train/{run}/*", *(f"{stage}/{run}/{analysis}.*" for stage in SHOWN)]
        found = [path for pattern in patterns for path in Path(self.results).glob(pattern)]
        page = Path(self.page(run, analysis))
        found += [page] if page.is_file() else []
        return sorted(str(path) for path in found if not path.name.endswith(".manifest.json"))

    def _check_names(self, kind: str, known: Iterable[str]) -> None:
        for name in self.options.only:
            if name not in known:
                raise unknown_name(kind, name, known)


@contextmanager
def recorded(
    study: Selection,
    rule: str,
    outputs: Mapping[str, str],
    inputs: Mapping[str, str],
    parameters: dict[str, Any],
    *,
    modules: Iterable[str] = (),
    notebooks: Iterable[str] = (),
    device: str = "cpu",
) -> Iterator[dict[str, str]]:
    """Check the inputs, run the block, write the manifest that the rule would write.

    Yields a mapping for the sums of data that came from no file. Raises DataError for an input that
    is not there.
    """
    for path in inputs.values():
        require(path)
    start = Start.now(Code(tuple(modules), (f"workflow/scripts/{rule}.py", *notebooks)))
    parameters["code"] = start.digest
    first = next(iter(outputs.values()))
    data: dict[str, str] = {}
    print(first, flush=True)
    limit_threads(study.options.threads)
    yield data
    write_manifest(
        list(outputs.values()),
        rule=rule,
        inputs=list(inputs.values()),
        parameters=parameters,
        start=start,
        command=f"make {first}",
        device=device,
        data=data,
    )
