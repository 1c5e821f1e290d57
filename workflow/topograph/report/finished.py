"""A finished study: its figures, its cells and the jobs behind them, read once for all pages."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from topograph.archive.history import SUFFIX, Job, ancestors, producers, read_job, read_jobs
from topograph.foundation.provenance import manifest_path
from topograph.foundation.storage import require
from topograph.report.cells import TrainedCell, read_cells
from topograph.report.figure import read_published
from topograph.report.verdicts import Claims, read_claims


@dataclass(frozen=True)
class Figure:
    """A published figure, its notebook, the job that drew it and all jobs ``before`` it."""

    name: str
    notebook: str
    title: str
    caption: str
    job: Job
    before: frozenset[Job]


@dataclass(frozen=True)
class FinishedStudy:
    """What the site tells; ``files`` are the study's own, the others lie in its folders."""

    name: str
    files: list[Path]
    reports: Path
    results: Path
    figures: list[Figure]
    cells: list[TrainedCell]
    profiles: list[Path]
    surfaces: list[Path]
    methods: list[Path]
    papers: list[Path]
    claims: Claims | None
    made_by: Mapping[str, Job] = field(repr=False)

    @property
    def config(self) -> str:
        """The study files by name."""
        return ", ".join(map(str, self.files))

    @cached_property
    def jobs(self) -> dict[str, Job]:
        """Every job behind a figure, an interactive page, a paper's page, the claims or a cell."""
        found = {job for figure in self.figures for job in (figure.job, *figure.before)}
        ends = [*self.profiles, *self.surfaces, *self.papers]
        ends += [self._weights(cell.run) for cell in self.cells]
        # A table of methods lies under the manifest of the results that they left.
        ends += [path.with_suffix("") for path in self.methods]
        ends += [self.claims.file] if self.claims else []
        for path in ends:
            job = read_job(manifest_path(path))
            found |= {job, *ancestors(job, self.made_by)}
        return {name: job for name, job in sorted((self.name_of(job), job) for job in found)}

    def command_of(self, figure: Figure) -> str:
        """Return the line that remakes a figure."""
        return f"make reports/{self.name}/figures/{figure.name}.html"

    def name_of(self, job: Job) -> str:
        """Return a job's name: where its manifest lies, within the study's folders."""
        path = job.manifest.with_name(job.manifest.name.removesuffix(SUFFIX))
        folders = (self.reports, self.results, self.reports.parents[1])
        folder = next(folder for folder in folders if path.is_relative_to(folder))
        return path.relative_to(folder).as_posix()

    def name_of_maker(self, file: Path) -> str:
        """Return the name of the job that made a file and left its manifest beside it."""
        return self.name_of(read_job(manifest_path(file)))

    def path_of(self, file: str) -> str:
        """Return a file of a job relative to the folder that holds results and reports."""
        return Path(os.path.relpath(file, self.reports.parents[1])).as_posix()

    def training_of(self, run: str) -> str:
        """Return the name of the job that trained a run."""
        return self.name_of_maker(self._weights(run))

    def figures_of(self, run: str) -> list[Figure]:
        """Return the figures that are made from a run, at whatever remove."""
        training = self.made_by.get(os.path.abspath(self._weights(run)))
        return [figure for figure in self.figures if training in figure.before]

    def profiles_of(self, run: str) -> list[tuple[str, Path]]:
        """Return the analysis and the interactive page of each landscape of a run."""
        return _of_run(self.profiles, run)

    def surfaces_of(self, run: str) -> list[tuple[str, Path]]:
        """Return the analysis and the interactive surface of each of the slices of a run."""
        return _of_run(self.surfaces, run)

    def _weights(self, run: str) -> Path:
        return self.results / "train" / run / "weights.safetensors"


def _of_run(pages: Iterable[Path], run: str) -> list[tuple[str, Path]]:
    start = f"{run}."
    own = [path for path in pages if path.name.startswith(start)]
    return [(path.stem.removeprefix(start), path) for path in own]


def read_finished(
    study: str,
    *,
    files: Iterable[Path],
    reports: Path,
    results: Path,
    figures: Iterable[str],
    profiles: Iterable[Path],
    papers: Iterable[Path],
    claims: Iterable[Path] = (),
    surfaces: Iterable[Path] = (),
    methods: Iterable[Path] = (),
    notebooks: Mapping[str, str] = MappingProxyType({}),
) -> FinishedStudy:
    """Read a finished study.

    ``reports`` and ``results`` are the study's own folders, such as reports/study and
    results/study; ``profiles`` and ``surfaces`` are the interactive pages, ``papers`` those of the
    papers; ``claims`` are the tables of claims and of their sensitivity, ``methods`` those of what
    methods cost, if the study has any; ``notebooks`` tells the notebook of a figure that is not of
    its name. Raises DataError when a figure's files, a manifest, the index of runs, a run's metrics
    or a table are missing or broken.
    """
    data = reports.parents[1] / "data"
    pages = [reports / name for name in ("figures", "profiles", "surfaces", "papers")]
    made_by = producers(read_jobs(results, *pages, data))
    return FinishedStudy(
        name=study,
        files=[require(path) for path in files],
        reports=reports,
        results=results,
        figures=[
            _figure(reports / "figures" / name, notebooks.get(name, name), made_by)
            for name in figures
        ],
        cells=read_cells(results),
        profiles=[require(path) for path in profiles],
        surfaces=[require(path) for path in surfaces],
        methods=[require(path) for path in methods],
        papers=[require(path) for path in papers],
        claims=read_claims(claims),
        made_by=made_by,
    )


def _figure(stem: Path, notebook: str, made_by: Mapping[str, Job]) -> Figure:
    for suffix in ("html", "svg", "pdf"):
        require(f"{stem}.{suffix}")
    published = read_published(stem)
    job = read_job(manifest_path(f"{stem}.html"))
    before = frozenset(ancestors(job, made_by))
    return Figure(stem.name, notebook, published["title"], published["caption"], job, before)


def duration(jobs: Iterable[Job]) -> str:
    """Return in words how long jobs took together."""
    seconds = sum(job.seconds for job in jobs)
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"
