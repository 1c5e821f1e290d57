"""Compute the topology of a run's landscapes."""

from typing import TYPE_CHECKING

from job import job

from topograph.foundation.storage import read_dataset, write_table
from topograph.topology.analysis import landscape_topology

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    dataset = read_dataset(snakemake.input.landscape)
    tables = landscape_topology(dataset, snakemake.params.analysis["connectivity"])
    for name, table in tables.items():
        write_table(snakemake.output[name], table)
