"""Commands about finished results: explain, publish, pack and export them."""

from __future__ import annotations

import argparse
from typing import Any

SHOWN = 10


def add_commands(commands: Any) -> None:
    """Add explain, publish, crate and export."""
    explain = commands.add_parser("explain", help="print where a file came from, up to the data")
    explain.add_argument("file", help="a result, figure, page, published table or manifest")
    explain.set_defaults(run=_explain)
    publish = commands.add_parser("publish", help="merge finished rows into reports/published/")
    publish.add_argument("study", help="a file of config/")
    publish.set_defaults(run=_publish)
    crate = commands.add_parser("crate", help="write a finished study as an RO-Crate")
    crate.add_argument("study", help="a file of config/")
    crate.add_argument("--out", required=True, metavar="FOLDER", help="a folder, or a .zip")
    crate.set_defaults(run=_crate)
    export = commands.add_parser("export", help="write a landscape as files for ParaView")
    export.add_argument("landscape", help="a 2-D or 3-D landscape, .nc")
    export.add_argument(
        "--vtk",
        metavar="OUT",
        required=True,
        help="write OUT.vti, or OUT-seed-0-epoch-1.vti and so on, one for each seed and epoch",
    )
    export.set_defaults(run=_export)


def _explain(options: argparse.Namespace) -> None:
    from topograph.archive.explain import explain

    print(explain(options.file))


def _publish(options: argparse.Namespace) -> None:
    from topograph.archive.publish import publish

    for table in publish(options.study):
        change = "written" if table.written else "unchanged"
        print(f"{table.path}: {table.rows} rows, {table.current} current, {change}")
        if table.kept:
            print(f"  published rows kept, since those finished here are not current: {table.kept}")
        for lack in table.missing[:SHOWN]:
            print(f"  missing: {', '.join(f'{key} {value}' for key, value in lack.items())}")
        if len(table.missing) > SHOWN:
            print(f"  and {len(table.missing) - SHOWN} more missing, listed in its manifest")


def _crate(options: argparse.Namespace) -> None:
    from topograph.archive.crate import write_crate

    print(write_crate(options.study, options.out))


def _export(options: argparse.Namespace) -> None:
    from topograph.landscape.export import export_vtk

    for path in export_vtk(options.landscape, options.vtk):
        print(path)
