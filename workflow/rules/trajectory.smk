"""Trajectories and baselines.  IN: weights  OUT: results/<study>/trajectory|baselines/<run>/*.nc"""


rule jump_retrain:
    """Jump from the trained weights along random rays and retrain from each point."""
    input:
        data_of,
        weights=rules.train.output.weights,
    output:
        trajectory=f"{RESULTS}/trajectory/{{run}}/{{analysis}}.nc",
    log:
        f"{RESULTS}/logs/trajectory/{{run}}/{{analysis}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/trajectory/{{run}}/{{analysis}}.tsv"
    priority: 1
    resources:
        **GPU,
        mem_mb=3000,
        runtime="8h",
    params:
        cell=cell_of,
        analysis=first_settings_of,
        scratch=scratch_of_analysis,
        code=code_of_run("jump_retrain.py"),
    script:
        "../scripts/jump_retrain.py"


rule baselines:
    """Sample a grid and rays around the trained weights, without retraining."""
    input:
        data_of,
        weights=rules.train.output.weights,
    output:
        points=f"{RESULTS}/baselines/{{run}}/{{analysis}}.points.parquet",
        summary=f"{RESULTS}/baselines/{{run}}/{{analysis}}.summary.parquet",
    log:
        f"{RESULTS}/logs/baselines/{{run}}/{{analysis}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/baselines/{{run}}/{{analysis}}.tsv"
    resources:
        mem_mb=3000,
        runtime="4h",
    params:
        cell=cell_of,
        analysis=first_settings_of,
        scratch=scratch_of_analysis,
        code=code_of_run("baselines.py"),
    script:
        "../scripts/baselines.py"
