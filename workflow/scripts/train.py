"""Train every seed of one cell."""

from pathlib import Path
from typing import TYPE_CHECKING

from job import job

from topograph.config.runs import Cell
from topograph.families.training import family_of, train

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as data:
    cell = Cell.from_dict(snakemake.params.cell)
    train(cell, Path(snakemake.output.weights).parent, scratch=snakemake.params.scratch)
    data |= family_of(cell.training).data_sums(cell.training)
