"""Cells as the units of claims: means over seeds, correlations within strata of equal settings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from topograph.claims.ledger import Tables
from topograph.claims.statistics import Test, rank_correlation

BETA, RATE, SKIP = "problem.kwargs.beta", "optimiser.learning_rate", "model.kwargs.skip"
# The smallest rank correlation worth a claim.
CORRELATION = 0.3


def chosen(tables: Tables, role: str, choice: str) -> pd.DataFrame:
    """Return the rows of a choice, with the metrics of the same run and seed beside them."""
    rows = tables[f"{role}.choices"]
    rows = rows[rows["choice"] == choice]
    metrics = tables[f"{role}.metrics"]
    own = [name for name in metrics if name not in rows or name in ("run", "seed")]
    found = rows.merge(metrics[own], on=["run", "seed"])
    return found.assign(
        relative_persistence=found["mean_persistence_resolved"] / found["loss_range"],
        depth=found["loss_border"] - found["loss_minimum"],
    )


def cell_means(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of every number over the seeds of a cell; its axes stay what they are."""
    groups = rows.groupby("run", sort=False)
    means = groups.mean(numeric_only=True)
    # The mean of three learning rates of 0.1 is another number.
    axes = [axis for axis in (BETA, RATE, SKIP) if axis in rows]
    return means.assign(**{axis: groups[axis].first() for axis in axes}).reset_index()


def correlation(x: str, y: str, stratum: str | None, role: str) -> Callable:
    """Return the test whether ``y`` rises with ``x`` within strata of cells."""

    def test(tables: Tables, choice: str) -> Test:
        cells = cell_means(chosen(tables, role, choice))
        strata = cells[stratum] if stratum else np.zeros(len(cells))
        return rank_correlation(cells[x], cells[y], strata)

    return test
