"""Figures.  IN: results of one analysis  OUT: reports/<study>/figures/<figure>.*"""


def runs_of(figure):
    """Return the cells that a figure shows, as builtins, in the order of the study file."""
    chosen = STUDY.figures[figure]
    return [
        {
            "run": member.cell.run,
            "label": member.label,
            "parameters": member.parameters,
            "seeds": list(member.cell.seeds),
        }
        for member in MEMBERS
        if member.experiment == chosen.experiment
    ]


def analysis_files(run, name):
    """Return every file that an analysis of a run leaves, by its kind."""
    if isinstance(ANALYSES[run, name], Landscape):
        stages = [rules.sample_landscape, rules.topology]
    else:
        stages = [rules.jump_retrain, rules.embed, rules.homology]
    files = [file for stage in stages for file in stage.output]
    return expand(files, run=run, analysis=name)


def all_analyses():
    return [file for run, name in ANALYSES for file in analysis_files(run, name)]


def figure_inputs(wildcards):
    chosen = STUDY.figures[wildcards.figure]
    runs = [entry["run"] for entry in runs_of(wildcards.figure)]
    files = [file for run in runs for file in analysis_files(run, chosen.analysis)]
    return [*expand(list(rules.train.output), run=runs), *files]


def notebook_of(wildcards):
    name = STUDY.figures[wildcards.figure].notebook or wildcards.figure
    return f"workflow/notebooks/{name}.py"


rule figure:
    """Run a figure's notebook on finished results and write its page."""
    input:
        figure_inputs,
        notebook=notebook_of,
        templates=TEMPLATES,
    output:
        page=f"{REPORTS}/figures/{{figure}}.html",
        svg=report(
            f"{REPORTS}/figures/{{figure}}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        pdf=f"{REPORTS}/figures/{{figure}}.pdf",
        values=f"{REPORTS}/figures/{{figure}}.values.json",
    log:
        notebook=f"{RESULTS}/logs/figures/{{figure}}.ipynb",
        text=f"{RESULTS}/logs/figures/{{figure}}.log",
    resources:
        mem_mb=1500,
        runtime="30m",
    params:
        study=STUDY.study,
        config=SOURCE,
        results=RESULTS,
        figure=lambda wildcards: STUDY.figures[wildcards.figure].model_dump(),
        runs=lambda wildcards: runs_of(wildcards.figure),
        code=code_of(
            "figure.py",
            "topograph.report.notebook",
            "topograph.report.page",
            "topograph.plotting",
        ),
    script:
        "../scripts/figure.py"
