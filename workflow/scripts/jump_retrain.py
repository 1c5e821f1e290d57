"""Jump from trained weights and retrain."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from job import job

from topograph.config.models import JumpRetrain
from topograph.config.runs import Cell
from topograph.foundation.storage import write_dataset
from topograph.trajectory.jump_retrain import jump_and_retrain

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    rays = Path(snakemake.params.scratch)
    analysis = JumpRetrain.model_validate(snakemake.params.analysis)
    trajectories = jump_and_retrain(
        Cell.from_dict(snakemake.params.cell),
        snakemake.input.weights,
        rays,
        seeds=analysis.seeds,
        steps=analysis.steps,
        epochs=analysis.epochs,
        batch=analysis.batch,
        learning_rate=analysis.learning_rate,
        weights_seed=analysis.weights_seed,
    )
    write_dataset(snakemake.output.trajectory, trajectories)
    # The offsets are many times larger than what the analysis keeps of them.
    shutil.rmtree(rays)
