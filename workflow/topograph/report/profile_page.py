"""The interactive page of a run's landscapes: four linked panels in one file."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from markupsafe import Markup
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from topograph.foundation.errors import TopographError
from topograph.foundation.storage import atomic
from topograph.plotting.style import BACKGROUND, LOSS_COLOURS, MINIMUM, SADDLE
from topograph.report.page import render
from topograph.report.results import sampling_in_words
from topograph.topology.merge_tree import MergeTree, merge_tree
from topograph.topology.profile import Profile, profile

# Characters of data on a page, which its landscapes share; the rest of the page takes some 30 kB.
BUDGET = 400_000
# The most minima that a page draws of a landscape, and what it falls back to where space is short.
MINIMA = (300, 220, 160, 115, 80, 57, 40, 28, 20, 14, 10, 7, 5)
# An outline is drawn to one such part of the profile's width for each minimum drawn.
PARTS = 6
DIGITS = 5
COLOURS = 64
MASKED = np.iinfo(np.uint16).max
_KEYS = ["seed", "epoch"]


def write_profile_page(
    output: str | Path,
    landscape: xr.Dataset,
    pairs: pd.DataFrame,
    *,
    connectivity: str,
    study: str,
    analysis: str,
    labels: Sequence[str],
) -> None:
    """Write a page, of under 500 kB and without outside parts, that shows every seed and epoch.

    ``landscape`` holds loss(seed, epoch, alpha_1 … alpha_n) as ``landscapes`` returns it; ``pairs``
    is the table of that name of its topology, by seed and epoch, of which ``resolved`` is read:
    without that column all count as resolved. ``labels`` name the run in its experiments. Losses
    are rounded to 5 digits, more where the range is a small part of the loss. Raises
    TopographError where ``pairs`` are of another landscape or connectivity, or the output cannot be
    written. Source: profiles paper, arXiv 2411.12136, figure 2, with the panels linked.
    """
    drawn = profile_data(landscape, pairs, connectivity)
    html = render(
        "profile.html",
        # A label with </script> in it would end the element that holds the data.
        data=Markup(_compact(drawn).replace("<", "\\u003c")),
        stem=Path(output).name.removesuffix(".html"),
        study=study,
        run=landscape.attrs["run"],
        analysis=analysis,
        title=" · ".join(dict.fromkeys(labels)) or landscape.attrs["run"],
        connectivity=connectivity,
        points=" × ".join(str(len(landscape[name])) for name in _axes(landscape)),
        reach=_reach(landscape),
        sampling=sampling_in_words(landscape),
        dimensions=len(_axes(landscape)),
        seeds=_names(landscape, "seed"),
        epochs=_names(landscape, "epoch"),
        legend=drawn["style"],
    )
    with atomic(output) as temporary:
        temporary.write_text(html, encoding="utf-8")


def profile_data(landscape: xr.Dataset, pairs: pd.DataFrame, connectivity: str) -> dict[str, Any]:
    """Return what the page draws, as it is embedded: style, axes, and one entry per landscape.

    Entry: ``basins`` (loss, saddle, depth, volume, alpha …) in the profile's order, ``arcs`` with
    half-widths in grid points, ``surface`` for two axes. Raises TopographError as
    ``write_profile_page`` does.
    """
    axes = [_alphas(landscape[name].values) for name in _axes(landscape)]
    count = landscape.sizes["seed"] * landscape.sizes["epoch"]
    found = []
    for seed in landscape["seed"].values.tolist():
        for epoch in landscape["epoch"].values.tolist():
            values = landscape["loss"].sel(seed=seed, epoch=epoch).transpose(*_axes(landscape))
            own = pairs[(pairs["seed"] == seed) & (pairs["epoch"] == epoch)]
            entry = _entry(values.values, own, connectivity, axes, BUDGET // count)
            found.append({"seed": seed, "epoch": epoch, **entry})
    style = {
        "loss": [to_hex(LOSS_COLOURS(share)) for share in np.linspace(0, 1, COLOURS)],
        "minimum": MINIMUM,
        "saddle": SADDLE,
        "background": BACKGROUND,
    }
    return {"style": style, "axes": axes, "landscapes": found}


def _axes(landscape: xr.Dataset) -> list[str]:
    return sorted(name for name in map(str, landscape["loss"].dims) if name not in _KEYS)


def _names(landscape: xr.Dataset, key: str) -> list[str]:
    return [str(value) for value in landscape[key].values.tolist()]


def _reach(landscape: xr.Dataset) -> str:
    ends = [
        (float(landscape[name].min()), float(landscape[name].max())) for name in _axes(landscape)
    ]
    return ", ".join(f"{low:.4g} to {high:.4g}" for low, high in dict.fromkeys(ends))


def _entry(
    values: NDArray[np.float64],
    pairs: pd.DataFrame,
    connectivity: str,
    axes: list[list[float]],
    budget: int,
) -> dict[str, Any]:
    """Return one landscape in as much detail as the budget, in characters, allows."""
    if not np.isfinite(values).any():
        return {"diverged": True}
    tree = merge_tree(values, connectivity)
    unresolved = _unresolved(tree, pairs)
    for limit, stride in _details(tree.shape, budget):
        entry = _drawn(tree, unresolved, axes, limit, stride)
        if len(_compact(entry)) <= budget:
            break
    return entry


def _compact(content: Any) -> str:
    return json.dumps(content, allow_nan=False, separators=(",", ":"))


def _details(shape: tuple[int, ...], budget: int) -> list[tuple[int, int]]:
    """Return the most minima and the stride of the surface to try, in falling detail."""
    if len(shape) != 2:
        return [(limit, 1) for limit in MINIMA]
    stride = 1
    # A loss is 2 bytes, or 8/3 characters; half of the budget is left for the other panels.
    while -(-shape[0] // stride) * -(-shape[1] // stride) * 8 / 3 > budget / 2:
        stride += 1
    coarser = range(stride + 1, max(shape))
    return [(limit, stride) for limit in MINIMA] + [(MINIMA[-1], step) for step in coarser]


def _unresolved(tree: MergeTree, pairs: pd.DataFrame) -> set[int]:
    """Return the vertices of the minima that the table of pairs calls not resolved."""
    known = set(pairs["birth_vertex"].tolist())
    if known != set(tree.minima.tolist()):
        raise TopographError(
            f"the pairs are of {len(known)} minima, the landscape has {tree.minima.size} with the "
            f"connectivity {tree.connectivity!r}; allowed: the table made from this landscape"
        )
    if "resolved" not in pairs:
        return set()
    return set(pairs.loc[~pairs["resolved"].astype(bool), "birth_vertex"].tolist())


def _drawn(
    tree: MergeTree,
    unresolved: set[int],
    axes: list[list[float]],
    limit: int,
    stride: int,
) -> dict[str, Any]:
    """Return the landscape with at most ``limit`` minima, the most persistent ones."""
    finite = tree.values[tree.vertex_arc >= 0]
    low, high = float(finite.min()), float(finite.max())
    digits = _digits(low, high)
    shape = profile(tree.largest(limit))
    branches = _branches(shape, limit)
    entry: dict[str, Any] = {
        "minima": tree.minima.size,
        "finite": finite.size,
        "masked": tree.masked,
        "low": _rounded(low, digits),
        "high": _rounded(high, digits),
        "basins": _basins(shape, branches, unresolved, axes, digits),
        "arcs": _arcs(shape, branches, limit * PARTS, digits),
    }
    if len(axes) == 2:
        entry["surface"] = _surface(shape.tree, branches, (low, high), stride)
    return entry


def _branches(shape: Profile, limit: int) -> NDArray[np.int64]:
    """Return the leaf arcs that are drawn, from left to right in the profile.

    There are more than ``limit`` where masks cut the grid into as many pieces: the widest stay.
    """
    leaves = np.flatnonzero(shape.is_basin)
    if leaves.size > limit:
        sizes = np.bincount(shape.tree.arc_branch, weights=shape.total_width)[leaves]
        leaves = leaves[np.argsort(-sizes, kind="stable")[:limit]]
    return leaves[np.argsort(shape.centres[leaves], kind="stable")]


def _basins(
    shape: Profile,
    branches: NDArray[np.int64],
    unresolved: set[int],
    axes: list[list[float]],
    digits: int,
) -> list[dict[str, Any]]:
    """Return what the page tells of each basin; ``into`` is the one it merges into, by number."""
    tree, centres = shape.tree, shape.centres
    number = {int(branch): i for i, branch in enumerate(branches)}
    deaths = dict(zip(np.flatnonzero(tree.is_leaf).tolist(), tree.branch_death, strict=True))
    volumes = tree.basin_volumes
    found = []
    for branch in number:
        vertex, death = int(tree.arc_vertex[branch]), int(deaths[branch])
        loss = float(tree.values[vertex])
        basin: dict[str, Any] = {
            "loss": _rounded(loss, digits),
            "volume": int(volumes[branch]),
            "alpha": _place(tree, vertex, axes),
            "x": _rounded(centres[branch], DIGITS),
        }
        if death >= 0:
            saddle = int(tree.arc_vertex[death])
            basin |= {
                "saddle": _rounded(tree.values[saddle], digits),
                "depth": _rounded(tree.values[saddle] - loss, DIGITS),
                "into": number[int(tree.arc_branch[death])],
                "saddle_x": _rounded(centres[death], DIGITS),
                "saddle_alpha": _place(tree, saddle, axes),
            }
        if vertex in unresolved:
            basin["unresolved"] = True
        found.append(basin)
    return found


def _arcs(
    shape: Profile, branches: NDArray[np.int64], parts: int, digits: int
) -> list[dict[str, Any]]:
    """Return the right half of each arc's outline from its centre ``x``: half-widths and losses.

    A point is kept where the half-width has reached a new part of the whole width. Losses rise
    along an outline, so it moves by less than a part, on any scale of the loss.
    """
    tree = shape.tree
    number = {int(branch): i for i, branch in enumerate(branches)}
    part = tree.vertex_arc.size / parts
    found = []
    # Wide arcs first: what is narrow is drawn over them.
    for arc in np.argsort(-shape.total_width, kind="stable").tolist():
        if int(tree.arc_branch[arc]) not in number:
            continue
        outline = shape.polygons[arc]
        right = outline[: len(outline) // 2]
        widths, losses = right[:, 0] - shape.centres[arc], right[:, 1]
        kept = np.diff(np.floor(widths / part), prepend=-1) != 0
        kept[-1] = True
        found.append(
            {
                "basin": number[int(tree.arc_branch[arc])],
                "x": _rounded(shape.centres[arc], DIGITS),
                "mean": _rounded(shape.mean_loss[arc], digits),
                "widths": [_rounded(width, DIGITS) for width in widths[kept]],
                "losses": [_rounded(loss, digits) for loss in losses[kept]],
            }
        )
    return found


def _surface(
    tree: MergeTree, branches: NDArray[np.int64], ends: tuple[float, float], stride: int
) -> dict[str, Any]:
    """Return the grid, or every ``stride``-th point of it: losses, and the basin of each point.

    ``losses``: 16-bit numbers in base64, little end first, alpha_1 slowest: equal steps of the
    loss, of its logarithm where all are positive; 65535 is masked. ``basins``: number and length of
    each run of equal ones, -1 for none that is drawn.
    """
    thin = (slice(None, None, stride),) * 2
    values, basins = (a.reshape(tree.shape)[thin] for a in (tree.values, tree.vertex_basin))
    scale = np.log if ends[0] > 0 else np.asarray
    low, high = (float(scale(end)) for end in ends)
    finite = np.isfinite(values)
    share = (scale(np.where(finite, values, ends[0])) - low) / ((high - low) or 1.0)
    steps = np.where(finite, np.round(share * (MASKED - 1)), MASKED).astype("<u2")
    numbers = np.full(tree.arc_vertex.size + 1, -1)
    numbers[branches] = np.arange(branches.size)
    runs = numbers[basins.ravel()]
    starts = np.flatnonzero(np.diff(runs, prepend=runs[0] - 1))
    lengths = np.diff(np.append(starts, runs.size))
    return {
        "stride": stride,
        "shape": list(values.shape),
        "losses": base64.b64encode(steps.tobytes()).decode(),
        "basins": np.column_stack([runs[starts], lengths]).ravel().tolist(),
    }


def _place(tree: MergeTree, vertex: int, axes: list[list[float]]) -> list[float]:
    place = np.unravel_index(vertex, tree.shape)
    return [axis[int(index)] for axis, index in zip(axes, place, strict=True)]


def _alphas(values: NDArray[np.float64]) -> list[float]:
    """Return the points of an axis rounded to 5 digits of its farthest one."""
    farthest = float(np.abs(values).max()) or 1.0
    decimals = DIGITS - 1 - int(np.floor(np.log10(farthest)))
    # Adding 0 turns -0 into 0.
    return [float(value) + 0.0 for value in np.round(values, decimals)]


def _digits(low: float, high: float) -> int:
    """Return how many digits tell losses apart: more than 5 where the range is a small part."""
    if high == low:
        return DIGITS
    ratio = max(abs(low), abs(high)) / (high - low)
    return DIGITS + max(0, int(np.log10(ratio)))


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
