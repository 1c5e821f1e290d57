"""Training.  IN: a cell of the study  OUT: results/<study>/train/<run>/"""


rule train:
    """Train every seed of a cell; finished seeds in scratch are not trained again."""
    input:
        data_of,
    output:
        weights=f"{RESULTS}/train/{{run}}/weights.safetensors",
        history=f"{RESULTS}/train/{{run}}/history.parquet",
        metrics=f"{RESULTS}/train/{{run}}/metrics.parquet",
        predictions=f"{RESULTS}/train/{{run}}/predictions.nc",
    log:
        f"{RESULTS}/logs/train/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{run}}.tsv"
    # Longest chains first, so that no long job runs alone at the end.
    priority: 2
    resources:
        mem_mb=2000,
        runtime="4h",
    params:
        cell=cell_of,
        scratch=scratch_of_training,
        code=code_of_run("train.py"),
    script:
        "../scripts/train.py"
