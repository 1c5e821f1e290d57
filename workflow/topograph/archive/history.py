"""The history of a result: the job that made it, the jobs behind its inputs, up to the data."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from topograph.foundation.errors import DataError
from topograph.foundation.provenance import Code, file_digest, manifest_path
from topograph.foundation.storage import read_json

SUFFIX = ".manifest.json"


@dataclass(frozen=True)
class Job:
    """One finished job, as its manifest tells it; files by absolute path, with their SHA-256."""

    manifest: Path
    seconds: float
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    content: Mapping[str, Any]

    def __hash__(self) -> int:
        return hash(self.manifest)

    @property
    def rule(self) -> str:
        """The rule of the job, or where an old manifest does not tell, ``unknown``."""
        return str(self.content.get("rule", "unknown"))

    @property
    def first_output(self) -> str:
        """The output that the manifest is named after, as it is written there."""
        names: list[str] = list(self.content["outputs"])
        return next((n for n in names if manifest_path(n).name == self.manifest.name), names[0])

    @property
    def code(self) -> tuple[str, Code] | None:
        """The digest of the job's code and what it was taken of; None in old manifests."""
        recorded = self.content.get("code")
        if not isinstance(recorded, Mapping):
            return None
        modules, scripts = (tuple(recorded.get(key, ())) for key in ("modules", "scripts"))
        return str(recorded.get("digest")), Code(modules, scripts)


def read_job(manifest: Path) -> Job:
    """Read a manifest; relative names in it start where its study's folders lie.

    Raises DataError when it is missing or lacks what every manifest holds.
    """
    content = read_json(manifest)
    try:
        started, ended = (datetime.fromisoformat(content[key]) for key in ("started", "ended"))
        root = _root(manifest, content["outputs"])
        # Some rules name files by absolute path; both forms must meet.
        inputs, outputs = (
            {os.path.normpath(root / name): found for name, found in content[key].items()}
            for key in ("inputs", "outputs")
        )
        if not outputs:
            raise ValueError("no outputs")
        return Job(manifest, (ended - started).total_seconds(), inputs, outputs, content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{manifest} is not a manifest ({error!r}); it needs started, ended, inputs and "
            "outputs. Remove it and make the file it stands beside again"
        ) from error


def _root(manifest: Path, outputs: Iterable[str]) -> Path:
    """Return the folder that names are relative to: the manifest lies beside its first output."""
    beside = Path(os.path.abspath(manifest)).parent
    for name in outputs:
        folder = Path(name).parent.parts
        depth = len(beside.parts) - len(folder)
        if manifest_path(name).name == manifest.name and beside.parts[depth:] == folder:
            return Path(*beside.parts[:depth])
    return Path.cwd()


def read_jobs(*folders: Path) -> list[Job]:
    """Return every job whose manifest lies in or below the folders."""
    found = {path for folder in folders for path in folder.glob(f"**/*{SUFFIX}")}
    return [read_job(path) for path in sorted(found)]


def short_path(path: str | Path) -> str:
    """Return a path as seen from the current folder, or as it is where it lies outside."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


class Makers:
    """Finds the job that made a file, by manifests in its folder and the two above it."""

    def __init__(self) -> None:
        self._known: dict[Path, list[Job]] = {}

    def __call__(self, path: str | Path) -> Job | None:
        """Return the job whose manifest names a file as its output, or None."""
        target = Path(os.path.abspath(path))
        folders = (target.parent, *target.parent.parents[:2])
        jobs = (job for folder in folders for job in self._jobs_in(folder))
        return next((job for job in jobs if str(target) in job.outputs), None)

    def _jobs_in(self, folder: Path) -> list[Job]:
        if folder not in self._known:
            manifests = sorted(folder.glob(f"*{SUFFIX}"))
            self._known[folder] = [read_job(Path(short_path(path))) for path in manifests]
        return self._known[folder]


def producers(jobs: Iterable[Job]) -> dict[str, Job]:
    """Return the job that made each file, by absolute path."""
    return {output: job for job in jobs for output in job.outputs}


def ancestors(job: Job, made_by: Mapping[str, Job]) -> set[Job]:
    """Return every job that a job's inputs came from; a job used twice is there once."""
    found: set[Job] = set()
    pending = list(job.inputs)
    while pending:
        producer = made_by.get(pending.pop())
        if producer is not None and producer not in found:
            found.add(producer)
            pending += producer.inputs
    return found


class Sums:
    """The SHA-256 of files as they are on disk; each state of a file is read once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, int], str] = {}

    def __call__(self, path: Path) -> str | None:
        """Return the sum of a file, or None when there is no such file."""
        if not path.is_file():
            return None
        found = path.stat()
        key = (path, found.st_size, found.st_mtime_ns)
        if key not in self._known:
            self._known[key] = file_digest(path)
        return self._known[key]
