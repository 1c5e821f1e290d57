"""Train every seed of one cell."""

from pathlib import Path
from typing import TYPE_CHECKING

from job import job

from topograph.config.runs import Cell
from topograph.families.training import train

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    cell = Cell.from_dict(snakemake.params.cell)
    train(cell, Path(snakemake.output.weights).parent, scratch=snakemake.params.scratch)
