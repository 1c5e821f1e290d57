"""Maps and homology of trajectories.  OUT: results/<study>/embedding|homology/<run>/<analysis>.*"""


rule embed:
    """Map all points of a run's trajectories by each method asked for."""
    input:
        trajectory=rules.jump_retrain.output.trajectory,
    output:
        points=f"{RESULTS}/embedding/{{run}}/{{analysis}}.points.parquet",
        entropy=f"{RESULTS}/embedding/{{run}}/{{analysis}}.entropy.parquet",
        quality=f"{RESULTS}/embedding/{{run}}/{{analysis}}.quality.parquet",
    log:
        f"{RESULTS}/logs/embedding/{{run}}/{{analysis}}.log",
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        analysis=analysis_of,
        code=code_of("embed.py"),
    script:
        "../scripts/embed.py"


rule homology:
    """Compute the persistent homology of the graph of a run's trajectories."""
    input:
        trajectory=rules.jump_retrain.output.trajectory,
    output:
        diagram=f"{RESULTS}/homology/{{run}}/{{analysis}}.diagram.parquet",
        statistics=f"{RESULTS}/homology/{{run}}/{{analysis}}.statistics.parquet",
    log:
        f"{RESULTS}/logs/homology/{{run}}/{{analysis}}.log",
    resources:
        mem_mb=1000,
        runtime="1h",
    params:
        analysis=analysis_of,
        code=code_of("homology.py"),
    script:
        "../scripts/homology.py"


rule artificial_tree:
    """Map an artificial tree with known branches by each method."""
    output:
        points=f"{RESULTS}/artificial-tree.points.parquet",
        quality=f"{RESULTS}/artificial-tree.quality.parquet",
    log:
        f"{RESULTS}/logs/artificial-tree.log",
    localrule: True
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        code=code_of("artificial_tree.py"),
    script:
        "../scripts/artificial_tree.py"
