"""Run every case on Topograph and its rivals and write who passes what."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from cases import CASES
from ours import Topograph
from package import NotOffered, Package
from rivals import RIVALS

from topograph.foundation.provenance import Code, Start, write_manifest
from topograph.foundation.storage import atomic

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path("reports/published/conformance")


def verdict(case: Callable[[Package], str], package: Package) -> tuple[str, str]:
    """Return pass, fail or not offered, and what was measured."""
    torch.manual_seed(0)
    silent = io.StringIO()
    try:
        with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
            return "pass", case(package)
    except NotOffered as reason:
        return "not offered", str(reason)
    except AssertionError as measured:
        return "fail", str(measured)
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        return "fail", f"raises {type(error).__name__}: {first}"[:160]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write rows as CSV."""
    with atomic(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def main() -> None:
    """Write table.csv (verdicts) and measured.csv (what was found and expected)."""
    os.chdir(ROOT)
    warnings.simplefilter("ignore")
    start = Start.now(Code(scripts=("tests/conformance/peers.py", "tests/conformance/ours.py")))
    packages: list[Package] = [Topograph(), *RIVALS]
    table, measured = [], []
    for case in CASES:
        name = case.__name__.replace("_", " ")
        row = {"case": name}
        for package in packages:
            row[package.name], text = verdict(case, package)
            measured.append(
                {
                    "case": name,
                    "package": package.name,
                    "verdict": row[package.name],
                    "measured": text,
                }
            )
        table.append(row | {"what": (case.__doc__ or "").strip()})
        print(f"{name:28s}", *(f"{p.name} {row[p.name]:12s}" for p in packages), flush=True)
    outputs = [write(FOLDER / "table.csv", table), write(FOLDER / "measured.csv", measured)]
    write_manifest(
        outputs,
        rule="conformance",
        inputs=[Path("envs/peers.txt")],
        parameters={"cases": len(CASES), "packages": [p.name for p in packages]},
        start=start,
        command="make conformance",
        device="cpu",
    )


if __name__ == "__main__":
    main()
