"""The command line: check a study file, print the schema of study files."""

from __future__ import annotations

import argparse
import sys

from topograph.config.load import load_study
from topograph.config.runs import members
from topograph.config.schema import schema_text
from topograph.foundation.errors import TopographError


def main(arguments: list[str] | None = None) -> int:
    """Run ``topograph check FILE`` or ``topograph schema``; a mistake is one message and exit 1."""
    parser = argparse.ArgumentParser(prog="topograph", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="validate a study file and list its runs")
    check.add_argument("study", help="a file of config/")
    commands.add_parser("schema", help="print the JSON schema of study files")
    options = parser.parse_args(arguments)
    if options.command == "schema":
        sys.stdout.write(schema_text())
        return 0
    try:
        _check(options.study)
    except TopographError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _check(path: str) -> None:
    for member in members(load_study(path), path):
        seeds = ", ".join(str(seed) for seed in member.cell.seeds)
        print(f"{member.experiment}: {member.label} -> {member.cell.run}, seeds {seeds}")
