"""Claims.  IN: small tables of finished runs  OUT: results/<study>/claims/*.parquet"""


rule classify:
    """Ask classifiers what the losses sampled around networks tell of them."""
    input:
        tables_of_jumps,
    output:
        classifiers=f"{RESULTS}/claims/classifiers.parquet",
    log:
        f"{RESULTS}/logs/classify.log",
    resources:
        mem_mb=2000,
        runtime="2h",
    params:
        roles=roles_of_jumps(),
        code=code_of("classify.py"),
    script:
        "../scripts/classify.py"


rule claims:
    """Test every published claim on the tables that the study has for it."""
    input:
        tables_of_claims,
        classifiers=rules.classify.output.classifiers if roles_of_jumps() else [],
    output:
        claims=f"{RESULTS}/claims/claims.parquet",
        sensitivity=f"{RESULTS}/claims/sensitivity.parquet",
    log:
        f"{RESULTS}/logs/claims.log",
    resources:
        mem_mb=1000,
        runtime="1h",
    params:
        roles=roles_of_claims(),
        code=code_of("claims.py"),
    script:
        "../scripts/claims.py"
