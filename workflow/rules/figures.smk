"""Figures.  IN: results of one analysis  OUT: reports/<study>/figures/<figure>.*"""


rule figure:
    """Run a figure's notebook on finished results and write its page."""
    input:
        figure_inputs,
        notebook=notebook_of,
        templates=templates("page.html"),
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
    localrule: True
    resources:
        mem_mb=1500,
        runtime="30m",
    params:
        study=STUDY.study,
        config=SOURCE,
        results=RESULTS,
        figure=lambda wildcards: STUDY.figures[wildcards.figure].model_dump(),
        sources=lambda wildcards: shown_by(wildcards.figure),
        code=code_of_figure,
    script:
        "../scripts/figure.py"
