"""Trees, pairs and profiles against Landscaper and GUDHI, and how they grow to 10^7 vertices."""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import gudhi
import numpy as np
from fields import FIELDS
from landscaper import LossLandscape
from landscaper.topology_profile import generate_profile
from matplotlib.figure import Figure
from timing import alternate, begin, line, publish, ratio

import topograph as tg
from topograph.foundation.storage import atomic
from topograph.plotting.style import figure_style

SIDES = (10, 22, 46, 100, 215)
# Landscaper takes most of a minute for a round, GUDHI a third of a second.
LANDSCAPER_ROUNDS, GUDHI_ROUNDS = 2, 9
TITLE = "Seconds of a merge tree, its pairs and profile against vertices"
Row = dict[str, object]


def run(device: str, names: list[str], repeats: int) -> None:
    """Print and write both tables and the picture of growth; trees are made on the CPU alone."""
    if device != "cpu":
        print("trees are made on the CPU: nothing was run")
        return
    start = begin(__file__)
    rows = []
    for row in comparisons(repeats):
        rows.append(row)
        line(row)
    publish("trees", rows, device, start)
    grown = []
    for name, side in itertools.product(FIELDS, SIDES):
        grown.append(growth(name, side, repeats))
        line(grown[-1])
    publish("tree-growth", grown, device, start)
    picture(grown, Path("reports/published/bench/tree-growth.svg"))


def comparisons(repeats: int) -> Iterator[Row]:
    """Yield the rows of the first table, each as soon as it is measured."""
    yield against_landscaper()
    yield from map(against_gudhi, FIELDS)
    for name in FIELDS:
        yield largest(name, repeats)
    yield from first_calls(repeats)


def against_landscaper() -> Row:
    """Time tree, pairs and profile with its outlines; Landscaper's call has no pairs.

    Its graph over a grid is that of the axes: both find the same minima.
    """
    field = FIELDS["rough"]((41, 41))
    ranges = [np.linspace(-1, 1, 41)] * 2
    found: dict[str, int] = {}

    def own() -> None:
        tree = tg.merge_tree(field, "axis")
        found["own"] = len(tree.pairs)
        _ = tg.profile(tree).polygons

    def rival() -> None:
        tree = LossLandscape(field, ranges).get_sublevel_tree()
        found["rival"] = len(tree.leaves)
        generate_profile(tree)

    times = alternate({"own": own, "rival": rival}, "cpu", LANDSCAPER_ROUNDS)
    row: Row = {"work": "tree, pairs, outlines; axis", "grid": "41^2", "field": "rough"}
    return row | _compared("landscaper", times, found)


def against_gudhi(name: str) -> Row:
    """Time the pairs of components; GUDHI's call finds those of all dimensions."""
    field = FIELDS[name]((41, 41, 41))
    found: dict[str, int] = {}

    def own() -> None:
        found["own"] = len(tg.merge_tree(field, "axis").pairs)

    def rival() -> None:
        cells = gudhi.CubicalComplex(vertices=field)
        cells.compute_persistence()
        found["rival"] = len(cells.persistence_intervals_in_dimension(0))

    times = alternate({"own": own, "rival": rival}, "cpu", GUDHI_ROUNDS)
    return {"work": "pairs; axis", "grid": "41^3", "field": name} | _compared("gudhi", times, found)


def _compared(rival: str, times: dict[str, list[float]], found: dict[str, int]) -> Row:
    return {
        "minima": found["own"],
        "seconds": statistics.median(times["own"]),
        "rival": rival,
        "rival_minima": found["rival"],
        "rival_seconds": statistics.median(times["rival"]),
        "times_rival": ratio(times["rival"], times["own"]),
    }


def largest(name: str, repeats: int) -> Row:
    """Measure a grid of 2.8 million vertices, each time in a fresh process on one core."""
    rounds = [_alone(name, 41, 4) for _ in range(repeats)]
    row: Row = {"work": "tree, pairs, profile; fresh process", "grid": "41^4", "field": name}
    return row | {
        key: statistics.median(one[key] for one in rounds)
        for key in rounds[0]
        if key != "first_seconds"
    }


def first_calls(repeats: int) -> list[Row]:
    """Measure the first call of a process, with numba's cache empty and filled."""
    found: dict[str, list[dict[str, float]]] = {"empty": [], "filled": []}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            for state in found:
                before = len(list(Path(cache).rglob("*.nbc")))
                one = _alone("rough", 3, 2, cache=cache)
                one["functions_compiled"] = len(list(Path(cache).rglob("*.nbc"))) - before
                found[state].append(one)
    return [
        {
            "work": f"first call of a process; cache {state}",
            "grid": "3^2",
            "field": "rough",
            "seconds": statistics.median(one["first_seconds"] for one in rounds),
            "functions_compiled": max(int(one["functions_compiled"]) for one in rounds),
        }
        for state, rounds in found.items()
    ]


def growth(name: str, side: int, repeats: int) -> Row:
    """Measure what a cube of the given side takes, also over N log N."""
    found = _alone(name, side, 3, passes=repeats)
    vertices = side**3
    row: Row = {"field": name, "grid": f"{side}^3", "vertices": vertices}
    for key in ("minima", "seconds", "megabytes_peak"):
        row[key] = found[key]
    row["nanoseconds_over_n_log2_n"] = 1e9 * found["seconds"] / (vertices * np.log2(vertices))
    return row


def _alone(
    name: str, side: int, dimensions: int, *, passes: int = 1, cache: str | None = None
) -> dict[str, float]:
    """Measure in a process of its own, on one core, whose peak memory is then the tree's."""
    script = Path(__file__).with_name("fields.py")
    arguments = [name, *map(str, (side, dimensions, passes))]
    surroundings = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    if cache is not None:
        surroundings["NUMBA_CACHE_DIR"] = cache
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=surroundings,
    )
    return json.loads(done.stdout.splitlines()[-1])


def picture(rows: list[Row], path: Path) -> None:
    """Draw seconds against vertices beside N log N through the rough field's middle size."""
    with figure_style():
        figure = Figure(figsize=(4, 3))
        axes = figure.subplots()
        for name in FIELDS:
            mine = [row for row in rows if row["field"] == name]
            x, y = (np.array([row[key] for row in mine]) for key in ("vertices", "seconds"))
            axes.loglog(x, y, "o", label=name)
        middle = len(x) // 2
        law = x * np.log2(x)
        axes.loglog(x, y[middle] * law / law[middle], "k--", label="N log N")
        axes.set(xlabel="vertices N", ylabel="seconds: tree, pairs, profile")
        axes.legend()
        with atomic(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Title": TITLE, "Date": None})
