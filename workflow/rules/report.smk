"""The site.  IN: every figure, the index of runs  OUT: reports/<study>/index.html"""


rule index:
    """Map every run to its experiment, label, parameters and seeds."""
    output:
        index=f"{RESULTS}/index.parquet",
    log:
        f"{RESULTS}/logs/index.log",
    localrule: True
    params:
        rows=runs(),
        code=code_of("index.py"),
    script:
        "../scripts/index.py"


rule site:
    """Build the static site of the study."""
    input:
        figures=expand(rules.figure.output, figure=STUDY.figures),
        index=rules.index.output.index,
        metrics=expand(rules.train.output.metrics, run=CELLS),
        templates=TEMPLATES,
    output:
        site=f"{REPORTS}/index.html",
    log:
        f"{RESULTS}/logs/site.log",
    localrule: True
    params:
        study=STUDY.study,
        config=SOURCE,
        figures=list(STUDY.figures),
        code=code_of("site.py"),
    script:
        "../scripts/site.py"
