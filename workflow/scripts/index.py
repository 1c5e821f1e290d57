"""Write the table of all runs of the study."""

import json
from typing import TYPE_CHECKING

import pandas as pd
from job import job

from topograph.foundation.storage import write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    rows = pd.DataFrame(snakemake.params.rows)
    for column in ("parameters", "seeds"):
        rows[column] = rows[column].map(json.dumps)
    write_table(snakemake.output.index, rows)
