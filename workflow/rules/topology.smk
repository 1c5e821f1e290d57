"""Topology.  IN: a landscape  OUT: results/<study>/topology/<run>/<analysis>.*.parquet"""


rule topology:
    """Compute merge trees, persistence diagrams, profiles and quantities of a landscape."""
    input:
        landscape=rules.sample_landscape.output.landscape,
    output:
        **{
            table: f"{RESULTS}/topology/{{run}}/{{analysis}}.{table}.parquet"
            for table in (
                "pairs",
                "diagram",
                "profile",
                "marks",
                "tree",
                "quantities",
                "variability",
            )
        },
    log:
        f"{RESULTS}/logs/topology/{{run}}/{{analysis}}.log",
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        analysis=analysis_of,
        code=code_of("topology.py"),
    script:
        "../scripts/topology.py"
