"""Compute the homology of a run's trajectories."""

from typing import TYPE_CHECKING

from job import job

from topograph.config.models import JumpRetrain
from topograph.trajectory.analysis import write_homology

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    analysis = JumpRetrain.model_validate(snakemake.params.analysis)
    write_homology(snakemake.input.trajectory, analysis, dict(snakemake.output.items()))
