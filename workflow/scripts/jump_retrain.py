"""Jump from trained weights and retrain."""

from typing import TYPE_CHECKING

from job import device_of, job

from topograph.config.models import JumpRetrain
from topograph.config.runs import Cell
from topograph.trajectory.jump_retrain import write_trajectories

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    write_trajectories(
        Cell.from_dict(snakemake.params.cell),
        JumpRetrain.model_validate(snakemake.params.analysis),
        snakemake.input.weights,
        snakemake.output.trajectory,
        scratch=snakemake.params.scratch,
        device=device_of(snakemake),
    )
