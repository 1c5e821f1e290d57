"""Commands that run one stage of a study without Snakemake."""

from __future__ import annotations

from typing import Any


def add_commands(commands: Any) -> None:
    """Add the stages."""
