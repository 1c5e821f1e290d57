"""Embed the points of a run's trajectories."""

from typing import TYPE_CHECKING

from job import job

from topograph.config.models import JumpRetrain
from topograph.foundation.storage import read_dataset, write_dataset, write_table
from topograph.trajectory.analysis import trajectory_map

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    analysis = JumpRetrain.model_validate(snakemake.params.analysis)
    found = trajectory_map(read_dataset(snakemake.input.trajectory), analysis)
    points, potential, quality = found
    write_table(snakemake.output.points, points)
    write_dataset(snakemake.output.potential, potential)
    write_table(snakemake.output.quality, quality)
