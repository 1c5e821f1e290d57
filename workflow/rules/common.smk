"""The study behind this run: its cells, and what each rule asks of them."""

from os.path import relpath

from snakemake.exceptions import WorkflowError

from topograph.archive.digests import KnownDigests
from topograph.config.load import parse_study
from topograph.config.models import METHODS, Landscape, first_settings
from topograph.config.notebooks import NOTEBOOKS, header
from topograph.config.runs import (
    analyses,
    cells,
    claims_roles,
    entries,
    labels_of,
    members,
    roles_told,
    sources_shown,
)
from topograph.data.sources import files_of
from topograph.foundation.errors import TopographError, nearest

code_digest = KnownDigests().code_digest


def shards_of(received):
    if not str(received).isdecimal() or int(received) < 1:
        raise WorkflowError(
            f"--config shards: received {received!r}; allowed: a whole number from 1 on, the jobs "
            "in which each landscape is sampled; correct it or leave it out"
        )
    return int(received)


# Where landscapes are sampled; a property of the run, not of the study: --config device=cuda.
DEVICE = str(config.get("device", "cpu"))
# In how many jobs each landscape is sampled, for clusters: --config shards=8.
SHARDS = shards_of(config.get("shards", 1))
SOURCE = ", ".join(relpath(path) for path in workflow.configfiles) or "config"
try:
    STUDY = parse_study(
        {key: config[key] for key in config if key not in ("device", "shards")}, SOURCE
    )
    MEMBERS = members(STUDY, SOURCE)
    CELLS = cells(MEMBERS)
    RUNS = entries(MEMBERS)
    ANALYSES = analyses(STUDY, MEMBERS, SOURCE)
except TopographError as mistake:
    raise WorkflowError(str(mistake)) from None

RESULTS = f"results/{STUDY.study}"
REPORTS = f"reports/{STUDY.study}"
SCRIPTS = "workflow/scripts"
TEMPLATES = "workflow/topograph/report/templates"


def templates(*names):
    """Return the templates of a page, and those that every page has."""
    return [local(f"{TEMPLATES}/{name}") for name in ("base.html", "style.css", *names)]


wildcard_constraints:
    run="|".join(CELLS),
    analysis="|".join(sorted({name for _, name in ANALYSES})) or "none",
    figure="|".join(STUDY.figures) or "none",


def cell_of(wildcards):
    return CELLS[wildcards.run].to_dict()


def analysis_asked(run, name):
    """Return an analysis of a run; a target may name one that only other runs have."""
    if (run, name) not in ANALYSES:
        known = [known for of_run, known in ANALYSES if of_run == run]
        raise WorkflowError(
            f"run {run} has no analysis {name!r}{nearest(name, known)}; "
            f"allowed: {', '.join(known) or 'none'}, by {SOURCE}"
        )
    return ANALYSES[run, name]


def analysis_of(wildcards):
    return analysis_asked(wildcards.run, wildcards.analysis).model_dump()


def first_settings_of(wildcards):
    return first_settings(analysis_asked(wildcards.run, wildcards.analysis))


def scratch_of_training(wildcards):
    return f"{RESULTS}/scratch/{wildcards.run}/training"


def scratch_of_analysis(wildcards):
    return f"{RESULTS}/scratch/{wildcards.run}/analyses/{wildcards.analysis}"


def data_of(wildcards):
    """Return the files that must be downloaded for a run; most data ship with packages."""
    data = cell_of(wildcards)["training"].get("data")
    return files_of(data["target"]) if data else []


def parts_of(wildcards):
    """Return what says that each part of a landscape is sampled, where there are several."""
    if SHARDS == 1:
        return []
    part = f"{RESULTS}/scratch/{wildcards.run}/parts/{wildcards.analysis}"
    return [f"{part}.{index}-of-{SHARDS}.json" for index in range(SHARDS)]


def code_of(script):
    """Return the digest of a script and of every library module that it uses."""
    return code_digest(scripts=[f"{SCRIPTS}/{script}"])


def code_of_run(script):
    """Return a function of wildcards: the digest with the modules of a run's targets in it."""
    return lambda wildcards: code_digest(
        *CELLS[wildcards.run].modules, scripts=[f"{SCRIPTS}/{script}"]
    )


