"""Topograph: from networks to loss landscapes, their topology, trajectories and a report.

Where things lie (results/README.md has the columns):

    results/<study>/<stage>/<run>/<analysis>.<ext>    with a .manifest.json beside each
    results/<study>/scratch/<run>/                    work in progress, safe to delete when idle
    reports/<study>/figures/<figure>.html .svg .pdf   and index.html above them
    reports/<study>/profiles/<run>.<analysis>.html    interactive profiles of each landscape
    reports/<study>/surfaces/<run>.<analysis>.html    interactive surfaces of slices

Start it with make, which names the profile: a bare `snakemake` reruns on touched sources.
"""

from snakemake.utils import min_version

min_version("9.27")


if not config:

    configfile: "config/study.yaml"


container: "envs/topograph.sif"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/landscape.smk"
include: "workflow/rules/topology.smk"
include: "workflow/rules/trajectory.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/methods.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/study.rst"


rule all:
    """The site, all that it is made of, and every analysis that the study asks for."""
    default_target: True
    input:
        rules.site.output,
        rules.site.input,
        all_analyses(),
