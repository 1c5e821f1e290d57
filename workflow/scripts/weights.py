"""Map the weights that training kept by every method, with the loss on what they show."""

from typing import TYPE_CHECKING

from job import device_of, job

from topograph.config.models import WeightMap
from topograph.config.runs import Cell
from topograph.methods.weights import write_weights

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_weights(
        Cell.from_dict(snakemake.params.cell),
        WeightMap.model_validate(snakemake.params.analysis),
        snakemake.input.weights,
        dict(snakemake.output.items()),
        scratch=snakemake.params.scratch,
        code=snakemake.params.code,
        device=device_of(snakemake),
    )
