"""Sample one of several parts of the landscapes of a run."""

from typing import TYPE_CHECKING

from job import device_of, job

from topograph.config.models import Landscape
from topograph.config.runs import Cell
from topograph.landscape.analysis import write_part

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_part(
        Cell.from_dict(snakemake.params.cell),
        Landscape.model_validate(snakemake.params.analysis),
        snakemake.input.weights,
        snakemake.output.part,
        shard=tuple(snakemake.params.shard),
        scratch=snakemake.params.scratch,
        code=snakemake.params.code,
        device=device_of(snakemake),
    )
