"""The command line: check a study file, print the schema of study files, export a landscape."""

from __future__ import annotations

import argparse
import sys

from topograph.config.load import load_study
from topograph.config.runs import members
from topograph.config.schema import schema_text
from topograph.foundation.errors import TopographError
from topograph.landscape.export import export_vtk


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands check, schema and export; a mistake is one message and exit 1."""
    parser = argparse.ArgumentParser(prog="topograph", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="validate a study file and list its runs")
    check.add_argument("study", help="a file of config/")
    commands.add_parser("schema", help="print the JSON schema of study files")
    export = commands.add_parser("export", help="write a landscape as files for ParaView")
    export.add_argument("landscape", help="a 2-D or 3-D landscape, .nc")
    export.add_argument(
        "--vtk",
        metavar="OUT",
        required=True,
        help="write OUT.vti, or OUT-seed-0-epoch-1.vti and so on, one for each seed and epoch",
    )
    options = parser.parse_args(arguments)
    if options.command == "schema":
        sys.stdout.write(schema_text())
        return 0
    try:
        if options.command == "check":
            _check(options.study)
        else:
            _export(options.landscape, options.vtk)
    except TopographError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _check(path: str) -> None:
    for member in members(load_study(path), path):
        seeds = ", ".join(str(seed) for seed in member.cell.seeds)
        print(f"{member.experiment}: {member.label} -> {member.cell.run}, seeds {seeds}")


def _export(landscape: str, out: str) -> None:
    for path in export_vtk(landscape, out):
        print(path)
