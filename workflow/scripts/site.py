"""Build the site of the study."""

from pathlib import Path
from typing import TYPE_CHECKING

from job import job

from topograph.report.finished import read_finished
from topograph.report.site import build_site

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    finished = read_finished(
        snakemake.params.study,
        files=map(Path, snakemake.input.study_files),
        reports=Path(snakemake.output.overview).parent,
        results=Path(snakemake.input.index).parent,
        figures=snakemake.params.figures,
        profiles=map(Path, snakemake.input.profiles),
        papers=map(Path, snakemake.input.papers),
        claims=map(Path, snakemake.input.claims),
        surfaces=map(Path, snakemake.input.surfaces),
        methods=map(Path, snakemake.input.methods),
        notebooks=snakemake.params.notebooks,
    )
    build_site(finished)
