"""Compute the topology of a run's landscapes."""

from typing import TYPE_CHECKING

from job import job

from topograph.config.models import Landscape
from topograph.config.runs import Cell
from topograph.topology.analysis import write_topology

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_topology(
        Cell.from_dict(snakemake.params.cell),
        Landscape.model_validate(snakemake.params.analysis),
        weights=snakemake.input.weights,
        landscape=snakemake.input.landscape,
        directions=snakemake.input.directions,
        tables=dict(snakemake.output.items()),
    )
