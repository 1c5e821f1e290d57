"""Every claim of every paper, tested on the tables of a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from topograph.claims.cells import BETA, RATE, SKIP
from topograph.claims.companion import COMPANION
from topograph.claims.glossary import SAYINGS
from topograph.claims.jumps import JUMP_CLAIMS
from topograph.claims.ledger import Claim, Tables, evaluate, sensitivity
from topograph.claims.profiles import PROFILES
from topograph.comparison.roles import read_tables
from topograph.foundation.errors import TopographError
from topograph.foundation.provenance import code_digest
from topograph.foundation.storage import read_table, write_table

CLAIMS = (*PROFILES, *COMPANION, *JUMP_CLAIMS, *SAYINGS)
# Where the claims of each paper stand with their tests.
MODULES = {
    "profiles": "topograph.claims.profiles",
    "companion": "topograph.claims.companion",
    "jump-and-retrain": "topograph.claims.jumps",
    "sayings": "topograph.claims.glossary",
}
RATES = ("stable_rate", "top_eigenvalue")
COUNTS = ("directions", "dimensions", "index", "count")
# What no run has where all trajectories diverged or left too few points for a map.
MAPPED = {"jumps-maps.quality": "trajectory_preservation"}
# The columns that a table must have beside run and seed, by its name.
COLUMNS = {
    **dict.fromkeys(("pinn-grid.choices", "pinn-grid-scaled.choices"), (BETA, RATE)),
    "pinn-grid.metrics": (BETA, RATE, "relative_error"),
    "pinn-betas.metrics": (BETA, "absolute_error"),
    "pinn-betas-spectrum.quantities": (BETA,),
    "unet-epochs.metrics": (RATE, "test_accuracy"),
    "residual.metrics": (SKIP, "test_accuracy"),
    "residual.choices": (SKIP,),
    "residual-spectrum.quantities": (SKIP,),
    "jumps.metrics": ("test_loss",),
    "topography.card": (*RATES, "train_loss", "test_loss", "sharpness_adaptive", "trace"),
    "topography-pinns.card": RATES,
    **dict.fromkeys(("topography-critical.critical", "topography-pinns-critical.critical"), COUNTS),
    "residual-slices.shape": (SKIP, "roughness", "convex_share"),
}


def evaluate_claims(tables: Tables) -> pd.DataFrame:
    """Return a row for every published claim: statistic, 95 % interval, n, p, Holm's p, verdict.

    ``tables`` maps ``<role>.metrics``, ``<role>.choices`` (landscapes) or ``<role>.quantities``
    (spectra) to a table with the columns run, seed and the axes of the grid by their dotted keys:
    the roles of a study's ``claims``. Claims whose tables are not there are ``not tested``. Raises
    TopographError for a table that lacks a column of ``COLUMNS``.
    """
    for name, table in tables.items():
        if missing := {"run", "seed", *COLUMNS.get(name, ())} - set(table):
            raise TopographError(
                f"table {name!r} has no column {', '.join(sorted(missing))}; a claim is tested on "
                "rows of runs and seeds, with the axes of its grid beside them: give its role "
                "another experiment"
            )
    # Draws follow the rows: in another order p and intervals would come from other draws.
    ordered = {
        name: table.sort_values(["run", "seed"], kind="stable") for name, table in tables.items()
    }
    return evaluate(CLAIMS, ordered)


def code_of(claim: Claim) -> str:
    """Return the digest of the code that tests a claim, in which other papers' have no part."""
    return code_digest(MODULES[claim.paper])


def write_claims(
    results: str | Path,
    roles: Mapping[str, Mapping[str, Any]],
    outputs: Mapping[str, str | Path],
    *,
    classifiers: str | Path | None = None,
) -> None:
    """Write the tables ``claims`` and ``sensitivity`` of a study, each to its path.

    For ``results`` and ``roles`` see `read_tables`; ``classifiers`` is what `write_classifiers`
    wrote. Rows say by which ``code`` their claim was tested.
    """
    read = read_tables(Path(results), roles)
    tables = {name: table for name, table in read.items() if MAPPED.get(name, "run") in table}
    if classifiers is not None:
        tables["jumps.classifiers"] = read_table(classifiers)
    command = f"make {outputs['claims']}"
    codes = {claim.id: code_of(claim) for claim in CLAIMS}
    found = {
        "claims": evaluate_claims(tables).assign(command=command),
        "sensitivity": sensitivity(CLAIMS, tables),
    }
    for name, rows in found.items():
        write_table(outputs[name], rows.assign(code=rows["claim"].map(codes)))
