"""Write the page of one paper."""

from pathlib import Path
from typing import TYPE_CHECKING

from job import job

from topograph.report.paper_pages import write_paper
from topograph.report.verdicts import read_claims

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_paper(
        Path(snakemake.output.page),
        snakemake.wildcards.paper,
        study=snakemake.params.study,
        figures=snakemake.params.figures,
        claims=read_claims(snakemake.input.claims),
    )
