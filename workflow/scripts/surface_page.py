"""Write the interactive page of a run's slices."""

from typing import TYPE_CHECKING

from job import job

from topograph.foundation.storage import read_dataset
from topograph.report.surface_page import write_surface_page

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_surface_page(
        snakemake.output.page,
        read_dataset(snakemake.input.results),
        study=snakemake.params.study,
        analysis=snakemake.wildcards.analysis,
        labels=snakemake.params.labels,
    )
