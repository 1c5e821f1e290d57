"""Snakemake's messages as a person wants them: `snakemake --logger topograph`."""
