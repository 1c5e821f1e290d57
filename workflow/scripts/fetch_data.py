"""Download one data file and check its sum."""

from typing import TYPE_CHECKING

from job import job

from topograph.data.sources import fetch

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    fetch(snakemake.output[0])
