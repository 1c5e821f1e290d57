"""The full history of one file in words: jobs, code, settings, inputs, data, and the command."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from topograph.archive.digests import KnownDigests
from topograph.archive.history import SUFFIX, Job, Makers, Sums, read_job, short_path
from topograph.foundation.errors import DataError, nearest
from topograph.foundation.provenance import Code

DIGITS = 16
# Of each job's parameters, those that a reader would ask about.
TOLD = ("analysis", "figure", "labels", "figures", "table")


def explain(file: str | Path) -> str:
    """Return the history of a file as indented text, each job described once.

    ``file`` is any output of a job, a copy of one beside a copy of its manifest, or the manifest.
    Files are listed with the first 16 digits of their SHA-256 as it was then, and with what became
    of them since; data that came from no listed file with their full sum.

    Raises DataError for a file that no manifest names, and for a manifest that cannot be read.
    """
    return "\n".join(_History().lines(Path(file)))


class _History:
    """What was told so far: no job is described twice, no digest of a file taken twice."""

    def __init__(self) -> None:
        self._makers, self._sums = Makers(), Sums()
        self._told: dict[Path, int] = {}
        self._digests = KnownDigests()
        self._versions: Mapping[str, str] = {}
        self._data: set[tuple[str, str]] = set()

    def lines(self, file: Path) -> Iterator[str]:
        """Yield the lines of a file's history, its own job first."""
        job, name = _asked(file, self._makers)
        recorded = job.outputs[name]
        yield self._file(name if not _is_copy(file, job) else str(file), recorded)
        if _is_copy(file, job):
            yield f"  a copy of {short_path(name)}"
        yield from self._job(job, "  ")
        yield ""
        yield "data"
        yield from [f"  {name}  {found}" for name, found in sorted(self._data)] or [
            "  no sum of data is recorded in these manifests"
        ]
        yield ""
        yield f"remake it: {_remedy(file, job)}"

    def _job(self, job: Job, indent: str) -> Iterator[str]:
        number = self._told[job.manifest] = len(self._told) + 1
        self._data.update((job.content.get("data") or {}).items())
        yield f"{indent}job {number}: {_heading(job)}"
        yield from (indent + line for line in self._description(job))
        by_maker: dict[Path | None, list[str]] = {}
        makers = {name: self._makers(name) for name in job.inputs}
        for name, maker in makers.items():
            by_maker.setdefault(maker.manifest if maker else None, []).append(name)
        for manifest, names in by_maker.items():
            for name in names:
                yield f"{indent}from {self._file(name, job.inputs[name])}"
                if short_path(name).startswith("data/"):
                    self._data.add((short_path(name), job.inputs[name]))
            maker = makers[names[0]]
            if maker is not None and manifest in self._told:
                yield f"{indent}  job {self._told[maker.manifest]}, above"
            elif maker is not None:
                yield from self._job(maker, indent + "  ")

    def _file(self, path: str, then: str) -> str:
        now = self._sums(Path(path))
        if now == then:
            mark = ""
        elif now is None:
            mark = "  GONE"
        elif (maker := self._makers(path)) and maker.outputs[path] == now:
            mark = f"  MADE ANEW since: now {now[:DIGITS]}"
        else:
            mark = f"  ALTERED since: now {now[:DIGITS]}"
        return f"{short_path(path)}  {then[:DIGITS]}{mark}"

    def _description(self, job: Job) -> Iterator[str]:
        content = job.content
        device, machine, commit = (content.get(key) for key in ("device", "machine", "commit"))
        yield f"{job.seconds:.0f} s on {device}, {machine}, commit {commit}"
        yield self._code(job.code)
        versions = {"python": content.get("python", "unknown"), **content.get("versions", {})}
        if versions != self._versions:
            yield "versions " + ", ".join(f"{name} {number}" for name, number in versions.items())
            yield f"lock {str(content.get('lock', 'unknown'))[:DIGITS]}"
            self._versions = versions
        yield from _settings(content.get("parameters") or {})
        yield f"command: {content.get('command', 'unknown')}"

    def _code(self, recorded: tuple[str, Code] | None) -> str:
        if recorded is None:
            return "code not recorded: the manifest is older than code digests"
        digest, code = recorded
        try:
            today = self._digests.of(code)
        except (ModuleNotFoundError, FileNotFoundError) as error:
            return f"code {digest}, which cannot be compared: {error}"
        same = "today's code" if today == digest else f"NOT today's code ({today})"
        return f"code {digest}, {same}: {', '.join((*code.scripts, *code.modules))}"


def _asked(file: Path, makers: Makers) -> tuple[Job, str]:
    """Return the job to tell of and the name of its output."""
    if file.name.endswith(SUFFIX):
        job = read_job(file)
        return job, next(n for n in job.outputs if n.endswith(os.path.normpath(job.first_output)))
    if (maker := makers(file)) is not None:
        return maker, os.path.abspath(file)
    for manifest in sorted(file.parent.glob(f"*{SUFFIX}")):
        job = read_job(manifest)
        if name := next((n for n in job.outputs if Path(n).name == file.name), None):
            return job, name
    raise _unknown(file)


def _remedy(file: Path, job: Job) -> str:
    command = str(job.content.get("command", "its manifest names no command"))
    if not command.startswith(("make results/", "make reports/")) or _is_copy(file, job):
        return command
    # A manifest is no target of its own: it comes with its job's first output.
    target = job.first_output if file.name.endswith(SUFFIX) else short_path(str(file))
    # make does nothing for a file that is there and not due.
    return f"make {target}" if not Path(target).exists() else f"rm {target} && make {target}"


def _is_copy(file: Path, job: Job) -> bool:
    return not file.name.endswith(SUFFIX) and os.path.abspath(file) not in job.outputs


def _unknown(file: Path) -> DataError:
    what = "is a folder" if file.is_dir() else "is the output of no job"
    if not file.exists():
        what = "does not exist and no manifest names it"
    top = Path(*file.parts[:2])
    outputs = {
        short_path(name) for path in top.glob(f"**/*{SUFFIX}") for name in read_job(path).outputs
    }
    hint = nearest(short_path(str(file)), outputs)
    return DataError(
        f"{file} {what}{hint}; name a result, a figure, a page or a published table: files under "
        "results/ or reports/ that a .manifest.json lists"
    )


def _heading(job: Job) -> str:
    name = job.manifest.name.removesuffix(SUFFIX) if job.rule == "unknown" else job.rule
    return f"{name}, {str(job.content['ended']).replace('T', ' ')[:16]} UTC"


def _settings(parameters: Mapping[str, Any]) -> Iterator[str]:
    cell = parameters.get("cell")
    if isinstance(cell, Mapping):
        training = "; ".join(_in_words(k, v) for k, v in cell["training"].items())
        yield f"cell {cell['run']}, seeds {', '.join(map(str, cell['seeds']))}: {training}"
    for key in TOLD:
        if parameters.get(key):
            yield _in_words(key, parameters[key])
    if isinstance(parameters.get("runs"), list):
        yield f"runs {len(parameters['runs'])}"


def _in_words(key: str, value: Any) -> str:
    if isinstance(value, list):
        return f"{key} {', '.join(map(str, value)) or 'none'}"
    if not isinstance(value, Mapping):
        return f"{key} {value}"
    inner = {**value, **(value.get("kwargs") or {})}
    name = next((str(inner.pop(k)) for k in ("target", "name", "kind") if k in inner), "")
    inner.pop("kwargs", None)
    rest = ", ".join(_in_words(k, v) for k, v in inner.items())
    return " ".join(part for part in (key, name, f"({rest})" if rest else "") if part)
