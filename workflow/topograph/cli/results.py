"""Commands about finished results: export a landscape."""

from __future__ import annotations

import argparse
from typing import Any


def add_commands(commands: Any) -> None:
    """Add export."""
    export = commands.add_parser("export", help="write a landscape as files for ParaView")
    export.add_argument("landscape", help="a 2-D or 3-D landscape, .nc")
    export.add_argument(
        "--vtk",
        metavar="OUT",
        required=True,
        help="write OUT.vti, or OUT-seed-0-epoch-1.vti and so on, one for each seed and epoch",
    )
    export.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> None:
    from topograph.landscape.export import export_vtk

    for path in export_vtk(options.landscape, options.vtk):
        print(path)
