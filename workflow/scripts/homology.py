"""Compute the homology of a run's trajectory graph."""

from typing import TYPE_CHECKING

from job import job

from topograph.foundation.storage import read_dataset, write_table
from topograph.trajectory.analysis import trajectory_homology

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    diagram, statistics = trajectory_homology(
        read_dataset(snakemake.input.potential),
        snakemake.wildcards.run,
        neighbours=snakemake.params.analysis["neighbours"],
    )
    write_table(snakemake.output.diagram, diagram)
    write_table(snakemake.output.statistics, statistics)
