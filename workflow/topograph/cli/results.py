"""Commands about finished results: export a landscape, explain a file."""

from __future__ import annotations

import argparse
from typing import Any


def add_commands(commands: Any) -> None:
    """Add explain and export."""
    explain = commands.add_parser("explain", help="print where a file came from, up to the data")
    explain.add_argument("file", help="a result, figure, page, published table or manifest")
    explain.set_defaults(run=_explain)
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


def _export(options: argparse.Namespace) -> None:
    from topograph.landscape.export import export_vtk

    for path in export_vtk(options.landscape, options.vtk):
        print(path)
