"""Compare the networks of all seeds: representations, predictions, weights, barriers."""

from typing import TYPE_CHECKING

from job import device_of, job

from topograph.config.models import Similarity
from topograph.config.runs import Cell
from topograph.methods.similarity import write_similarity

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_similarity(
        Cell.from_dict(snakemake.params.cell),
        Similarity.model_validate(snakemake.params.analysis),
        snakemake.input.weights,
        dict(snakemake.output.items()),
        scratch=snakemake.params.scratch,
        code=snakemake.params.code,
        device=device_of(snakemake),
    )
