"""Test every published claim on the tables of a study."""

from pathlib import Path
from typing import TYPE_CHECKING

from job import job

from topograph.claims.tables import write_claims

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    results = Path(snakemake.output.claims).parents[1]
    write_claims(
        results,
        snakemake.params.roles,
        dict(snakemake.output.items()),
        classifiers=snakemake.input.get("classifiers") or None,
    )
