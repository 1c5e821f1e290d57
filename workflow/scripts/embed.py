"""Map the points of a run's trajectories."""

from typing import TYPE_CHECKING

from job import job

from topograph.config.models import JumpRetrain
from topograph.trajectory.maps import write_maps

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    analysis = JumpRetrain.model_validate(snakemake.params.analysis)
    write_maps(snakemake.input.trajectory, analysis, dict(snakemake.output.items()))
