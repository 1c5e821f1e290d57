"""What every script of a rule shares: the log, the way a mistake is told, the manifest."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import psutil

from topograph.config.runs import Cell
from topograph.foundation.devices import claim_devices
from topograph.foundation.errors import TopographError
from topograph.foundation.logs import READER, write_cause
from topograph.foundation.provenance import Code, Start, write_manifest
from topograph.foundation.threads import limit_threads


@contextmanager
def job(snakemake: Any) -> Iterator[dict[str, str]]:
    """Run the body of a rule with its output in the log, and write the manifest at the end.

    A TopographError becomes one message at the terminal and a non-zero exit; the traceback is in
    the log. Yields a mapping for the sums of data that the job read from no file of its inputs.
    """
    data: dict[str, str] = {}
    _end_with_snakemake()
    log = Path(snakemake.log.get("text", snakemake.log[0]))
    terminal = os.dup(2)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        try:
            # Of work in progress no manifest tells.
            start = None if _is_scratch(snakemake.output[0]) else Start.now(_code(snakemake))
            limit_threads(snakemake.threads)
            claim_devices(snakemake.resources.get("gpu", 0))
            yield data
            if start is not None:
                _manifest(snakemake, start, data)
        except Exception as error:
            _tell(terminal, snakemake.rule, error, log)
            # The Slurm profile keeps what a failed job leaves; without a manifest it is not whole.
            for path in snakemake.output:
                with suppress(OSError):
                    os.unlink(path)
            sys.exit(1)


def _end_with_snakemake() -> None:
    """End this process when the Snakemake that started it is killed.

    The next call starts the job anew, and two would work on the same files.
    """
    runner = next((p for p in psutil.Process().parents() if _is_snakemake(p)), None)
    if runner is not None:
        Thread(target=_end_after, args=(runner,), daemon=True).start()


def _end_after(runner: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        while runner.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.5)
    os._exit(1)


def _is_snakemake(process: psutil.Process) -> bool:
    return "snakemake" in [Path(word).name for word in process.cmdline()[:3]]


def _tell(terminal: int, rule: str, error: Exception, log: Path) -> None:
    """Write the cause to the log, and to the terminal unless the log is read there anyway."""
    cause = str(error) if isinstance(error, TopographError) else f"{type(error).__name__}: {error}"
    is_told = False
    # Where the disk is full, the log is too.
    with suppress(OSError):
        traceback.print_exc()
        write_cause(sys.stderr, cause)
        sys.stderr.flush()
        is_told = READER in os.environ
    if not is_told:
        os.write(terminal, f"\n{rule}: {cause}\n  (traceback in {log})\n".encode())


def _is_scratch(path: str) -> bool:
    """Say whether a file is work in progress."""
    return "scratch" in Path(path).parts


def _code(snakemake: Any) -> Code:
    scripts = [f"workflow/scripts/{snakemake.rule}.py"]
    if notebook := snakemake.input.get("notebook"):
        scripts.append(notebook)
    cell = snakemake.params.get("cell")
    return Code(tuple(Cell.from_dict(cell).modules) if cell else (), tuple(scripts))


def _manifest(snakemake: Any, start: Start, data: Mapping[str, str]) -> None:
    write_manifest(
        list(snakemake.output),
        rule=snakemake.rule,
        inputs=[path for path in snakemake.input if not _is_scratch(path)],
        parameters=dict(snakemake.params.items()),
        start=start,
        command=f"make {snakemake.output[0]}",
        device=device_of(snakemake),
        data=data,
    )


def device_of(snakemake: Any) -> str:
    """Return where a job computes: ``--config device=cuda`` means those rules that ask for a GPU.

    It is no parameter of a rule: another device makes no finished landscape due.
    """
    asks = snakemake.resources.get("gpu", 0)
    return str(snakemake.config.get("device", "cpu")) if asks else "cpu"
