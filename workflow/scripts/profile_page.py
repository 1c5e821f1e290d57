"""Write the interactive page of a run's landscapes."""

from typing import TYPE_CHECKING

from job import job

from topograph.foundation.storage import read_dataset, read_table
from topograph.report.profile_page import write_profile_page

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_profile_page(
        snakemake.output.page,
        read_dataset(snakemake.input.landscape),
        read_table(snakemake.input.pairs),
        connectivity=snakemake.params.analysis["connectivity"],
        study=snakemake.params.study,
        analysis=snakemake.wildcards.analysis,
        labels=snakemake.params.labels,
    )
