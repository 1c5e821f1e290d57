"""Compute the homology of a run's trajectory graph."""

from typing import TYPE_CHECKING

from job import job

from topograph.trajectory.analysis import write_homology

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_homology(
        snakemake.input.potential,
        snakemake.wildcards.run,
        snakemake.params.analysis["neighbours"],
        dict(snakemake.output.items()),
    )
