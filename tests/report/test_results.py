"""A notebook reads the tables of its runs in the order of the study file."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
import xarray as xr

from topograph.foundation.errors import DataError, TopographError
from topograph.foundation.storage import write_dataset, write_table
from topograph.report.results import (
    DISTANCES,
    Results,
    best_and_worst,
    captioned,
    connectivity_in_words,
    extent_in_words,
    finest,
    number_of,
    sampling_in_words,
    spread,
    with_relative_persistence,
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


@pytest.mark.parametrize(("count", "words"), [(0, "0 seeds"), (1, "1 seed"), (3, "3 seeds")])
def test_captions_count_in_the_singular_and_the_plural(count: int, words: str) -> None:
    assert number_of(count, "seed") == words


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
    assert "<caption><span>A &lt;caption&gt;</span></caption>" in html
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


BETA, RATE = "problem.kwargs.beta", "optimiser.learning_rate"
GRID = [
    {
        "run": run,
        "label": f"{beta}, {rate}",
        "parameters": {BETA: beta, RATE: rate},
        "seeds": [0, 1],
    }
    for run, beta, rate in (("p", 6.0, 1.0), ("q", 6.0, 0.1), ("r", 1.0, 1.0))
]


def errors_of(values: dict[str, list[float]]) -> pd.DataFrame:
    rows = [
        {"run": run, "seed": seed, "error": value}
        for run, found in values.items()
        for seed, value in enumerate(found)
    ]
    return pd.DataFrame(rows)


def test_means_over_seeds_say_what_they_lack(tmp_path: Path) -> None:
    nan = float("nan")
    results = Results(tmp_path, "x", GRID)
    found = results.over_seeds(errors_of({"p": [1.0, 3.0], "q": [nan, 5.0]}), "error")
    assert found["note"].to_dict() == {"p": "", "q": "1 of 2", "r": "missing"}
    assert found.loc[["p", "q"], "mean"].tolist() == [2.0, 5.0]
    found = results.over_seeds(errors_of({"p": [nan, float("inf")], "q": [1.0]}), "error")
    assert found["note"].to_dict() == {"p": "diverged", "q": "1 of 2", "r": "missing"}
    assert found["mean"].isna().tolist() == [True, False, True]


def test_values_lie_on_the_axes_of_the_grid_in_the_order_of_the_study(tmp_path: Path) -> None:
    values = pd.Series({"p": 1.0, "q": 2.0, "r": 3.0})
    frame = Results(tmp_path, "x", GRID).on_axes(values, RATE, BETA)
    assert frame.index.tolist() == [1.0, 0.1]
    assert frame.columns.tolist() == [6.0, 1.0]
    assert frame.loc[1.0].tolist() == [1.0, 3.0]
    assert frame.loc[0.1, 6.0] == 2.0
    assert frame.isna().loc[0.1, 1.0]


def test_a_grid_needs_both_axes_and_one_run_at_each_place(tmp_path: Path) -> None:
    values = pd.Series({"p": 1.0, "q": 2.0, "r": 3.0})
    alone = [*GRID[:2], GRID[2] | {"parameters": {BETA: 1.0}}]
    with pytest.raises(TopographError, match=r"cannot hold '1.0, 1.0'"):
        Results(tmp_path, "x", alone).on_axes(values, RATE, BETA)
    twice = [*GRID, GRID[0] | {"run": "s"}]
    with pytest.raises(TopographError, match="several runs share one"):
        Results(tmp_path, "x", twice).on_axes(
            pd.concat([values, pd.Series({"s": 0.0})]), RATE, BETA
        )


def test_partial_results_leave_out_what_is_not_finished(tmp_path: Path, results: Results) -> None:
    (tmp_path / "train" / "a-run" / "metrics.parquet").unlink()
    with pytest.raises(DataError, match="a-run"):
        results.training("metrics")
    partial = Results(tmp_path, "hessian-3d", RUNS, partial=True)
    assert partial.training("metrics")["run"].unique().tolist() == ["b-run", "c-run"]
    with pytest.raises(DataError, match=r"b-run/history\.parquet"):
        partial.training("history")


def test_one_run_of_many_and_the_first_that_is_there(tmp_path: Path, results: Results) -> None:
    assert results.only("c-run").table("topology", "quantities")["minima"].tolist() == [2, 12]
    assert results.has("topology", "quantities") and not results.has("topology", "tree")
    (tmp_path / "landscape" / "b-run" / "hessian-3d.nc").unlink()
    assert results.any_dataset("landscape")["loss"].item() == 1


def test_a_small_profile_is_that_of_the_first_seed_or_says_why_not(tmp_path: Path) -> None:
    for run in ("p", "q"):
        table = pd.DataFrame({"run": run, "seed": [0, 0, 1], "y": [1.0, 2.0, 3.0]})
        for name in ("profile", "marks"):
            path = tmp_path / "topology" / run / f"x.{name}.parquet"
            write_table(path, table if run == "p" else table.iloc[2:])
    results = Results(tmp_path, "x", GRID, partial=True)
    profile, marks = results.small_profile(1.0, 6.0, (RATE, BETA))
    assert profile["y"].tolist() == marks["y"].tolist() == [1.0, 2.0]
    assert results.small_profile(0.1, 6.0, (RATE, BETA)) == "diverged"
    assert results.small_profile(1.0, 1.0, (RATE, BETA)) == "missing"
    assert results.small_profile(1.0, 70.0, (RATE, BETA)) == "missing"


def test_variants_are_described_with_what_they_set() -> None:
    variant = {"run": "v", "label": "low", "parameters": {"variant": "low", BETA: 1.0}, "seeds": []}
    assert Results("", "x", [variant, GRID[0]]).described() == {
        "v": "low: beta 1.0",
        "p": "6.0, 1.0",
    }


def test_commands_name_the_files_of_each_run_in_full() -> None:
    html = Results("results/study", "hessian-3d", GRID).commands().data
    assert "make results/study/train/p/metrics.parquet<" in html
    assert "make results/study/topology/q/hessian-3d.quantities.parquet<" in html


def test_persistence_is_also_given_in_parts_of_the_range(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"run": "p", "seed": [0, 0, 1], "points": [21, 11, 21]}
        | {"mean_persistence_resolved": [1.0, 9.0, 3.0], "loss_range": [10.0, 10.0, 100.0]}
    )
    assert with_relative_persistence(finest(table))["relative_persistence"].tolist() == [0.1, 0.03]
    write_table(tmp_path / "topology" / "p" / "x.quantities.parquet", table)
    numbers = Results(tmp_path, "x", GRID, partial=True).landscape_numbers(["relative_persistence"])
    assert numbers.loc["6.0, 1.0", "relative_persistence"] == pytest.approx(0.065)
    assert numbers["relative_persistence"].isna().tolist() == [False, True, True]


def test_the_best_and_the_worst_seed_of_each_run() -> None:
    metrics = errors_of({"p": [0.3, 0.1, 0.2], "q": [float("nan"), 0.5], "r": [0.7]})
    assert best_and_worst(metrics, "error") == {
        "p": {"best": 1, "worst": 0},
        "q": {"best": 1, "worst": 0},
        "r": {"best": 0},
    }


def test_captions_say_how_far_a_grid_reaches() -> None:
    fixed = xr.Dataset(attrs={"distance": 2.0, "extent": "fixed"})
    assert extent_in_words(fixed) == "alpha from -2 to 2"
    scaled = xr.Dataset(attrs={"distance": 1.0, "extent": "curvature"})
    assert extent_in_words(scaled).startswith(
        "alpha from -1 to 1, in units of 1 / sqrt(|eigenvalue|)"
    )
