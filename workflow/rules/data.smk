"""Data that do not ship with a package.  IN: data/datasets.csv  OUT: data/<dataset>/<file>"""


rule fetch_data:
    """Download one file and check its sum."""
    input:
        local("data/datasets.csv"),
    output:
        "data/{dataset}/{file}",
    log:
        "data/logs/{dataset}/{file}.log",
    wildcard_constraints:
        dataset="cifar10|oxford-pet",
        file=r"[\w.-]+\.tar\.gz",
    retries: 3
    localrule: True
    params:
        code=code_of("fetch_data.py"),
    script:
        "../scripts/fetch_data.py"
