"""Sample the loss around each seed and epoch of a run."""

from typing import TYPE_CHECKING

from job import device_of, job

from topograph.config.models import Landscape
from topograph.config.runs import Cell
from topograph.landscape.analysis import write_landscapes

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    cell = Cell.from_dict(snakemake.params.cell)
    analysis = Landscape.model_validate(snakemake.params.analysis)
    write_landscapes(
        cell,
        analysis,
        snakemake.input.weights,
        snakemake.output.landscape,
        directions=snakemake.output.directions,
        scratch=snakemake.params.scratch,
        code=snakemake.params.code,
        device=device_of(snakemake),
    )
