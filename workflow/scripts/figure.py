"""Run the notebook of one figure and write its page."""

from typing import TYPE_CHECKING

from job import job

from topograph.report.figures import make_figure

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    make_figure(
        snakemake.output.page,
        snakemake.input.notebook,
        study=snakemake.params.study,
        config=snakemake.params.config,
        results=snakemake.params.results,
        figure=snakemake.params.figure,
        sources=snakemake.params.sources,
        executed=snakemake.log.notebook,
    )
