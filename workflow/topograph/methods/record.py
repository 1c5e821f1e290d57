"""What a method cost and how good its result is: rows of tables, kept with the results."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from topograph.foundation.progress import track
from topograph.foundation.provenance import digest, file_digest
from topograph.foundation.storage import read_dataset, write_dataset, write_table
from topograph.methods.subject import Subject

RESULTS, METHODS, TABLES = "results", "methods", "tables"
# Of tables, and of methods, without a row.
COLUMNS = ["seed", "method", "part", "seconds", "evaluations"]
# The seed of a row about several networks together.
SEVERAL = -1


class Record:
    """Rows of tables by name, ``methods`` the first of them.

    Its rows have method, seed, part, seconds, evaluations, and what tells how good the result is.
    Evaluations count the loss at one parameter point, a gradient and a Hessian-vector product as
    one each. ``part`` tells rows of a method apart: a pair of seeds, an epoch, a slice.
    """

    def __init__(self) -> None:
        self.tables: dict[str, list[dict[str, Any]]] = {METHODS: []}
        self._seed, self._part = SEVERAL, ""

    @contextmanager
    def about(self, seed: int = SEVERAL, part: str = "") -> Iterator[None]:
        """Say what the rows of the block are about."""
        before = self._seed, self._part
        self._seed, self._part = seed, part
        yield
        self._seed, self._part = before

    @contextmanager
    def method(self, name: str) -> Iterator[dict[str, Any]]:
        """Time the block; yield its row, to which evaluations and quality are added."""
        row = {"method": name, "seed": self._seed, "part": self._part, "evaluations": 0}
        start = time.perf_counter()
        yield row
        self.tables[METHODS].append({**row, "seconds": time.perf_counter() - start})

    def add(self, table: str, **row: Any) -> None:
        """Add a row to a table beside that of methods."""
        self.tables.setdefault(table, []).append({"seed": self._seed, **row})


def write_pieces(
    subject: Subject,
    files: Mapping[str, str],
    pieces: Mapping[str, Callable[[Record], xr.Dataset]],
    *,
    scratch: str | Path,
    code: str,
) -> None:
    """Make the pieces of an analysis, join them and write ``results`` and every table recorded.

    A piece has dimensions of its own or of its seed; ``files`` names one for each table. Each is
    kept in ``scratch`` under the digest of the analysis, of the weights and of ``code`` until all
    are done, so that a killed job goes on. Without a piece, where all trainings diverged, tables
    are empty.
    """
    cell, analysis = subject.cell, subject.analysis
    asked_of = [analysis.model_dump(), cell.seeds, file_digest(subject.weights), code]
    work = Path(scratch) / digest(asked_of)
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in files if name != RESULTS}
    found = []
    for name, make in track(pieces.items(), analysis.kind, len(pieces)):
        file = work / f"{name}.nc"
        if not file.is_file():
            record = Record()
            piece = make(record)
            write_dataset(file, piece.assign_attrs({TABLES: json.dumps(record.tables)}))
        found.append(read_dataset(file))
        for table, rows in json.loads(found[-1].attrs.pop(TABLES)).items():
            tables[table] += rows
    merged = xr.merge(found, combine_attrs="drop_conflicts", join="outer", compat="no_conflicts")
    asked = analysis.model_dump(exclude={"kind"})
    plain = {k: v for k, v in asked.items() if isinstance(v, str | int | float)}
    merged.attrs = {"run": cell.run, **plain, "examples": asked["examples"] or "all"}
    for table, rows in tables.items():
        columns = COLUMNS if table == METHODS else COLUMNS[:1]
        written = pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)
        written.insert(0, "run", cell.run)
        write_table(files[table], written)
    write_dataset(files[RESULTS], merged)
    shutil.rmtree(scratch, ignore_errors=True)
