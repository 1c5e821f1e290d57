"""The interactive page embeds the numbers of the merge tree, and stays small."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from topograph.foundation.errors import TopographError
from topograph.report import profile_page
from topograph.report.profile_page import profile_data, write_profile_page
from topograph.topology.merge_tree import merge_tree

LIMIT = 500_000
ASKED = {
    "run": "a-run",
    "directions": "random",
    "normalization": "filter",
    "examples": "all",
    "objective": "data",
    "batch_norm": "centre",
    "dtype": "float64",
}


def dataset(fields: np.ndarray) -> xr.Dataset:
    """A landscape of fields by seed and epoch; axis i reaches from -(i + 1) to i + 1."""
    names = [f"alpha_{i + 1}" for i in range(fields.ndim - 2)]
    alphas = {name: np.linspace(-i - 1, i + 1, fields.shape[2 + i]) for i, name in enumerate(names)}
    coordinates = {"seed": np.arange(fields.shape[0]), "epoch": 10 * np.arange(fields.shape[1])}
    return xr.Dataset(
        {"loss": (["seed", "epoch", *names], fields)},
        coords=coordinates | alphas,
        attrs=ASKED | {"dimensions": len(names)},
    )


def pairs_of(landscape: xr.Dataset, connectivity: str = "freudenthal") -> pd.DataFrame:
    """The pairs of every landscape that has a finite value."""
    tables = [pd.DataFrame(columns=["birth_vertex", "seed", "epoch"])]
    for seed in landscape["seed"].values:
        for epoch in landscape["epoch"].values:
            values = landscape["loss"].sel(seed=seed, epoch=epoch).values
            if np.isfinite(values).any():
                pairs = merge_tree(values, connectivity).pairs
                tables.append(pairs.assign(seed=seed, epoch=epoch))
    return pd.concat(tables[1:] or tables)


def entry_of(field: np.ndarray, connectivity: str = "freudenthal") -> dict[str, Any]:
    landscape = dataset(field[None, None])
    return profile_data(landscape, pairs_of(landscape, connectivity), connectivity)["landscapes"][0]


def shuffled(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Each number from 1 once: losses that 5 digits tell exactly."""
    numbers = np.arange(1.0, np.prod(shape) + 1)
    return np.random.default_rng(seed).permutation(numbers).reshape(shape)


def write(path: Path, landscape: xr.Dataset, **changes: Any) -> str:
    options = {
        "connectivity": "freudenthal",
        "study": "demo",
        "analysis": "random-2d",
        "labels": ["beta 30.0"],
    }
    write_profile_page(path, landscape, pairs_of(landscape), **options | changes)
    return path.read_text()


def embedded(html: str) -> dict[str, Any]:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    return json.loads(found)


@given(
    shape=st.sampled_from([(40,), (9, 7), (5, 4, 6), (3, 4, 3, 4)]),
    connectivity=st.sampled_from(["freudenthal", "axis"]),
    seed=st.integers(0, 2**32 - 1),
    masked=st.integers(0, 12),
)
@settings(max_examples=40, deadline=None)
def test_basins_are_those_of_the_merge_tree(
    shape: tuple[int, ...], connectivity: str, seed: int, masked: int
) -> None:
    field = shuffled(shape, seed)
    field.ravel()[:masked] = np.nan
    tree = merge_tree(field, connectivity)
    entry = entry_of(field, connectivity)
    basins = entry["basins"]
    found = {(basin["loss"], basin.get("saddle", np.inf)) for basin in basins}
    assert found == set(zip(tree.pairs["birth"], tree.pairs["death"], strict=True))
    descended = tree.vertex_basin[tree.vertex_basin >= 0]
    arcs = {tree.values[vertex]: arc for arc, vertex in enumerate(tree.arc_vertex)}
    for basin in basins:
        assert basin["volume"] == np.count_nonzero(descended == arcs[basin["loss"]])
        index = np.argwhere(field == basin["loss"])[0]
        place = [
            np.linspace(-i - 1, i + 1, n)[k]
            for i, (n, k) in enumerate(zip(shape, index, strict=True))
        ]
        assert basin["alpha"] == pytest.approx(place, abs=1e-4)
        if "saddle" in basin:
            assert basin["depth"] == basin["saddle"] - basin["loss"] > 0
            elder = basins[basin["into"]]
            assert elder["loss"] < basin["loss"]
            assert elder.get("saddle", np.inf) >= basin["saddle"]
    assert sum(basin["volume"] for basin in basins) == entry["finite"] == field.size - masked
    assert entry["masked"] == masked
    assert [basin["x"] for basin in basins] == sorted(basin["x"] for basin in basins)


