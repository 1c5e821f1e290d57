"""Topology.  IN: a landscape  OUT: results/<study>/topology/<run>/<analysis>.*.parquet"""


rule topology:
    """Compute merge trees, persistence diagrams, profiles and quantities of a landscape."""
    input:
        data_of,
        weights=rules.train.output.weights,
        landscape=rules.sample_landscape.output.landscape,
        directions=rules.sample_landscape.output.directions,
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
                "choices",
                "variability",
            )
        },
    log:
        f"{RESULTS}/logs/topology/{{run}}/{{analysis}}.log",
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        cell=cell_of,
        analysis=analysis_of,
        code=code_of_run("topology.py"),
    script:
        "../scripts/topology.py"
