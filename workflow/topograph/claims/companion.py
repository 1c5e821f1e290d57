"""Claims of Xie et al. 2024 (arXiv 2411.09807), the companion of the profiles paper, with tests."""

from __future__ import annotations

from functools import partial

import numpy as np

from topograph.claims.cells import BETA, CORRELATION, SKIP, cell_means, correlation
from topograph.claims.ledger import Claim, Tables
from topograph.claims.statistics import Test, rank_correlation, two_groups

# A probability this far above 1/2 is the smallest worth a claim.
SHARE = 0.1


def _with_spectrum(x: str, y: str, tables: Tables, _: str) -> Test:
    """Test whether a number of the spectrum rises with an axis."""
    cells = cell_means(tables["pinn-betas-spectrum.quantities"])
    return rank_correlation(cells[x], cells[y], np.zeros(len(cells)))


def _skips(table: str, column: str, higher: bool, tables: Tables, choice: str) -> Test:
    """Test whether networks with skips have the higher, or the lower, values; seeds are units."""
    rows = tables[f"{table}"]
    rows = rows[rows["choice"] == choice] if "choice" in rows else rows
    groups = [
        rows.loc[rows[SKIP].astype(bool) == with_skips, column] for with_skips in (True, False)
    ]
    return two_groups(*(groups if higher else groups[::-1]))


BETAS = ("pinn-betas.metrics", "pinn-betas.choices")
# In three dimensions, of the same networks.
SCALED = {"curvature-scaled grid": {"pinn-betas.choices": "pinn-grid-scaled.choices"}}
_betas = partial(Claim, paper="companion", figure="topo-fig6", source="section 3.2", units="cells")
_residual = partial(
    Claim, paper="companion", figure="topo-fig5", source="section 3.1", units="networks"
)

COMPANION = (
    *(
        _betas(
            id=f"{name}-with-beta",
            sentence=f"{words[0].upper()}{words[1:]} rises with beta, from 1 to 10.",
            statistic=f"Spearman's rho of beta and {words}",
            relevant=CORRELATION,
            needs=BETAS,
            test=correlation(BETA, column, None, "pinn-betas"),
            instead=SCALED,
        )
        for name, column, words in (
            ("saddles", "saddles_resolved", "the number of saddles"),
            ("persistence", "mean_persistence_with_global", "the mean persistence, as published"),
            ("relative-persistence", "relative_persistence", "persistence relative to the range"),
            ("log-persistence", "mean_log_persistence", "persistence of the log loss"),
            ("error", "absolute_error", "the absolute error"),
        )
    ),
    *(
        _betas(
            id=f"{name}-with-beta",
            sentence=f"The {words} of the Hessian rises with beta, from 1 to 10.",
            statistic=f"Spearman's rho of beta and the {words}",
            relevant=CORRELATION,
            needs=("pinn-betas-spectrum.quantities",),
            test=partial(_with_spectrum, BETA, column),
            varies=False,
        )
        for name, column, words in (
            ("eigenvalue", "top_eigenvalue", "largest eigenvalue"),
            ("trace", "trace", "trace"),
        )
    ),
    *(
        _residual(
            id=f"skips-{name}",
            sentence=f"Skip connections {words}.",
            statistic="probability that a network "
            f"{'with skips exceeds one without' if higher else 'without skips exceeds one with'}, "
            f"less 1/2, in {column.replace('_', ' ')}",
            relevant=SHARE,
            needs=(table,),
            test=partial(_skips, table, column, higher),
        )
        for name, table, column, higher, words in (
            ("simplify", "residual.choices", "saddles_resolved", False, "leave fewer saddles"),
            (
                "persistence",
                "residual.choices",
                "mean_persistence_with_global",
                True,
                "raise the mean persistence",
            ),
            ("accuracy", "residual.metrics", "test_accuracy", True, "raise the accuracy"),
            (
                "eigenvalue",
                "residual-spectrum.quantities",
                "top_eigenvalue",
                True,
                "raise the largest eigenvalue",
            ),
            ("trace", "residual-spectrum.quantities", "trace", True, "raise the trace"),
        )
    ),
)
