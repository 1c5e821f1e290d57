"""Commands about study files: check one, print the schema of all."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

from topograph.archive.asked import Asked
from topograph.cli.new_family import KINDS, family_text, write_new
from topograph.config.models import METHODS
from topograph.config.notebooks import NOTEBOOKS, header
from topograph.config.runs import claims_roles, entries, roles_told
from topograph.config.schema import schema_text
from topograph.report.papers import PAPERS


def add_commands(commands: Any) -> None:
    """Add check, new-family and schema."""
    check = commands.add_parser(
        "check", help="validate a study file, list its cells and jobs, estimate its cost"
    )
    check.add_argument("study", help="a file of config/")
    check.add_argument("--quick", action="store_true", help="time nothing, import no model")
    check.set_defaults(run=_check)
    family = commands.add_parser("new-family", help="a commented study of a family to start from")
    family.add_argument("name", help="of the experiment, and of the study without --out")
    family.add_argument("--kind", choices=KINDS, default=KINDS[0], help=f"{KINDS[0]} by default")
    out = "config/STUDY.yaml, which names the study; printed by default"
    family.add_argument("--out", metavar="FILE", help=out)
    family.set_defaults(run=_new_family)
    schema = commands.add_parser("schema", help="print the JSON schema of study files")
    schema.set_defaults(run=_schema)


def _check(options: argparse.Namespace) -> None:
    asked = Asked.of(options.study)
    for member in asked.members:
        seeds = ", ".join(str(seed) for seed in member.cell.seeds)
        print(f"{member.experiment}: {member.label} -> {member.cell.run}, seeds {seeds}")
    counted = jobs(asked)
    some = ", ".join(f"{count} {stage}" for stage, count in counted.items() if count)
    print(f"\njobs: {some}; {sum(counted.values())} in all")
    if not options.quick:
        _print_cost(asked, counted)


def jobs(asked: Asked) -> dict[str, int]:
    """Return how many jobs of each stage a study has when nothing is done yet."""
    kinds = Counter[str](analysis.kind for analysis in asked.analyses.values())
    landscapes, jumps = kinds["landscape"], kinds["jump-retrain"]
    return {
        "train": len(asked.cells),
        **dict.fromkeys(("landscape", "topology", "profile page"), landscapes),
        **{kind: kinds[kind] for kind in ("spectrum", "baselines", *METHODS)},
        **dict.fromkeys(("jump-retrain", "embedding", "homology"), jumps),
        "surface page": kinds["slices"],
        "table of the study": len(_read(asked)),
        "figure": len(asked.study.figures),
        "claims": int(bool(asked.study.claims)),
        # The index, a page of each paper, and the rest.
        "site": 2 + len(PAPERS),
    }


def _read(asked: Asked) -> set[str]:
    """Return the tables of the whole study that its figures and claims are made from."""
    of_claims = roles_told(claims_roles(asked.study, entries(asked.members)))
    names = (figure.notebook or name for name, figure in asked.study.figures.items())
    read = {table for name in names for table in header(NOTEBOOKS / f"{name}.py").reads}
    return read | ({"classifiers"} if of_claims else set())


def _print_cost(asked: Asked, counted: Mapping[str, int]) -> None:
    # Imported here: torch takes seconds to load.
    from topograph.cli.cost import estimate

    found = estimate(asked.cells, asked.analyses, counted)
    print("\nan estimate, from a few steps and points timed here on one core, in core-hours:")
    for stage, seconds in found.seconds.items():
        if seconds:
            print(f"  {seconds / 3600:10.3g}  {stage}")
    print(f"  {sum(found.seconds.values()) / 3600:10.3g}  in all")
    for file, runs in found.missing.items():
        print(
            f"without {len(runs)} of {len(asked.cells)} cells, whose data are missing: make {file}"
        )


def _new_family(options: argparse.Namespace) -> None:
    text = family_text(options.name, options.kind, options.out)
    if not options.out:
        sys.stdout.write(text)
        return
    write_new(options.out, text)
    print(f"{options.out}; next: topograph check {options.out}")


def _schema(_: argparse.Namespace) -> None:
    sys.stdout.write(schema_text())
