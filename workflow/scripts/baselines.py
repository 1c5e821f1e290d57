"""Sample grids and rays around trained weights."""

from typing import TYPE_CHECKING

from job import job

from topograph.config.models import Baselines
from topograph.config.runs import Cell
from topograph.trajectory.baselines import write_baselines

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_baselines(
        Cell.from_dict(snakemake.params.cell),
        Baselines.model_validate(snakemake.params.analysis),
        snakemake.input.weights,
        dict(snakemake.output.items()),
        scratch=snakemake.params.scratch,
    )
