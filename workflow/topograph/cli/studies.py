"""Commands about study files: check one, print the schema of all."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from topograph.config.load import load_study
from topograph.config.runs import members
from topograph.config.schema import schema_text


def add_commands(commands: Any) -> None:
    """Add check and schema."""
    check = commands.add_parser("check", help="validate a study file and list its runs")
    check.add_argument("study", help="a file of config/")
    check.set_defaults(run=_check)
    schema = commands.add_parser("schema", help="print the JSON schema of study files")
    schema.set_defaults(run=_schema)


def _check(options: argparse.Namespace) -> None:
    for member in members(load_study(options.study), options.study):
        seeds = ", ".join(str(seed) for seed in member.cell.seeds)
        print(f"{member.experiment}: {member.label} -> {member.cell.run}, seeds {seeds}")


def _schema(_: argparse.Namespace) -> None:
    sys.stdout.write(schema_text())
