"""Run the notebook of one figure and write its page."""

from pathlib import Path
from typing import TYPE_CHECKING

from job import job

from topograph.report.notebook import run_notebook
from topograph.report.page import write_page

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    page, title = Path(snakemake.output.page), snakemake.params.figure["title"]
    body = run_notebook(
        Path(snakemake.input.notebook),
        {
            "results": snakemake.params.results,
            "analysis": snakemake.params.figure["analysis"],
            "runs": snakemake.params.runs,
            "title": title,
            "output": str(page.with_name(snakemake.wildcards.figure)),
        },
        executed=Path(snakemake.log.notebook),
        title=title,
    )
    write_page(
        page,
        figure=snakemake.wildcards.figure,
        study=snakemake.params.study,
        config=snakemake.params.config,
        body=body,
        command=f"make {page}",
        runs=snakemake.params.runs,
        analysis=snakemake.params.figure["analysis"],
    )
