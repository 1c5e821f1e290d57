"""The usual ways to look at a landscape.  OUT: results/<study>/<kind>/<run>/<analysis>.*"""


rule interpolation:
    """Follow lines and low-loss curves between initial and trained weights, and between seeds."""
    input:
        data_of,
        weights=rules.train.output.weights,
    output:
        results=f"{RESULTS}/interpolation/{{run}}/{{analysis}}.nc",
        methods=f"{RESULTS}/interpolation/{{run}}/{{analysis}}.methods.parquet",
    log:
        f"{RESULTS}/logs/interpolation/{{run}}/{{analysis}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/interpolation/{{run}}/{{analysis}}.tsv"
    resources:
        **GPU,
        mem_mb=2000,
        runtime="4h",
    params:
        cell=cell_of,
        analysis=first_settings_of,
        scratch=scratch_of_analysis,
        code=code_of_run("interpolation.py"),
    script:
        "../scripts/interpolation.py"


rule slices:
    """Slice the loss along random directions, repeatedly, and in the plane of the path."""
    input:
        data_of,
        weights=rules.train.output.weights,
    output:
        results=f"{RESULTS}/slices/{{run}}/{{analysis}}.nc",
        methods=f"{RESULTS}/slices/{{run}}/{{analysis}}.methods.parquet",
        shape=f"{RESULTS}/slices/{{run}}/{{analysis}}.shape.parquet",
    log:
        f"{RESULTS}/logs/slices/{{run}}/{{analysis}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/slices/{{run}}/{{analysis}}.tsv"
    resources:
        **GPU,
        mem_mb=2000,
        runtime="4h",
    params:
        cell=cell_of,
        analysis=first_settings_of,
        scratch=scratch_of_analysis,
        code=code_of_run("slices.py"),
    script:
        "../scripts/slices.py"


rule topography:
    """Measure curvature along training, sharpness at its end, and critical points on a grid."""
    input:
        data_of,
        weights=rules.train.output.weights,
    output:
        results=f"{RESULTS}/topography/{{run}}/{{analysis}}.nc",
        methods=f"{RESULTS}/topography/{{run}}/{{analysis}}.methods.parquet",
        card=f"{RESULTS}/topography/{{run}}/{{analysis}}.card.parquet",
        critical=f"{RESULTS}/topography/{{run}}/{{analysis}}.critical.parquet",
    log:
        f"{RESULTS}/logs/topography/{{run}}/{{analysis}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/topography/{{run}}/{{analysis}}.tsv"
    resources:
        **GPU,
        mem_mb=2000,
        runtime="4h",
    params:
        cell=cell_of,
        analysis=first_settings_of,
        scratch=scratch_of_analysis,
        code=code_of_run("topography.py"),
    script:
        "../scripts/topography.py"


rule weights:
    """Map the weights that training kept by every method, with the loss on what they show."""
    input:
        data_of,
        weights=rules.train.output.weights,
    output:
        results=f"{RESULTS}/weights/{{run}}/{{analysis}}.nc",
        methods=f"{RESULTS}/weights/{{run}}/{{analysis}}.methods.parquet",
    log:
        f"{RESULTS}/logs/weights/{{run}}/{{analysis}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/weights/{{run}}/{{analysis}}.tsv"
    resources:
        **GPU,
        mem_mb=2000,
        runtime="4h",
    params:
        cell=cell_of,
        analysis=first_settings_of,
        scratch=scratch_of_analysis,
        code=code_of_run("weights.py"),
    script:
        "../scripts/weights.py"


rule similarity:
    """Compare the networks of all seeds: representations, predictions, weights, barriers."""
    input:
        data_of,
        weights=rules.train.output.weights,
    output:
        results=f"{RESULTS}/similarity/{{run}}/{{analysis}}.nc",
        methods=f"{RESULTS}/similarity/{{run}}/{{analysis}}.methods.parquet",
    log:
        f"{RESULTS}/logs/similarity/{{run}}/{{analysis}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/similarity/{{run}}/{{analysis}}.tsv"
    resources:
        **GPU,
        mem_mb=2000,
        runtime="4h",
    params:
        cell=cell_of,
        analysis=first_settings_of,
        scratch=scratch_of_analysis,
        code=code_of_run("similarity.py"),
    script:
        "../scripts/similarity.py"
