"""A finished study as a Workflow Run RO-Crate: all files, every job as an action, what ran it."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from topograph.archive.asked import Asked
from topograph.archive.history import Job
from topograph.archive.judgement import Judge
from topograph.archive.tables import tables_of
from topograph.foundation.errors import DataError, TopographError
from topograph.foundation.provenance import PACKAGE_ROOT

ROOT = PACKAGE_ROOT.parent
METADATA = "ro-crate-metadata.json"
# The newest RO-Crate that the Workflow Run Crate profiles are written for.
VERSION = "1.1"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
# Version 1.1 has no term for it; this is that of the profiles.
SHA256 = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".nc": "application/netcdf",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".py": "text/x-python",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
}
PAGES = ("homepage", "home", "repository", "source", "documentation")
AUTHORS = "#authors"
WITH_EVERY_STUDY = ("pyproject.toml", "envs/lock.txt", "LICENSE", "CITATION.cff")


def write_crate(
    study_file: str | Path,
    out: str | Path,
    *,
    results: str | Path = "results",
    reports: str | Path = "reports",
) -> Path:
    """Write a finished study as an RO-Crate into a folder, or a file that ends in ``.zip``.

    The crate holds the workflow with its library, config and lock, every result and figure with its
    manifest, an action for each job and one for the run of the workflow. It conforms to the
    Workflow Run Crate and Provenance Run Crate profiles, version 0.5.

    Raises ConfigError for a study that cannot be used, DataError when a result is missing, altered
    or not what today's code and study would make, TopographError when ``out`` exists and is not a
    crate.
    """
    study_path, target = Path(study_file), Path(out)
    _check_target(target)
    jobs = _finished_jobs(study_path, Path(results), Path(reports))
    crate = _Contents(study_path, jobs).crate
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        draft = Path(temporary) / target.name
        if target.suffix == ".zip":
            crate.write_zip(draft)
        else:
            crate.write(draft)
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(draft, target)
    return target


def _check_target(target: Path) -> None:
    empty = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if not (empty or _is_crate(target)):
        raise TopographError(
            f"{target} exists and is no crate, so it was left as it is; name another folder or .zip"
        )


def _is_crate(target: Path) -> bool:
    if target.is_dir():
        return (target / METADATA).is_file()
    # A folder cannot take the place of a file, so only a zip is replaced by a zip.
    if not target.is_file() or target.suffix != ".zip":
        return False
    try:
        with zipfile.ZipFile(target) as archive:
            return METADATA in archive.namelist()
    except zipfile.BadZipFile:
        return False


def _finished_jobs(study_file: Path, results: Path, reports: Path) -> list[Job]:
    """Return the study's jobs; raise DataError unless all are there and current."""
    asked = Asked.of(study_file)
    name = asked.study.study
    judge = Judge(asked, results, reports)
    made = {output for job in judge.jobs for output in job.outputs}
    for file in _asked_files(asked, results / name, reports / name):
        if not file.is_file():
            raise DataError(f"{file} is missing; make it first: make study STUDY={name}")
        if os.path.abspath(file) not in made:
            raise DataError(f"{file} has no manifest; make it anew: rm {file} && make {file}")
    states = {job: judge.of(job) for job in judge.jobs}
    late = [found for found in states.values() if found.state not in ("current", "not asked for")]
    if late:
        raise DataError(
            f"{late[0].output} ({late[0].rule}) is not current: {late[0].state}: {late[0].reason}"
            + (f"; and {len(late) - 1} more jobs" if len(late) > 1 else "")
            + f". `make why STUDY={name}` lists them; a crate holds only what today's code makes: "
            f"make study STUDY={name}"
        )
    return [job for job, found in states.items() if found.state == "current"]


def _asked_files(asked: Asked, results: Path, reports: Path) -> Iterable[Path]:
    for member in asked.members:
        for table in tables_of(asked.study.experiments[member.experiment]):
            yield results / table.stage / member.cell.run / table.file
    for figure in asked.study.figures:
        yield reports / "figures" / f"{figure}.html"
    yield reports / "index.html"


