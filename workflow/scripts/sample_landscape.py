"""Sample the loss around each seed and epoch of a run."""

from typing import TYPE_CHECKING

from job import job

from topograph.config.models import Landscape
from topograph.config.runs import Cell
from topograph.foundation.storage import write_dataset
from topograph.landscape.analysis import landscapes

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    cell = Cell.from_dict(snakemake.params.cell)
    analysis = Landscape.model_validate(snakemake.params.analysis)
    sampled = landscapes(cell, analysis, snakemake.input.weights)
    write_dataset(snakemake.output.landscape, sampled)
