"""Claims.  IN: small tables of finished runs  OUT: results/<study>/claims/*.parquet"""


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
        roles=roles_of_claims(),
        code=code_of("claims.py"),
    script:
        "../scripts/claims.py"