def code_of_figure(wildcards):
    """Return the digest of all that draws a figure, its notebook's imports among it."""
    return code_digest(scripts=[f"{SCRIPTS}/figure.py", notebook_of(wildcards)])


def shown_by(figure):
    """Return what a figure draws from: its own source, by the name "", and others."""
    return sources_shown(STUDY.figures[figure], RUNS)


def filled(files, **wildcards):
    """Return files of a rule for given wildcards; expand() refuses files that lie in a store."""
    return [file.apply_wildcards(wildcards) for file in files]


def analysis_files(run, name):
    """Return every file that an analysis of a run leaves, by its kind."""
    stages = {
        "landscape": [rules.sample_landscape, rules.topology, rules.profile_page],
        "spectrum": [rules.spectrum],
        "baselines": [rules.baselines],
        "jump-retrain": [rules.jump_retrain, rules.embed, rules.homology],
        **{kind: [getattr(rules, kind)] for kind in METHODS},
    }
    kind = analysis_asked(run, name).kind
    files = [file for stage in stages[kind] for file in stage.output]
    return filled(files, run=run, analysis=name)


def profile_pages():
    """Return the interactive page of every landscape."""
    return [
        page
        for (run, name), analysis in ANALYSES.items()
        if isinstance(analysis, Landscape)
        for page in filled([rules.profile_page.output.page], run=run, analysis=name)
    ]


def surface_pages():
    """Return the interactive page of every analysis of slices."""
    return [
        page
        for (run, name), analysis in ANALYSES.items()
        if analysis.kind == "slices"
        for page in filled([rules.surface_page.output.page], run=run, analysis=name)
    ]


def method_tables():
    """Return the table of what methods cost of every analysis that has one."""
    return [
        table
        for (run, name), analysis in ANALYSES.items()
        if analysis.kind in METHODS
        for table in filled(
            [getattr(rules, analysis.kind).output.methods], run=run, analysis=name
        )
    ]


def all_analyses():
    return [file for run, name in ANALYSES for file in analysis_files(run, name)]


def figure_inputs(wildcards):
    shown = [
        (entry["run"], source["analysis"])
        for source in shown_by(wildcards.figure).values()
        for entry in source["runs"]
    ]
    weights = [
        file
        for run in dict.fromkeys(run for run, _ in shown)
        for file in filled(rules.train.output, run=run)
    ]
    return [
        *weights,
        *(file for run, name in shown for file in analysis_files(run, name)),
        *tables_of_study(wildcards.figure),
    ]


def tables_of_study(figure):
    """Return the tables of the whole study that the notebook of a figure reads."""
    made_by = {"classifiers": rules.classify, "artificial-tree": rules.artificial_tree}
    name = STUDY.figures[figure].notebook or figure
    read = header(NOTEBOOKS / f"{name}.py").reads
    return [file for table in read for file in made_by[table].output]


def notebook_of(wildcards):
    name = STUDY.figures[wildcards.figure].notebook or wildcards.figure
    return local(f"workflow/notebooks/{name}.py")


def roles_of_claims():
    """Return what plays each role: stage, table, analysis and runs."""
    return claims_roles(STUDY, RUNS)


def roles_of_jumps():
    """Return the roles whose losses classifiers tell networks by."""
    return roles_told(roles_of_claims())


def tables_of_claims(wildcards):
    """Return the tables that claims are tested on."""
    return tables_of_roles(roles_of_claims())


def tables_of_jumps(wildcards):
    """Return the tables that classifiers tell networks by."""
    return tables_of_roles(roles_of_jumps())


def tables_of_roles(roles_read):
    """Return the tables that roles of the claims are played by."""
    files = []
    for source in roles_read.values():
        # Of the stages that claims read, one is named by what its rule makes.
        rule_name = {"embedding": "embed"}.get(source["stage"], source["stage"])
        table = getattr(getattr(rules, rule_name).output, source["table"])
        for entry in source["runs"]:
            files += filled([rules.train.output.metrics], run=entry["run"])
            files += filled([table], run=entry["run"], analysis=source["analysis"])
    return sorted(set(files))


def claims_files():
    """Return the tables of claims; none where the study tests no claim."""
    return list(rules.claims.output) if STUDY.claims else []
