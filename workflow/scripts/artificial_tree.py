"""Map an artificial tree by every method."""

from typing import TYPE_CHECKING

from job import job

from topograph.embedding.tree import write_tree

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_tree(dict(snakemake.output.items()))