class _Contents:
    """The crate while it is filled; an entity of a file is made once."""

    def __init__(self, study_file: Path, jobs: list[Job]) -> None:
        from rocrate.rocrate import ROCrate

        self._jobs = sorted(jobs, key=lambda job: (job.content["ended"], str(job.manifest)))
        self._study = study_file.stem
        self._versions = self._jobs[-1].content["versions"]
        with warnings.catch_warnings():
            # rocrate warns of profiles newer than the crate's version, which are not used here.
            warnings.simplefilter("ignore")
            self.crate = ROCrate(version=VERSION)
        self.crate.metadata.extra_terms.update(SHA256)
        self._root()
        self._config = self._file(study_file, f"config/{study_file.name}")
        for name in WITH_EVERY_STUDY:
            self._file(ROOT / name)
        self._file(ROOT / "README.md")["about"] = self.crate.root_dataset
        for path in sorted((ROOT / "workflow").rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                self._file(path)
        self._workflow = self._main_workflow()
        self._run([self._action(job) for job in self._jobs])

    def _root(self) -> None:
        crate = self.crate
        crate.name = f"Topograph study {self._study}"
        crate.description = (
            f"The study {self._study} of Topograph: its workflow, settings, results and figures, "
            "and for every job what it was made from, by which code, when and where."
        )
        crate.datePublished = self._jobs[-1].content["ended"]
        licence = str(metadata("topograph")["License-Expression"])
        crate.license = self._entity(
            f"https://spdx.org/licenses/{licence}", "CreativeWork", name=f"{licence} licence"
        )
        authors = self._entity(AUTHORS, "Organization", name="The Topograph authors")
        crate.root_dataset["author"] = crate.publisher = authors
        crate.root_dataset["conformsTo"] = [
            self._entity(uri, "CreativeWork", name=name, version=uri.rpartition("/")[2])
            for uri, name in PROFILES.items()
        ]

    def _main_workflow(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            workflow = self.crate.add_workflow(
                ROOT / "Snakefile",
                "Snakefile",
                main=True,
                lang="snakemake",
                lang_version=self._versions["snakemake"],
                properties={
                    "name": "Topograph",
                    "version": self._versions["topograph"],
                    "encodingFormat": "text/plain",
                },
            )
        workflow["conformsTo"] = {
            "@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
        }
        workflow["softwareRequirements"] = [
            self._software(name, version) for name, version in self._versions.items()
        ]
        return workflow

    def _software(self, name: str, version: str) -> Any:
        address = {"url": found} if (found := _homepage(name)) else {}
        return self._entity(
            f"pkg:pypi/{name}@{version}",
            "SoftwareApplication",
            name=name,
            version=version,
            **address,
        )

    def _action(self, job: Job) -> Any:
        """Add one job: the script that ran, its inputs and outputs, when it ran and on what."""
        content = job.content
        script = self._file(ROOT / f"workflow/scripts/{job.rule}.py")
        manifest = self._file(job.manifest, _name(job, str(job.manifest)))
        inputs = [self._input(path, _name(job, path), found) for path, found in job.inputs.items()]
        inputs += [self._sum(name, found) for name, found in content["data"].items()]
        results = [
            self._file(Path(path), _name(job, path), sha256=found)
            for path, found in job.outputs.items()
        ]
        return self.crate.add_action(
            script,
            identifier=f"#{_name(job, str(job.manifest))}",
            object=_one(inputs),
            result=_one(results),
            properties={
                "name": f"{job.rule} {_name(job, next(iter(job.outputs)))}",
                "description": f"{content['command']}, by code {content['code']['digest']}",
                "startTime": content["started"],
                "endTime": content["ended"],
                "agent": {"@id": AUTHORS},
                "subjectOf": {"@id": manifest.id},
            },
        )

    def _input(self, path: str, name: str, found: str) -> Any:
        # Downloaded data have licences of their own and stay where they come from.
        return self._sum(name, found) if name.startswith("data/") else self._file(Path(path), name)

    def _sum(self, name: str, found: str) -> Any:
        identifier = f"#data/{quote(name)}/{found[:16]}"
        return self._entity(identifier, "PropertyValue", name=name, value=found)

    def _run(self, actions: list[Any]) -> None:
        """Add the run of the workflow as a whole, and what it takes and gives."""
        site = self.crate.dereference(f"reports/{self._study}/index.html")
        takes = self.crate.add_formal_parameter("study", "File", "#study", valueRequired=True)
        gives = self.crate.add_formal_parameter("site", "File", "#site")
        for parameter, entity in ((takes, self._config), (gives, site)):
            parameter["workExample"] = entity
            entity["exampleOfWork"] = parameter
        self._workflow["input"], self._workflow["output"] = takes, gives
        tools = dict.fromkeys(action["instrument"] for action in actions)
        self._workflow["hasPart"] = list(tools)
        run = self.crate.add_action(
            self._workflow,
            identifier="#run",
            object=self._config,
            result=site,
            properties={
                "name": f"make study STUDY={self._study}",
                "description": f"The run of the workflow on config/{self._study}.yaml.",
                "startTime": min(job.content["started"] for job in self._jobs),
                "endTime": self._jobs[-1].content["ended"],
                "agent": {"@id": AUTHORS},
            },
        )
        self.crate.root_dataset["mentions"] = [run, *actions]

    def _file(self, path: Path, name: str = "", sha256: str = "") -> Any:
        """Add a file under its name in the repository, once."""
        name = name or path.relative_to(ROOT).as_posix()
        known = self.crate.dereference(name)
        if known is None:
            properties: dict[str, Any] = {
                "name": name,
                "encodingFormat": FORMATS.get(path.suffix, "application/octet-stream"),
                "contentSize": str(path.stat().st_size),
            }
            if path.parent == ROOT / "workflow" / "scripts":
                properties["@type"] = ["File", "SoftwareSourceCode"]
                properties["version"] = self._versions["topograph"]
            known = self.crate.add_file(path, name, properties=properties)
        if sha256:
            known["sha256"] = sha256
        return known

    def _entity(self, identifier: str, kind: str, **properties: str) -> Any:
        from rocrate.model.contextentity import ContextEntity

        return self.crate.add(
            ContextEntity(self.crate, identifier, properties={"@type": kind, **properties})
        )


def _one(entities: list[Any]) -> Any:
    """Return a single entity as itself: JSON-LD writes no list of one."""
    return entities[0] if len(entities) == 1 else entities


def _name(job: Job, path: str) -> str:
    """Return a file's name as the job's manifest writes it, wherever the results lie."""
    recorded = (*job.content["inputs"], *job.content["outputs"])
    names = (name for name in recorded if os.path.abspath(path).endswith(os.path.normpath(name)))
    beside = Path(job.first_output).parent / Path(path).name
    return next(names, beside.as_posix())


def _homepage(package: str) -> str:
    """Return the address that a package names as its own, or nothing."""
    try:
        found = metadata(package)
    except PackageNotFoundError:
        return ""
    pages = [page.split(", ", 1) for page in found.get_all("Project-URL") or ()]
    named = {label.lower(): address for label, address in pages}
    own = [*(found.get_all("Home-page") or ()), *(named.get(key, "") for key in PAGES)]
    return next((address for address in own if address), "")