@pytest.mark.parametrize("shape", [(12, 11), (6, 5, 7)])
def test_outlines_are_as_wide_as_components_are_large(shape: tuple[int, ...]) -> None:
    field = shuffled(shape, 3)
    entry = entry_of(field, "axis")
    assert len(entry["arcs"]) > len(entry["basins"]) > 3
    for arc in entry["arcs"]:
        start = entry["basins"][arc["basin"]]["loss"]
        # At its upper end an arc is as wide as just below the saddle.
        inner = list(zip(arc["losses"], arc["widths"], strict=True))[1:-1]
        for loss, width in inner:
            pieces, _ = ndimage.label(field <= loss)
            assert np.count_nonzero(pieces == pieces[field == start]) == 2 * width
    widest = entry["arcs"][0]
    assert widest["widths"][-1] == field.size / 2
    assert widest["losses"][-1] == field.max() == entry["high"]


def test_a_large_landscape_shows_its_most_persistent_minima(tmp_path: Path) -> None:
    landscape = dataset(shuffled((15,) * 4)[None, None])
    html = write(tmp_path / "a.html", landscape)
    (entry,) = embedded(html)["landscapes"]
    pairs = pairs_of(landscape)
    assert entry["minima"] == len(pairs) > 1000
    kept = pairs.iloc[: len(entry["basins"])]
    assert 290 <= len(kept) <= 300
    assert {basin["loss"] for basin in entry["basins"]} == set(kept["birth"])
    assert sum(basin["volume"] for basin in entry["basins"]) == 15**4
    assert len(html) < LIMIT
    assert "a surface shows two" in html


@pytest.mark.parametrize(
    "field",
    [
        # Each point that is left is a piece of its own.
        np.where(np.indices((60, 60)).sum(axis=0) % 2, np.nan, shuffled((60, 60))),
        # No pair is more persistent than another.
        np.where(np.arange(4001) % 2, 1.0, 0.0),
        np.full((31, 31), 2.0),
        shuffled((200, 200)),
    ],
    ids=["pieces", "ties", "constant", "fine"],
)
def test_no_landscape_makes_the_page_large(tmp_path: Path, field: np.ndarray) -> None:
    connectivity = "axis"
    landscape = dataset(field[None, None])
    path = tmp_path / "a.html"
    write_profile_page(
        path,
        landscape,
        pairs_of(landscape, connectivity),
        connectivity=connectivity,
        study="demo",
        analysis="random-2d",
        labels=[],
    )
    assert path.stat().st_size < LIMIT
    (entry,) = embedded(path.read_text())["landscapes"]
    assert 1 <= len(entry["basins"]) <= 300
    assert entry["low"] == np.nanmin(field)


def test_landscapes_share_the_space_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_page, "BUDGET", 40_000)
    fields = np.stack([shuffled((41, 41), seed) for seed in range(6)])
    landscape = dataset(fields.reshape(2, 3, 41, 41))
    entries = profile_data(landscape, pairs_of(landscape), "freudenthal")["landscapes"]
    assert [(entry["seed"], entry["epoch"]) for entry in entries] == [
        (seed, epoch) for seed in (0, 1) for epoch in (0, 10, 20)
    ]
    for entry in entries:
        assert len(json.dumps(entry, separators=(",", ":"))) < 1.02 * 40_000 / 6
        assert 5 <= len(entry["basins"]) < entry["minima"]


