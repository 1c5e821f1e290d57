"""One landscape under other choices of its analysis: what another reader would have counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from topograph.topology.connectivity import LATTICES
from topograph.topology.merge_tree import merge_tree
from topograph.topology.quantities import quantities
from topograph.topology.shape import width_curve

AS_SAMPLED = "as sampled"
CONNECTIVITIES = (*LATTICES, "mutual-knn")
# Smaller grids have hardly an interior.
FEWEST = 5
WIDTH_STEP = 5
WIDTHS = [f"width_{percent:03d}" for percent in range(0, 101, WIDTH_STEP)]
NUMBERS = (
    "minima_resolved",
    "saddles_resolved",
    "mean_persistence_resolved",
    "mean_persistence_with_global",
    "mean_log_persistence",
    "smad_normalized",
    "width_slope",
    "volume_below_10",
    "loss_minimum",
    "loss_border",
    "loss_range",
)


def under_choices(
    values: NDArray[np.float64], connectivity: str, errors: Mapping[str, float]
) -> pd.DataFrame:
    """Return a row of numbers for the landscape as sampled and for each other choice.

    ``values`` is a grid in n dimensions. Choices, where the grid allows them: the other
    connectivities; every second point along each axis; the central half of the range; the slice
    through the centre without the last axis; unresolved pairs counted too. Columns: ``choice``,
    its ``connectivity``, ``NUMBERS`` of `quantities`, and ``width_000`` … ``width_100``, the width
    curve at steps of 5 % of the loss range.
    """
    rows = []
    for choice, grid, name, allowed in _choices(values, connectivity, errors):
        tree = merge_tree(grid, name)
        found = quantities(tree, errors=allowed)
        widths = dict(zip(WIDTHS, width_curve(tree)[::WIDTH_STEP], strict=True))
        labels = {"choice": choice, "connectivity": tree.connectivity}
        rows.append({**labels, **{key: found[key] for key in NUMBERS}, **widths})
    return pd.DataFrame(rows)


def _choices(
    values: NDArray[np.float64], connectivity: str, errors: Mapping[str, float]
) -> Iterator[tuple[str, NDArray[np.float64], str, Mapping[str, float]]]:
    """Yield the name of a choice, the grid, its connectivity and the errors to allow for."""
    yield AS_SAMPLED, values, connectivity, errors
    for other in CONNECTIVITIES:
        if other != connectivity:
            yield f"{other} connectivity", values, other, errors
    for name, grid in _parts(values).items():
        if min(grid.shape) >= FEWEST and np.isfinite(grid).any():
            yield name, grid, connectivity, errors
    yield "unresolved pairs too", values, connectivity, dict.fromkeys(errors, 0.0)


def _parts(values: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return subgrids that keep the centre; none of an even grid, which has no central vertex."""
    points = len(values)
    if points % 2 == 0 or len(set(values.shape)) > 1:
        return {}
    quarter, halves = points // 4, {}
    if points % 4 == 1:
        halves["half the points"] = values[(slice(None, None, 2),) * values.ndim]
        halves["half the range"] = values[(slice(quarter, points - quarter),) * values.ndim]
    if values.ndim > 1:
        halves["one dimension less"] = values[..., points // 2]
    return halves
