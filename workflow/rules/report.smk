"""The site.  IN: every figure, landscape and run  OUT: reports/<study>/**.html, report.pdf"""

from topograph.report.papers import PAPERS

# The tables of claims and of their sensitivity, where the study tests any.
CLAIMS = claims_files()
# What each method cost, where the study has analyses of methods.
METHOD_TABLES = method_tables()


rule profile_page:
    """Write the interactive page of the landscapes of a run."""
    input:
        landscape=rules.sample_landscape.output.landscape,
        pairs=rules.topology.output.pairs,
        templates=templates("profile.html", "profile.js", "profile.css"),
    output:
        page=f"{REPORTS}/profiles/{{run}}.{{analysis}}.html",
    log:
        f"{RESULTS}/logs/profiles/{{run}}/{{analysis}}.log",
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        study=STUDY.study,
        analysis=analysis_of,
        labels=lambda wildcards: labels_of(MEMBERS, wildcards.run),
        code=code_of("profile_page.py"),
    script:
        "../scripts/profile_page.py"


rule surface_page:
    """Write the interactive page of the slices of a run."""
    input:
        results=rules.slices.output.results,
        templates=templates("surface.html"),
    output:
        page=f"{REPORTS}/surfaces/{{run}}.{{analysis}}.html",
    log:
        f"{RESULTS}/logs/surfaces/{{run}}/{{analysis}}.log",
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        study=STUDY.study,
        labels=lambda wildcards: labels_of(MEMBERS, wildcards.run),
        code=code_of("surface_page.py"),
    script:
        "../scripts/surface_page.py"


rule index:
    """Map every run to its experiment, label, parameters and seeds."""
    output:
        index=f"{RESULTS}/index.parquet",
    log:
        f"{RESULTS}/logs/index.log",
    localrule: True
    params:
        rows=RUNS,
        code=code_of("index.py"),
    script:
        "../scripts/index.py"


rule paper_page:
    """Write the page of a paper: its claims, and its figures beside those of the study."""
    input:
        figures=lambda wildcards: [
            file
            for name in PAPERS[wildcards.paper].figures
            if name in STUDY.figures
            for file in filled(rules.figure.output, figure=name)
        ],
        claims=CLAIMS,
        templates=templates("paper.html", "verdict.html", "claims.css"),
    output:
        page=f"{REPORTS}/papers/{{paper}}.html",
    log:
        f"{RESULTS}/logs/papers/{{paper}}.log",
    wildcard_constraints:
        paper="|".join(PAPERS),
    localrule: True
    params:
        study=STUDY.study,
        figures=list(STUDY.figures),
        claims=list(STUDY.claims),
        code=code_of("paper_page.py"),
    script:
        "../scripts/paper_page.py"


rule site:
    """Build the static site of the study."""
    input:
        figures=[
            file
            for name in STUDY.figures
            for file in filled(rules.figure.output, figure=name)
        ],
        index=rules.index.output.index,
        metrics=[
            file
            for run in CELLS
            for file in filled([rules.train.output.metrics], run=run)
        ],
        profiles=profile_pages(),
        surfaces=surface_pages(),
        methods=METHOD_TABLES,
        papers=[
            page
            for paper in PAPERS
            for page in filled(rules.paper_page.output, paper=paper)
        ],
        claims=CLAIMS,
        study_files=[local(relpath(path)) for path in workflow.configfiles],
        templates=templates(
            "index.html",
            "gallery.html",
            "gallery.css",
            "runs.html",
            "runs.js",
            "claims.html",
            "verdict.html",
            "claims.css",
            "provenance.html",
            "provenance.js",
        ),
    output:
        overview=f"{REPORTS}/index.html",
        runs=f"{REPORTS}/runs.html",
        claims=f"{REPORTS}/claims.html",
        tables=expand(
            f"{REPORTS}/{{table}}.csv",
            table=["claims", "sensitivity"] if CLAIMS else [],
        ),
        values=expand(
            f"{REPORTS}/{{name}}.json", name=["values"] if METHOD_TABLES else []
        ),
        provenance=f"{REPORTS}/provenance.html",
        manifests=f"{REPORTS}/manifests.json",
        pdf=f"{REPORTS}/report.pdf",
    log:
        f"{RESULTS}/logs/site.log",
    localrule: True
    params:
        study=STUDY.study,
        figures=list(STUDY.figures),
        claims=list(STUDY.claims),
        notebooks={
            name: figure.notebook or name for name, figure in STUDY.figures.items()
        },
        code=code_of("site.py"),
    script:
        "../scripts/site.py"