@pytest.mark.parametrize("change", [lambda f: f, lambda f: f - 40.0], ids=["positive", "signed"])
def test_the_surface_holds_the_grid(change: Callable[[np.ndarray], np.ndarray]) -> None:
    field = change(shuffled((9, 8)))
    field[2, 3] = np.nan
    entry = entry_of(field)
    surface = entry["surface"]
    assert surface["shape"] == [9, 8] and surface["stride"] == 1
    steps = np.frombuffer(base64.b64decode(surface["losses"]), "<u2").astype(float)
    share = np.where(steps == 65535, np.nan, steps / 65534)
    low, high = entry["low"], entry["high"]
    losses = low * (high / low) ** share if low > 0 else low + share * (high - low)
    np.testing.assert_allclose(losses.reshape(9, 8), field, rtol=1e-3, atol=1e-2)
    runs = np.array(surface["basins"]).reshape(-1, 2)
    owners = np.repeat(runs[:, 0], runs[:, 1]).reshape(9, 8)
    tree = merge_tree(field)
    for number, basin in enumerate(entry["basins"]):
        arc = np.flatnonzero(tree.values[tree.arc_vertex] == basin["loss"])[0]
        np.testing.assert_array_equal(owners.ravel() == number, tree.vertex_basin == arc)
    assert owners[2, 3] == -1


def test_losses_stay_apart_where_the_range_is_a_small_part() -> None:
    entry = entry_of(0.69314 + 1e-9 * shuffled((9, 9)))
    losses = [basin["loss"] for basin in entry["basins"]]
    assert len(set(losses)) == len(losses) > 3
    assert entry["high"] - entry["low"] == pytest.approx(80e-9, rel=1e-3)


def test_unresolved_pairs_are_marked() -> None:
    landscape = dataset(shuffled((9, 9))[None, None])
    pairs = pairs_of(landscape)
    flagged = pairs.assign(resolved=pairs["death"] - pairs["birth"] > 20)
    entry = profile_data(landscape, flagged, "freudenthal")["landscapes"][0]
    grey = [basin["loss"] for basin in entry["basins"] if basin.get("unresolved")]
    assert sorted(grey) == sorted(flagged.loc[~flagged["resolved"], "birth"])
    assert 0 < len(grey) < len(pairs)
    plain = profile_data(landscape, pairs, "freudenthal")["landscapes"][0]
    assert not any("unresolved" in basin for basin in plain["basins"])


def test_the_page_says_what_it_was_made_from(tmp_path: Path) -> None:
    fields = np.stack([shuffled((9, 7)), np.full((9, 7), np.nan)])[:, None]
    labels = ["beta <30>", "</script>", "beta <30>"]
    html = write(tmp_path / "a-run.random-2d.html", dataset(fields), labels=labels)
    shown = html.partition('<script type="application/json"')[0]
    for text in (
        "demo",
        "a-run",
        "freudenthal",
        "9 × 7",
        "-1 to 1, -2 to 2",
        "2 random directions (normalised by filter; the mean over all training points",
        "<h1>beta &lt;30&gt; · &lt;/script&gt;</h1>",
        'href="a-run.random-2d.manifest.json"',
        '<html lang="en">',
    ):
        assert text in shown
    assert [entry.get("diverged") for entry in embedded(html)["landscapes"]] == [None, True]
    assert not re.findall(r"<script[^>]* src|<link[^>]*stylesheet|@import|fetch\(", html)


def test_pairs_of_another_connectivity_are_refused(tmp_path: Path) -> None:
    landscape = dataset(shuffled((9, 9))[None, None])
    with pytest.raises(TopographError, match="allowed: the table made from this landscape"):
        write(tmp_path / "a.html", landscape, connectivity="axis")
    assert not (tmp_path / "a.html").exists()
