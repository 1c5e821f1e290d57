"""Run Snakemake against a Kubernetes that notes every job and lets it fail at once.

python stand_in_kubernetes.py NOTES.json <arguments of snakemake>
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes
from snakemake.cli import main

BODIES: list[dict[str, Any]] = []


class Batch:
    """What the executor uses of the interface for jobs."""

    def create_namespaced_job(self, namespace: str, body: Any) -> Any:
        plain = kubernetes.client.ApiClient().sanitize_for_serialization(body)
        # The archive is gone when Snakemake ends.
        archive = re.search(r"--deploy-sources (\S+)", json.dumps(plain))
        with tarfile.open(archive[1]) as sources:
            BODIES.append({"namespace": namespace, "sources": sources.getnames(), **plain})
        return body

    def read_namespaced_job_status(self, name: str, namespace: str) -> Any:
        return SimpleNamespace(status=SimpleNamespace(failed=1, succeeded=0))

    def delete_namespaced_job(self, *arguments: Any, **options: Any) -> None: ...


class Core:
    """What it uses of the interface for pods and secrets."""

    def create_namespaced_secret(self, namespace: str, body: Any) -> None: ...

    def delete_namespaced_secret(self, *arguments: Any, **options: Any) -> None: ...

    def list_namespaced_pod(self, **options: Any) -> Any:
        return SimpleNamespace(items=[])


kubernetes.config.load_kube_config = lambda: None
kubernetes.client.BatchV1Api = Batch
kubernetes.client.CoreV1Api = Core
try:
    main(sys.argv[2:])
finally:
    Path(sys.argv[1]).write_text(json.dumps(BODIES))
