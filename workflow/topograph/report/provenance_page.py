"""The page of provenance: the history of every figure, and every job once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from topograph.archive.history import Job, ancestors
from topograph.foundation.storage import write_json
from topograph.report.finished import Figure, FinishedStudy, duration
from topograph.report.page import write_html

# What a manifest made before these were written down does not say.
_UNKNOWN = "unknown"


def write_provenance(study: FinishedStudy) -> list[Path]:
    """Write ``provenance.html`` and ``manifests.json``, and return their paths.

    The page describes each job once, under its name as an anchor; the histories link there.
    ``manifests.json`` holds the manifest of each of these jobs by the same name.
    """
    jobs = study.jobs
    manifests = study.reports / "manifests.json"
    write_json(manifests, {name: job.content for name, job in jobs.items()})
    rules: dict[str, list[dict[str, Any]]] = {}
    for name, job in jobs.items():
        rules.setdefault(_rule(job), []).append(_described(study, name, job))
    page = write_html(
        study.reports / "provenance.html",
        "provenance.html",
        study=study.name,
        files=[(str(path), path.read_text(encoding="utf-8")) for path in study.files],
        environments=_environments(jobs.values()),
        histories=[_history(study, figure) for figure in study.figures],
        rules=rules,
        job_count=len(jobs),
        total=duration(jobs.values()),
    )
    return [page, manifests]


def _rule(job: Job) -> str:
    return str(job.content.get("rule", _UNKNOWN))


def _history(study: FinishedStudy, figure: Figure) -> dict[str, Any]:
    shown: set[Job] = set()
    return {
        "figure": figure,
        "name": study.name_of(figure.job),
        "seconds": duration([figure.job, *figure.before]),
        "before": _before(study, figure.job, shown),
    }


def _before(study: FinishedStudy, job: Job, shown: set[Job]) -> list[dict[str, Any]]:
    """Return the jobs behind a job, nested; what is below one already shown is not repeated."""
    nodes = []
    for parent in _nearest(study, job):
        again = parent in shown
        shown.add(parent)
        nodes.append(
            {
                "name": study.name_of(parent),
                "seconds": duration([parent]),
                "again": again,
                "data": {} if again else parent.content.get("data", {}),
                "before": [] if again else _before(study, parent, shown),
            }
        )
    return nodes


def _nearest(study: FinishedStudy, job: Job) -> list[Job]:
    """Return the jobs that a job reads from, without those that another of them stands on."""
    direct = {study.made_by[path] for path in job.inputs if path in study.made_by}
    farther: set[Job] = set().union(*(ancestors(parent, study.made_by) for parent in direct))
    return sorted(direct - farther, key=study.name_of)


def _described(study: FinishedStudy, name: str, job: Job) -> dict[str, Any]:
    content = job.content
    code = content.get("code")
    asked = {key: content.get("parameters", {}).get(key) for key in ("cell", "analysis", "figure")}
    return {
        "name": name,
        "seconds": duration([job]),
        "command": content.get("command", _UNKNOWN),
        "started": content["started"],
        "commit": content.get("commit", _UNKNOWN),
        "device": content.get("device", _UNKNOWN),
        "code": code["digest"] if isinstance(code, Mapping) else _UNKNOWN,
        "settings": json.dumps({key: value for key, value in asked.items() if value}),
        "inputs": [_input(study, path, digest) for path, digest in job.inputs.items()],
        "data": content.get("data", {}),
        "outputs": [(study.path_of(path), digest) for path, digest in job.outputs.items()],
    }


def _input(study: FinishedStudy, path: str, digest: str) -> dict[str, Any]:
    maker = study.made_by.get(path)
    return {
        "path": study.path_of(path),
        "digest": digest,
        "maker": None if maker is None else study.name_of(maker),
        "remade": maker is not None and maker.outputs[path] != digest,
    }


def _environments(jobs: Iterable[Job]) -> list[dict[str, Any]]:
    """Return each set of lock, versions and machine that jobs ran under, the commonest first."""
    keys = ("lock", "python", "machine", "versions")
    counts = Counter(
        json.dumps({key: job.content.get(key, _UNKNOWN) for key in keys}, sort_keys=True)
        for job in jobs
    )
    return [{"jobs": count, **json.loads(text)} for text, count in counts.most_common()]
