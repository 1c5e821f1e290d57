"""Slice the loss along random directions, repeatedly, and in the plane of the path."""

from typing import TYPE_CHECKING

from job import device_of, job

from topograph.config.models import Slices
from topograph.config.runs import Cell
from topograph.methods.slices import write_slices

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_slices(
        Cell.from_dict(snakemake.params.cell),
        Slices.model_validate(snakemake.params.analysis),
        snakemake.input.weights,
        dict(snakemake.output.items()),
        scratch=snakemake.params.scratch,
        code=snakemake.params.code,
        device=device_of(snakemake),
    )
