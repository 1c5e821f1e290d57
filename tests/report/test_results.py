"""A notebook reads the tables of its runs in the order of the study file."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
import xarray as xr

from topograph.foundation.errors import DataError
from topograph.foundation.storage import write_dataset, write_table
from topograph.report.results import (
    DISTANCES,
    Results,
    captioned,
    connectivity_in_words,
    sampling_in_words,
    spread,
)

RUNS = [
    {"run": run, "label": label, "parameters": {}, "seeds": [0, 1]}
    for run, label in (("b-run", "beta 1"), ("a-run", "beta 30"), ("c-run", "beta 70"))
]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    for number, entry in enumerate(RUNS):
        run = entry["run"]
        table = pd.DataFrame({"run": run, "seed": [0, 1], "minima": [number, 10 + number]})
        write_table(tmp_path / "topology" / run / "hessian-3d.quantities.parquet", table)
        write_table(tmp_path / "topology" / run / "random-2d.quantities.parquet", table * 0)
        marks = table.iloc[: 0 if run == "a-run" else 1]
        write_table(tmp_path / "topology" / run / "hessian-3d.marks.parquet", marks)
        write_table(tmp_path / "train" / run / "metrics.parquet", table.assign(diverged=0.0))
        write_dataset(tmp_path / "train" / run / "predictions.nc", xr.Dataset({"u": number}))
        write_dataset(tmp_path / "landscape" / run / "hessian-3d.nc", xr.Dataset({"loss": number}))
    return Results(tmp_path, "hessian-3d", RUNS)


def test_a_table_joins_the_runs_in_the_order_given(results: Results) -> None:
    table = results.table("topology", "quantities")
    assert table["run"].tolist() == ["b-run"] * 2 + ["a-run"] * 2 + ["c-run"] * 2
    assert table["minima"].tolist() == [0, 10, 1, 11, 2, 12]
    assert table.index.tolist() == list(range(6))
    assert table["run"].map(results.labels).unique().tolist() == ["beta 1", "beta 30", "beta 70"]


def test_runs_without_rows_are_skipped_and_leave_the_types_alone(results: Results) -> None:
    marks = results.table("topology", "marks")
    assert marks["run"].tolist() == ["b-run", "c-run"]
    assert marks["minima"].dtype.kind == "i"


def test_tables_without_any_row_keep_their_columns(tmp_path: Path) -> None:
    empty = pd.DataFrame({"run": [], "seed": [], "birth": []})
    for entry in RUNS:
        write_table(tmp_path / "topology" / entry["run"] / "x.pairs.parquet", empty)
    table = Results(tmp_path, "x", RUNS).table("topology", "pairs")
    assert len(table) == 0
    assert list(table) == ["run", "seed", "birth"]


def test_training_tables_do_not_belong_to_an_analysis(results: Results) -> None:
    assert results.training("metrics")["diverged"].tolist() == [0.0] * 6


def test_datasets_and_predictions_are_those_of_the_run(results: Results) -> None:
    assert results.dataset("landscape", "a-run")["loss"].item() == 1
    assert results.predictions("c-run")["u"].item() == 2


def test_a_missing_file_is_named_with_the_command_that_makes_it(results: Results) -> None:
    with pytest.raises(DataError, match=r"hessian-3d\.tree\.parquet does not exist; make it: make"):
        results.table("topology", "tree")
    with pytest.raises(DataError, match=r"hessian-3d\.nc does not exist"):
        results.dataset("trajectory", "a-run")


def test_spread_gives_the_mean_and_the_ends() -> None:
    assert spread(pd.Series([1.0, 2.0, 6.0])) == "3 (1 … 6)"


PLAIN = {"dimensions": 2, "dtype": "float32", "objective": "data", "batch_norm": "centre"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            {"directions": "hessian", "normalization": "none", "examples": "all"},
            "2 top Hessian eigenvectors (of unit norm; the mean over all training points, in "
            "float32)",
        ),
        (
            {"directions": "random", "normalization": "filter", "examples": 128},
            "2 random directions (normalised by filter; the mean over 128 training examples, in "
            "float32)",
        ),
        (
            {"directions": "random", "normalization": "none", "examples": 8},
            "2 random directions (not normalised; the mean over 8 training examples, in float32)",
        ),
        (
            {
                "directions": "random",
                "normalization": "none",
                "examples": 8,
                "objective": "regularised",
                "batch_norm": "recalibrated",
            },
            "2 random directions (not normalised; the mean over 8 training examples with the decay "
            "term, in float32; batch norm recalibrated)",
        ),
    ],
)
def test_captions_say_what_was_sampled(asked: dict[str, object], words: str) -> None:
    landscape = xr.Dataset(attrs={**PLAIN, **asked})
    assert sampling_in_words(landscape) == words


def test_tables_show_counts_in_full_and_numbers_to_four_figures() -> None:
    table = pd.DataFrame(
        {"counts": [336.0, 0.0], "shares": [0.123456, float("nan")], "n": ["a", 3]}
    )
    html = captioned(table, "A <caption>").data
    assert "<caption>A &lt;caption&gt;</caption>" in html
    for cell in ("336", "0", "0.1235", "NaN", "a", "3"):
        assert f"<td>{cell}</td>" in html


def read_html(html: str) -> pd.DataFrame:
    head, *rows = (
        [cell.text or "" for cell in row] for row in ElementTree.fromstring(html).iter("tr")
    )
    return pd.DataFrame([row[1:] for row in rows], [row[0] for row in rows], head[1:])


def counted(run: str, seed: int, counts: dict[int, tuple[int, int]]) -> list[dict[str, object]]:
    """Rows of quantities: (resolved, all) minima by points."""
    return [
        {"run": run, "seed": seed, "epoch": 1, "points": p, "minima": n, "minima_resolved": r}
        for p, (r, n) in counts.items()
    ]


def test_the_table_of_subgrids_says_where_the_grid_undersamples(tmp_path: Path) -> None:
    quantities = pd.DataFrame(
        counted("b-run", 0, {21: (4, 6), 11: (5, 5)})
        + counted("b-run", 1, {21: (2, 4), 11: (4, 4)})
        + counted("a-run", 0, {21: (1, 1), 11: (1, 1)})
        + counted("c-run", 0, {20: (3, 3)})
        + counted("c-run", 1, {20: (None, None)})
    )
    table = read_html(Results(tmp_path, "x", RUNS).minima_on_subgrids(quantities).data)
    assert table["the grid"].to_dict() == {
        "beta 1": "undersamples 1 of 2 landscapes",
        "beta 30": "suffices",
        "beta 70": "has no subgrid",
    }
    assert table.loc["beta 1", "points = 21"] == "3 of 5"
    assert table.loc["beta 70", "points = 20"] == "3 of 3"


def test_differences_between_seeds_have_an_interval_where_there_is_one(tmp_path: Path) -> None:
    for entry, low in zip(RUNS, (0.1, float("nan"), 0.2), strict=True):
        rows = [
            {"run": entry["run"], "epoch": e, "measure": m, "mean": 0.25, "low": low, "high": 0.5}
            for e in (0, 3)
            for m in DISTANCES
        ]
        path = tmp_path / "topology" / entry["run"] / "x.variability.parquet"
        write_table(path, pd.DataFrame(rows).assign(landscapes=4))
    html = Results(tmp_path, "x", RUNS).differences_between_seeds().data
    table = read_html(html)
    assert list(table) == list(DISTANCES.values())
    assert table.loc["beta 1, epoch 3", "width curves"] == "0.25 (0.1 … 0.5)"
    assert table.loc["beta 30, epoch 0", "bottleneck (loss)"] == "0.25"
    assert "the landscapes of 4 seeds" in html


def test_captions_name_the_connectivity_and_what_ties_do() -> None:
    assert connectivity_in_words(pd.DataFrame({"connectivity": ["axis"]})) == "axis connectivity"
    words = connectivity_in_words(pd.DataFrame({"connectivity": ["mutual-knn, k = 12"]}))
    assert words.startswith("mutual-knn, k = 12, ties") and "axis neighbours alone" in words
