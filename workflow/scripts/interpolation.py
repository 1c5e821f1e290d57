"""Follow lines and low-loss curves between initial and trained weights, and between seeds."""

from typing import TYPE_CHECKING

from job import device_of, job

from topograph.config.models import Interpolation
from topograph.config.runs import Cell
from topograph.methods.interpolation import write_interpolation

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_interpolation(
        Cell.from_dict(snakemake.params.cell),
        Interpolation.model_validate(snakemake.params.analysis),
        snakemake.input.weights,
        dict(snakemake.output.items()),
        scratch=snakemake.params.scratch,
        code=snakemake.params.code,
        device=device_of(snakemake),
    )
