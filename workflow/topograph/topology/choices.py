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
SLICE = "one dimension less"
CONNECTIVITIES = (*LATTICES, "mutual-knn")
# Losses in float64 stand for exact ones: what would be left of them in single precision.
SINGLE = float(np.finfo(np.float32).eps)
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
    connectivities; every second point along each axis; the central half of the range; unresolved
    pairs counted too, or for losses in float64 only the pairs that single precision would resolve;
    the slice through the centre without the last axis, as it is and under each choice of its own
    (`in_slice`). Columns: ``choice``, its ``connectivity``, ``NUMBERS`` of `quantities`, and
    ``width_000`` … ``width_100``, the width curve at steps of 5 % of the loss range.
    """
    rows = []
    for choice, grid, name, allowed in _choices(values, connectivity, errors):
        tree = merge_tree(grid, name)
        found = quantities(tree, errors=allowed)
        widths = dict(zip(WIDTHS, width_curve(tree)[::WIDTH_STEP], strict=True))
        labels = {"choice": choice, "connectivity": tree.connectivity}
        rows.append({**labels, **{key: found[key] for key in NUMBERS}, **widths})
    return pd.DataFrame(rows)


def in_slice(choice: str) -> str:
    """Return the name of a choice for the slice through the centre without the last axis."""
    return SLICE if choice == AS_SAMPLED else f"{SLICE}, {choice}"


def _choices(
    values: NDArray[np.float64], connectivity: str, errors: Mapping[str, float]
) -> Iterator[tuple[str, NDArray[np.float64], str, Mapping[str, float]]]:
    """Yield the name of a choice, the grid, its connectivity and the errors to allow for."""
    yield from _own_choices(values, connectivity, errors)
    central = len(values) % 2 and len(values) >= FEWEST and len(set(values.shape)) == 1
    if values.ndim > 1 and central:
        # Backwards along its last axis the Freudenthal lattice of the slice is part of the grid's.
        across = values[..., len(values) // 2][..., ::-1]
        if np.isfinite(across).any():
            for choice, grid, name, allowed in _own_choices(across, connectivity, errors):
                yield in_slice(choice), grid, name, allowed


def _own_choices(
    values: NDArray[np.float64], connectivity: str, errors: Mapping[str, float]
) -> Iterator[tuple[str, NDArray[np.float64], str, Mapping[str, float]]]:
    yield AS_SAMPLED, values, connectivity, errors
    for other in CONNECTIVITIES:
        if other != connectivity:
            yield f"{other} connectivity", values, other, errors
    for name, grid in _halves(values).items():
        if min(grid.shape) >= FEWEST and np.isfinite(grid).any():
            yield name, grid, connectivity, errors
    yield "unresolved pairs too", values, connectivity, dict.fromkeys(errors, 0.0)
    if not any(errors.values()):
        largest = float(np.abs(values[np.isfinite(values)]).max())
        single = {"error_absolute": SINGLE * largest, "error_relative": SINGLE}
        yield "resolved in single precision", values, connectivity, single


def _halves(values: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return subgrids that keep the centre; none of an even grid, which has no central vertex."""
    points = len(values)
    if points % 4 != 1 or len(set(values.shape)) > 1:
        return {}
    quarter = points // 4
    return {
        "half the points": values[(slice(None, None, 2),) * values.ndim],
        "half the range": values[(slice(quarter, points - quarter),) * values.ndim],
    }
