"""Claims.  IN: small tables of finished runs  OUT: results/<study>/claims/*.parquet"""


def roles_of_claims():
    """Return what plays each role: kind, name and runs of its analysis."""
    return claims_roles(STUDY, RUNS)


def tables_of_claims(wildcards):
    """Return the tables that claims are tested on."""
    files = []
    for source in roles_of_claims().values():
        stage = rules.topology if source["kind"] == "landscape" else rules.spectrum
        table = (
            stage.output.choices
            if source["kind"] == "landscape"
            else stage.output.quantities
        )
        for entry in source["runs"]:
            files += filled([rules.train.output.metrics], run=entry["run"])
            files += filled([table], run=entry["run"], analysis=source["analysis"])
    return sorted(set(files))


rule claims:
    """Test every published claim on the tables that the study has for it."""
    input:
        tables_of_claims,
    output:
        claims=f"{RESULTS}/claims/claims.parquet",
        sensitivity=f"{RESULTS}/claims/sensitivity.parquet",
    log:
        f"{RESULTS}/logs/claims.log",
    resources:
        mem_mb=1000,
        runtime="1h",
    params:
        results=RESULTS,
        roles=roles_of_claims(),
        code=code_of("claims.py"),
    script:
        "../scripts/claims.py"


def claims_files():
    """Return the tables of claims; none where the study tests no claim."""
    return list(rules.claims.output) if STUDY.claims else []
