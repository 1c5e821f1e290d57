"""Landscapes and spectra.  IN: trained weights  OUT: results/<study>/landscape|spectrum/<run>/"""

# Absent on a CPU: the Kubernetes executor asks for GPUs wherever the name stands, be there 0.
GPU = {} if DEVICE == "cpu" else {"gpu": 1}


rule sample_part:
    """Sample one of several parts of the landscapes of a run: --config shards=4."""
    input:
        data_of,
        weights=rules.train.output.weights,
    output:
        part=temp(
            f"{RESULTS}/scratch/{{run}}/parts/{{analysis}}.{{part}}-of-{SHARDS}.json"
        ),
    log:
        f"{RESULTS}/logs/landscape/{{run}}/{{analysis}}.{{part}}.log",
    wildcard_constraints:
        part=r"\d+",
    priority: 1
    resources:
        **GPU,
        mem_mb=2000,
        runtime="4h",
    params:
        cell=cell_of,
        analysis=first_settings_of,
        scratch=scratch_of_analysis,
        shard=lambda wildcards: [int(wildcards.part), SHARDS],
        code=code_of_run("sample_landscape.py"),
    script:
        "../scripts/sample_part.py"


rule sample_landscape:
    """Find directions and sample the loss around each seed and epoch of a run."""
    input:
        data_of,
        parts_of,
        weights=rules.train.output.weights,
    output:
        landscape=f"{RESULTS}/landscape/{{run}}/{{analysis}}.nc",
        directions=f"{RESULTS}/landscape/{{run}}/{{analysis}}.directions.safetensors",
    log:
        f"{RESULTS}/logs/landscape/{{run}}/{{analysis}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/landscape/{{run}}/{{analysis}}.tsv"
    priority: 1
    resources:
        **GPU,
        mem_mb=2000,
        runtime="4h",
    params:
        cell=cell_of,
        analysis=first_settings_of,
        scratch=scratch_of_analysis,
        code=code_of_run("sample_landscape.py"),
    script:
        "../scripts/sample_landscape.py"


rule spectrum:
    """Compute eigenvalues, trace and spectral density of the Hessian of each seed of a run."""
    input:
        data_of,
        weights=rules.train.output.weights,
    output:
        spectrum=f"{RESULTS}/spectrum/{{run}}/{{analysis}}.nc",
        quantities=f"{RESULTS}/spectrum/{{run}}/{{analysis}}.quantities.parquet",
    log:
        f"{RESULTS}/logs/spectrum/{{run}}/{{analysis}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/spectrum/{{run}}/{{analysis}}.tsv"
    priority: 1
    resources:
        **GPU,
        mem_mb=2000,
        runtime="4h",
    params:
        cell=cell_of,
        analysis=first_settings_of,
        scratch=scratch_of_analysis,
        code=code_of_run("spectrum.py"),
    script:
        "../scripts/spectrum.py"
