"""Rows of what methods cost, and pieces that a killed analysis need not make again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from topograph.config.models import Slices
from topograph.foundation.storage import read_dataset, read_table, read_weights, write_weights
from topograph.methods.record import SEVERAL, Record, write_pieces
from topograph.methods.subject import Subject

Piece = Callable[[Record], xr.Dataset]


def piece(seed: int, made: list[int], *, fails: bool = False) -> Piece:
    def make(record: Record) -> xr.Dataset:
        if fails:
            raise KeyboardInterrupt
        made.append(seed)
        with record.about(seed, "part"), record.method("filter_slice") as row:
            row["evaluations"] = 10 * seed
        record.add("shape", width=seed)
        return xr.Dataset({"loss": ("alpha", [1.0 * seed, 2.0])}).expand_dims(seed=[seed])

    return make


def write(trained: Any, folder: Path, pieces: dict[str, Piece], code: str = "a") -> None:
    files = trained.files(folder, "shape")
    scratch = folder / "scratch"
    subject = Subject(trained.cell, Slices(kind="slices"), trained.weights)
    write_pieces(subject, files, pieces, scratch=scratch, code=code)


def test_rows_say_what_they_are_about() -> None:
    record = Record()
    with record.about(3, "epoch 1"):
        with record.about(5):
            record.add("card", loss=1.0)
        with record.method("hessian_trace"):
            pass
    with record.method("cka") as row:
        row["evaluations"] = 7
    assert record.tables["card"] == [{"seed": 5, "loss": 1.0}]
    first, second = record.tables["methods"]
    assert (first["method"], first["seed"], first["part"]) == ("hessian_trace", 3, "epoch 1")
    assert (second["seed"], second["part"], second["evaluations"]) == (SEVERAL, "", 7)
    assert second["seconds"] >= 0


def test_a_killed_analysis_goes_on_where_it_stopped(trained: Any, tmp_path: Path) -> None:
    made: list[int] = []
    killed = {"a": piece(1, made), "b": piece(2, made, fails=True)}
    with pytest.raises(KeyboardInterrupt):
        write(trained, tmp_path / "killed", killed)
    assert not (tmp_path / "killed" / "results.nc").exists()
    whole = {"a": piece(1, made), "b": piece(2, made)}
    write(trained, tmp_path / "killed", whole)
    assert made == [1, 2]
    write(trained, tmp_path / "whole", whole)
    left, right = (read_dataset(tmp_path / name / "results.nc") for name in ("killed", "whole"))
    xr.testing.assert_identical(left, right)
    tables = [read_table(tmp_path / name / "shape.parquet") for name in ("killed", "whole")]
    assert tables[0].equals(tables[1])
    assert tables[0]["run"].tolist() == [trained.cell.run] * 2
    assert not (tmp_path / "killed" / "scratch").exists()


def test_pieces_of_other_code_are_made_again(trained: Any, tmp_path: Path) -> None:
    made: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        write(trained, tmp_path, {"a": piece(1, made), "b": piece(2, made, fails=True)}, "a")
    write(trained, tmp_path, {"a": piece(1, made)}, "b")
    assert made == [1, 1]


def test_pieces_of_other_weights_are_made_again(trained: Any, tmp_path: Path) -> None:
    """As where a seed was added after an analysis had been killed."""
    made: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        write(trained, tmp_path, {"a": piece(1, made), "b": piece(2, made, fails=True)})
    tensors, _ = read_weights(trained.weights)
    other = tmp_path / "other.safetensors"
    write_weights(other, {name: value + 1 for name, value in tensors.items()}, {})
    write(trained._replace(weights=other), tmp_path, {"a": piece(1, made)})
    assert made == [1, 1]


def test_without_a_network_tables_are_empty(trained: Any, tmp_path: Path) -> None:
    write(trained, tmp_path, {})
    for table in ("methods", "shape"):
        found = read_table(tmp_path / f"{table}.parquet")
        assert len(found) == 0 and {"run", "seed"} <= set(found)
        assert (table == "methods") == ({"method", "part", "seconds", "evaluations"} <= set(found))
    assert read_dataset(tmp_path / "results.nc").attrs["run"] == trained.cell.run
