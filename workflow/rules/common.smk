"""The study behind this run: its cells, and what each rule asks of them."""

from os.path import relpath
from pathlib import Path

from snakemake.exceptions import WorkflowError

from topograph.config.load import parse_study
from topograph.config.models import Landscape
from topograph.config.runs import analyses, cells, members
from topograph.data.sources import files_of
from topograph.foundation.errors import TopographError
from topograph.foundation.provenance import code_digest

SOURCE = ", ".join(relpath(path) for path in workflow.configfiles) or "config"
try:
    STUDY = parse_study(config, SOURCE)
    MEMBERS = members(STUDY, SOURCE)
    CELLS = cells(MEMBERS)
    ANALYSES = analyses(STUDY, MEMBERS, SOURCE)
except TopographError as mistake:
    raise WorkflowError(str(mistake)) from None

RESULTS = f"results/{STUDY.study}"
REPORTS = f"reports/{STUDY.study}"
SCRIPTS = "workflow/scripts"
TEMPLATES = sorted(
    str(path) for path in Path("workflow/topograph/report/templates").iterdir()
)


wildcard_constraints:
    run="|".join(CELLS),
    analysis="|".join(sorted({name for _, name in ANALYSES})) or "none",
    figure="|".join(STUDY.figures) or "none",


def cell_of(wildcards):
    return CELLS[wildcards.run].to_dict()


def analysis_of(wildcards):
    return ANALYSES[wildcards.run, wildcards.analysis].model_dump()


def scratch_of(wildcards):
    return f"{RESULTS}/scratch/{wildcards.run}"


def data_of(wildcards):
    """Return the files that must be downloaded for a run; most data ship with packages."""
    data = cell_of(wildcards)["training"].get("data")
    return files_of(data["target"]) if data else []


def code_of_run(script, module):
    """Return a function of wildcards: the digest with the modules of a run's targets in it."""
    return lambda wildcards: code_of(script, module, *CELLS[wildcards.run].modules)


def code_of(script, *modules):
    """Return the digest of a script and of every library module that its stage uses."""
    return code_digest(*modules, adapter=f"{SCRIPTS}/{script}")
