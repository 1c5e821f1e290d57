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


def figure_inputs(wildcards):
    chosen = STUDY.figures[wildcards.figure]
    analysis = STUDY.experiments[chosen.experiment].analyses[chosen.analysis]
    used = list(rules.train.output)
    if isinstance(analysis, Landscape):
        used += [*rules.sample_landscape.output, *rules.topology.output]
    elif isinstance(analysis, JumpRetrain):
        used += [*rules.jump_retrain.output, *rules.embed.output, *rules.homology.output]
    runs = [entry["run"] for entry in runs_of(wildcards.figure)]
    return expand(used, run=runs, analysis=chosen.analysis)


rule figure:
    """Run a figure's notebook on finished results and write its page."""
    input:
        figure_inputs,
        notebook="workflow/notebooks/{figure}.py",
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
    params:
        study=STUDY.study,
        config=SOURCE,
        results=RESULTS,
        figure=lambda wildcards: STUDY.figures[wildcards.figure].model_dump(),
        runs=lambda wildcards: runs_of(wildcards.figure),
        code=code_of(
            "figure.py", "topograph.report.notebook", "topograph.report.page", "topograph.plotting"
        ),
    resources:
        mem_mb=1500,
        runtime="30m",
    script:
        "../scripts/figure.py"
