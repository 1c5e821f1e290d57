"""Numbers by setting: every seed, the mean, what was published, and differences by seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topograph.foundation.errors import TopographError
from topograph.plotting.numbers import (
    beside_published,
    draw_against,
    draw_numbers,
    draw_pairs,
    draw_percentages,
    paired_differences,
    published_by_label,
    short_labels,
)

RUNS = [
    {"run": "a", "label": "skip True", "parameters": {"skip": True}},
    {"run": "b", "label": "skip False", "parameters": {"skip": False}},
]
PAIRS = pd.DataFrame({"with": [0.9, 0.8, np.nan], "without": [0.7, 0.9, 0.5]}, index=[0, 1, 2])


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


def drawn(axes: Axes, label: str) -> list[np.ndarray]:
    return [np.asarray(line.get_ydata()) for line in axes.lines if line.get_label() == label]


def test_means_leave_out_what_is_not_finite(axes: Axes) -> None:
    draw_numbers(axes, {"1": [1.0, 3.0, np.nan], "2": [np.nan]}, published={"2": 5.0, "3": 9.0})
    assert drawn(axes, "mean")[0].tolist() == [2.0, 2.0]
    assert drawn(axes, "published")[0].tolist() == [5.0]
    assert [text.get_text() for text in axes.texts] == ["diverged"]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1.0, 20.0], "linear"),
        ([0.0, 0.0], "linear"),
        ([1.0, 100.0], "log"),
        ([0.0, 1.0, 100.0], "symlog"),
        ([-100.0, 1.0, 100.0], "symlog"),
        ([np.nan], "linear"),
    ],
)
def test_the_axis_is_logarithmic_where_values_span_decades(axes: Axes, values, scale) -> None:
    draw_numbers(axes, {"1": values})
    assert axes.get_yscale() == scale
    low, high = axes.get_ylim()
    assert all(low < value < high for value in values if np.isfinite(value))


def test_pairs_are_of_one_seed(axes: Axes) -> None:
    draw_pairs(axes, PAIRS)
    lines = [np.asarray(line.get_ydata()).tolist() for line in axes.lines]
    assert lines[:2] == [[0.9, 0.7], [0.8, 0.9]]
    assert lines[2] == pytest.approx([0.85, 0.8])
    with pytest.raises(TopographError, match="3 settings to pair; allowed: 2"):
        draw_pairs(axes, PAIRS.assign(third=1.0))


def test_differences_are_of_one_seed() -> None:
    row = paired_differences({"accuracy": PAIRS}).loc["accuracy"]
    assert row["with - without"] == "0.05 (-0.1 … 0.2)"
    assert (row["seeds"], row["above 0"]) == (2, 1)


def test_a_line_joins_the_means_in_the_order_of_the_places(axes: Axes) -> None:
    draw_against(axes, [0.1, 0.01], [[1.0, 3.0], [5.0, np.nan]])
    line = axes.lines[-1]
    assert line.get_xdata().tolist() == [0.01, 0.1]
    assert line.get_ydata().tolist() == [5.0, 2.0]


def test_percentages_are_printed_where_they_stand(axes: Axes) -> None:
    frame = pd.DataFrame([[64.5, np.nan], [70.2, 88.0]], index=[0.1, 0.01], columns=[0, 29])
    draw_percentages(axes, frame, printed=True)
    printed = {text.get_position(): text.get_text() for text in axes.texts}
    assert printed == {(0, 0): "64", (1, 0): "", (0, 1): "70", (1, 1): "88"}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "29"]


def test_runs_are_labelled_by_their_parameter_where_it_tells_them_apart() -> None:
    assert short_labels(RUNS, "skip") == {"a": "with", "b": "without"}
    assert short_labels(RUNS, "beta") == {"a": "skip True", "b": "skip False"}


def test_published_values_find_their_setting() -> None:
    table = pd.DataFrame({"trace": [3700.0, 0.0]}, index=["with", "without"])
    found = published_by_label(RUNS, "skip", table)
    assert found == {"trace": {"with": 3700.0, "without": 0.0}}
    assert published_by_label(RUNS, "beta", table) == {"trace": {}}
    betas = [{"run": "a", "label": "beta 1.0", "parameters": {"beta": 1.0}}]
    table = pd.DataFrame({"trace": [500.0, 1200.0]}, index=[1.0, 2.0])
    assert published_by_label(betas, "beta", table) == {"trace": {"1": 500.0}}


def test_a_table_says_what_was_published() -> None:
    table = beside_published({"trace": {"1": [1.0, 3.0], "2": [12345.6]}}, {"trace": {"1": 500.0}})
    assert table["trace"].to_dict() == {
        ("1", "ours"): "2 (1 … 3)",
        ("1", "published"): "500",
        ("2", "ours"): "12346 (12346 … 12346)",
    }
