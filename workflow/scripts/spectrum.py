"""Compute the Hessian spectrum of each seed and epoch of a run."""

from typing import TYPE_CHECKING

from job import device_of, job

from topograph.config.models import Spectrum
from topograph.config.runs import Cell
from topograph.landscape.curvature import write_spectra

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_spectra(
        Cell.from_dict(snakemake.params.cell),
        Spectrum.model_validate(snakemake.params.analysis),
        snakemake.input.weights,
        snakemake.output.spectrum,
        quantities=snakemake.output.quantities,
        scratch=snakemake.params.scratch,
        code=snakemake.params.code,
        device=device_of(snakemake),
    )
