"""The homology of the released code, which is not that of the paper's text: to explain its numbers.

Kept apart from `homology` because nothing else may use it. Source of the differences: the code of
Horoi et al. 2022 (arXiv 2102.00485), read in the KrishnaswamyLab/NN-LossLandscape-PHATE repository.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from topograph.foundation.errors import TopographError
from topograph.trajectory.homology import Edges, FloatArray, checked_potential, homology_statistics


def farthest_multigraph(potential: ArrayLike, neighbours: int = 20) -> Edges:
    """Return the graph (N * neighbours, 2) that joins each point to those it reaches least.

    ``potential`` is (N, N), saturated where diffusion does not reach; its rows are taken for
    distances and read from the wrong end. Pairs that choose each other stand in it twice; of equal
    entries those of lower index are taken. Raises TopographError as `knn_graph` does.
    """
    rows = checked_potential(potential, neighbours).copy()
    np.fill_diagonal(rows, -np.inf)
    least = np.argsort(-rows, axis=1, kind="stable")[:, :neighbours]
    own = np.repeat(np.arange(len(rows)), neighbours)
    return np.column_stack([own, least.ravel()])


def shifted(loss_at_minimum: float, losses: ArrayLike) -> FloatArray:
    """Return losses (N,) as the code hands them out: each vertex has that of the one before it.

    The minimum's loss stands first in its list but the minimum is no vertex, so vertex 0 gets it
    and the last loss is never used.
    """
    given = np.asarray(losses, dtype=np.float64)
    return np.concatenate([[loss_at_minimum], given[:-1]])


def released_statistics(
    potential: ArrayLike, losses: ArrayLike, loss_at_minimum: float, *, neighbours: int = 20
) -> dict[str, float]:
    """Return `homology_statistics` of the released graph: its edges and cycles with duplicates.

    ``potential`` is (N, N), ``losses`` (N,). Every cycle edge is a class that dies at the largest
    edge value, so there are edges - vertices + components of them whatever the losses.
    """
    edges = farthest_multigraph(potential, neighbours)
    values = shifted(loss_at_minimum, losses)
    if not np.isfinite(values).all():
        raise TopographError(
            f"{np.count_nonzero(~np.isfinite(values))} losses are not finite; allowed: finite "
            "losses, as the released code has no word for others; leave out diverged trajectories"
        )
    found = homology_statistics(edges, values)
    cycles = len(edges) - len(values) + found["components"]
    return {**found, "edges": len(edges), "cycles": cycles}
