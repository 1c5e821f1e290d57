"""Homology of the graph of visited points, filtered by the loss."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist, squareform

from topograph.foundation.errors import TopographError
from topograph.topology.persistence import persistence

FloatArray = NDArray[np.float64]
Edges = NDArray[np.int64]


def knn_graph(potential: ArrayLike, neighbours: int = 20) -> Edges:
    """Return the graph that joins each point to its nearest points in potential distance.

    ``potential`` is (N, M), one row per point; edges are (E, 2) with first < second, each once,
    in lexicographic order. Of equally near points, those of lower index are taken.
    Raises TopographError where ``potential`` is not a finite matrix or ``neighbours`` does not
    lie between 1 and N - 1.
    Source: Horoi et al. 2022 (arXiv 2102.00485), the graph as its text describes it.
    """
    potential = checked_potential(potential, neighbours)
    points = len(potential)
    distances = squareform(pdist(potential))
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :neighbours]
    own = np.repeat(np.arange(points), neighbours)
    return _simple(np.column_stack([own, nearest.ravel()]))


def graph_homology(edges: ArrayLike, losses: ArrayLike) -> pd.DataFrame:
    """Return the persistence pairs of a graph whose vertices enter at their loss.

    ``edges`` is (E, 2), ``losses`` (N,). An edge enters with the later of its two vertices. One
    row per class with columns ``dim`` (0 or 1), ``birth`` and ``death`` in units of the loss, in
    that order; death is infinite for classes that never die. Vertices whose loss is not finite
    are left out with their edges. Pairs of zero length are kept.
    Raises TopographError where edges or losses do not describe a graph.
    Source: Horoi et al. 2022 (arXiv 2102.00485).
    """
    edges, losses = _finite_part(*_checked(edges, losses))
    if not len(losses):
        return pd.DataFrame({"dim": np.empty(0, int), "birth": np.empty(0), "death": np.empty(0)})
    return persistence(losses, edges=edges)


def homology_statistics(edges: ArrayLike, losses: ArrayLike) -> dict[str, float]:
    """Return the counts and totals to print beside a diagram of the trajectory graph.

    ``edges`` is (E, 2), ``losses`` (N,). Counts: ``components``, ``edges``, ``finite_h0``,
    ``cycles``, and ``masked``, the vertices left out because their loss is not finite. In squared
    units of the loss: ``total_persistence_finite``, the sum of (death - birth)^2 over the finite
    pairs of dimension 0; ``total_persistence_published``, the same with each component's own
    class ended at the largest edge value (a class born later adds nothing), as the released code
    does; ``loss_range_squared``, which that total equals when almost all of it is one essential
    class. ``max_loss`` is in units of the loss; it and the range are NaN where no loss is finite.
    Raises TopographError where edges or losses do not describe a graph.
    Source: Horoi et al. 2022 (arXiv 2102.00485), total persistence.
    """
    edges, every_loss = _checked(edges, losses)
    edges, losses = _finite_part(edges, every_loss)
    pairs = graph_homology(edges, losses)
    births, deaths = pairs.loc[pairs["dim"] == 0, ["birth", "death"]].to_numpy().T
    essential = np.isinf(deaths)
    finite_total = float(np.sum((deaths[~essential] - births[~essential]) ** 2))
    end = losses[edges].max(initial=-np.inf)
    essential_total = float(np.sum(np.maximum(end - births[essential], 0.0) ** 2))
    return {
        "components": int(essential.sum()),
        "edges": len(edges),
        "finite_h0": int((~essential).sum()),
        "cycles": int((pairs["dim"] == 1).sum()),
        "masked": len(every_loss) - len(losses),
        "total_persistence_finite": finite_total,
        "total_persistence_published": finite_total + essential_total,
        "loss_range_squared": float(np.ptp(losses) ** 2) if len(losses) else np.nan,
        "max_loss": float(losses.max()) if len(losses) else np.nan,
    }


def checked_potential(potential: ArrayLike, neighbours: int) -> FloatArray:
    """Return the potential (N, M) in float64.

    Raises TopographError where it is not a finite matrix or has not more rows than ``neighbours``.
    """
    potential = np.asarray(potential, dtype=np.float64)
    if potential.ndim != 2 or not np.isfinite(potential).all():
        raise TopographError(
            f"the potential has shape {potential.shape} and "
            f"{np.count_nonzero(~np.isfinite(potential))} values that are not finite; "
            "allowed: a finite (N, M) matrix; pass the potential of a PHATE map"
        )
    if not 1 <= neighbours < len(potential):
        raise TopographError(
            f"neighbours is {neighbours} for {len(potential)} points; allowed: 1 to "
            f"{len(potential) - 1}; lower it or add points"
        )
    return potential


def _checked(edges: ArrayLike, losses: ArrayLike) -> tuple[Edges, FloatArray]:
    losses = np.asarray(losses, dtype=np.float64)
    edges = np.asarray(edges)
    if losses.ndim != 1:
        raise TopographError(
            f"losses have shape {losses.shape}; allowed: (N,); pass one loss per vertex"
        )
    if edges.size == 0:
        return np.empty((0, 2), dtype=np.int64), losses
    if edges.ndim != 2 or edges.shape[1] != 2 or not np.issubdtype(edges.dtype, np.integer):
        raise TopographError(
            f"edges have shape {edges.shape} and type {edges.dtype}; allowed: (E, 2) integers; "
            "pass two vertex numbers per edge"
        )
    if edges.min() < 0 or edges.max() >= len(losses):
        raise TopographError(
            f"edges name vertices {edges.min()} to {edges.max()}; allowed: 0 to "
            f"{len(losses) - 1}; pass the losses of the same points as the edges"
        )
    if (edges[:, 0] == edges[:, 1]).any():
        vertex = edges[edges[:, 0] == edges[:, 1]][0, 0]
        raise TopographError(
            f"an edge joins vertex {vertex} to itself; allowed: two different vertices; drop it"
        )
    return _simple(edges), losses


def _simple(edges: NDArray[np.integer]) -> Edges:
    return np.unique(np.sort(edges.astype(np.int64), axis=1), axis=0)


def _finite_part(edges: Edges, losses: FloatArray) -> tuple[Edges, FloatArray]:
    finite = np.isfinite(losses)
    number = np.cumsum(finite) - 1
    return number[edges[finite[edges].all(axis=1)]], losses[finite]
