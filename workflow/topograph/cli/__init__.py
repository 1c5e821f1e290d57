"""The command line: every stage without Snakemake, and questions about studies and results."""
