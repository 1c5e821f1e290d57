"""Measure curvature along training, sharpness at its end, and critical points on a grid."""

from typing import TYPE_CHECKING

from job import device_of, job

from topograph.config.models import Topography
from topograph.config.runs import Cell
from topograph.methods.topography import write_topography

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_topography(
        Cell.from_dict(snakemake.params.cell),
        Topography.model_validate(snakemake.params.analysis),
        snakemake.input.weights,
        dict(snakemake.output.items()),
        scratch=snakemake.params.scratch,
        code=snakemake.params.code,
        device=device_of(snakemake),
    )
