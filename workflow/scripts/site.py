"""Build the site of the study."""

from pathlib import Path
from typing import TYPE_CHECKING

from job import job

from topograph.report.site import build_site

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    build_site(
        snakemake.params.study,
        config=snakemake.params.config,
        reports=Path(snakemake.output.site).parent,
        results=Path(snakemake.input.index).parent,
        figures=snakemake.params.figures,
    )
