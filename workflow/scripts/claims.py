"""Test every published claim on the tables of a study."""

from typing import TYPE_CHECKING

from job import job

from topograph.claims.tables import write_claims

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_claims(snakemake.params.results, snakemake.params.roles, dict(snakemake.output.items()))
