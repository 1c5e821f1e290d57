"""An artificial tree with known branches, on which maps can be judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import shortest_path

from topograph.embedding.distances import FloatArray
from topograph.embedding.manifold import METHODS, embed
from topograph.embedding.quality import quality, trajectory_preservation
from topograph.foundation.errors import TopographError
from topograph.foundation.storage import write_table
from topograph.geometry.gram import distances

# How much of its direction a branch keeps from step to step.
PERSISTENCE = 0.9


class Tree(NamedTuple):
    """Points (N, D) of a tree, the branch (N,) of each, and how far they are along it (N, N)."""

    points: FloatArray
    branch: NDArray[np.int64]
    along: FloatArray


def artificial_tree(
    branches: int = 12, length: int = 60, dimensions: int = 60, *, noise: float = 0.3, seed: int = 0
) -> Tree:
    """Return a tree of random walks, each of which begins at a point of an earlier one.

    Steps have length 1 and keep nine tenths of their direction; ``noise`` is the length of what is
    added to each point. ``along`` counts steps between points on the tree. Raises TopographError
    for fewer than one branch or two points a branch.
    """
    if branches < 1 or length < 2 or dimensions < 1:
        raise TopographError(
            f"a tree of {branches} branches of {length} points in {dimensions} dimensions; "
            "allowed: at least 1 branch, 2 points each, 1 dimension"
        )
    draw = np.random.default_rng(seed)
    places, links = [_walk(draw, length, dimensions)], [np.arange(length - 1)]
    ends = [np.arange(1, length)]
    for branch in range(1, branches):
        root = int(draw.integers(branch * length))
        start = np.concatenate(places)[root]
        places.append(start + _walk(draw, length, dimensions))
        own = branch * length + np.arange(length)
        links.append(np.concatenate([[root], own[:-1]]))
        ends.append(own)
    one, two = np.concatenate(links), np.concatenate(ends)
    count = branches * length
    graph = coo_array((np.ones(len(one)), (one, two)), shape=(count, count))
    points = np.concatenate(places)
    points = points + noise * draw.standard_normal(points.shape) / np.sqrt(dimensions)
    return Tree(
        points,
        np.repeat(np.arange(branches), length),
        shortest_path(graph.tocsr(), directed=False, unweighted=True),
    )


def _walk(draw: np.random.Generator, length: int, dimensions: int) -> FloatArray:
    turns = draw.standard_normal((length, dimensions)) / np.sqrt(dimensions)
    direction, steps = turns[0], []
    for turn in turns:
        direction = PERSISTENCE * direction + np.sqrt(1 - PERSISTENCE**2) * turn
        steps.append(direction / np.linalg.norm(direction))
    return np.cumsum(steps, axis=0)


def write_tree(files: Mapping[str, str]) -> None:
    """Write ``points`` of every method's map of the tree, by Euclidean distances, and ``quality``.

    Beside the measures against these distances stands ``along``, the same rank correlation with
    the steps between points on the tree itself.
    """
    tree = artificial_tree()
    apart = distances(tree.points @ tree.points.T)
    order = np.arange(len(apart)) - np.searchsorted(tree.branch, tree.branch)
    points, rows = [], []
    for method in METHODS:
        places = embed(apart, method)
        x, y = places.T
        named = {"method": method, "branch": tree.branch, "order": order, "x": x, "y": y}
        points.append(pd.DataFrame(named))
        preserved = trajectory_preservation(places, tree.branch)
        along = quality(tree.along, places)["shepard"]
        measured = quality(apart, places)
        rows.append(
            {"method": method, **measured, "trajectory_preservation": preserved, "along": along}
        )
    write_table(files["points"], pd.concat(points, ignore_index=True))
    write_table(files["quality"], pd.DataFrame(rows))
