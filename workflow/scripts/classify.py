"""Ask classifiers what the losses sampled around networks tell of them."""

from pathlib import Path
from typing import TYPE_CHECKING

from job import job

from topograph.comparison.networks import write_classifiers

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    output = Path(snakemake.output.classifiers)
    write_classifiers(output.parents[1], snakemake.params.roles, output)
