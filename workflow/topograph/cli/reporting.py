"""Commands that look at what is finished: claims tested, figures drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from topograph.cli.selection import Selection, recorded
from topograph.config.notebooks import NOTEBOOKS, header
from topograph.config.runs import claims_roles, entries, roles_told, sources_shown
from topograph.foundation.errors import TopographError

TEMPLATES = "workflow/topograph/report/templates"


def templates(*names: str) -> dict[str, str]:
    """Return the templates of a page, and those that every page has, as common.smk does."""
    paths = [f"{TEMPLATES}/{name}" for name in ("base.html", "style.css", *names)]
    return {path: path for path in paths}


def run_claims(study: Selection) -> None:
    """Test the claims of which all tables are finished; raise TopographError where none is made."""
    from topograph.claims.tables import write_claims

    asked = claims_roles(study.study, entries(study.asked.members))
    if not asked:
        raise TopographError(f"{study.options.study} tests no claim: it has no block 'claims'")
    files = {role: _files_of(study, source) for role, source in asked.items()}
    there = {role: [file for file in files[role] if Path(file).is_file()] for role in asked}
    for role in asked:
        if len(there[role]) < len(files[role]):
            counted = f"{len(there[role])} of {len(files[role])} tables"
            print(f"{role}: {counted} are finished; claims that need it are not tested", flush=True)
    roles = {role: source for role, source in asked.items() if there[role] == files[role]}
    classifiers = _classify(study, roles_told(roles))
    outputs = {
        table: f"{study.results}/claims/{table}.parquet" for table in ("claims", "sensitivity")
    }
    inputs = {file: file for role in roles for file in files[role]}
    inputs |= {classifiers: classifiers} if classifiers else {}
    with recorded(study, "claims", outputs, inputs, {"roles": roles}):
        write_claims(study.results, roles, outputs, classifiers=classifiers)


def _classify(study: Selection, roles: dict[str, dict[str, Any]]) -> str | None:
    """Ask classifiers what the losses of some roles tell; return the file, None without roles."""
    from topograph.comparison.networks import write_classifiers

    if not roles:
        return None
    output = f"{study.results}/claims/classifiers.parquet"
    inputs = {file: file for source in roles.values() for file in _files_of(study, source)}
    with recorded(study, "classify", {"classifiers": output}, inputs, {"roles": roles}):
        write_classifiers(study.results, roles, output)
    return output


def _files_of(study: Selection, source: dict[str, Any]) -> list[str]:
    """Return the tables that play a role of the claims."""
    file = f"{source['analysis']}.{source['table']}.parquet"
    return [
        f"{study.results}/{path}"
        for run in (entry["run"] for entry in source["runs"])
        for path in (f"train/{run}/metrics.parquet", f"{source['stage']}/{run}/{file}")
    ]


def run_figure(study: Selection, figure: str) -> None:
    """Run the notebook of a figure on what is finished."""
    from topograph.report.figures import make_figure

    asked = study.study.figures[figure]
    stem = f"reports/{study.study.study}/figures/{figure}"
    notebook = f"workflow/notebooks/{asked.notebook or figure}.py"
    outputs = {
        "page": f"{stem}.html",
        "svg": f"{stem}.svg",
        "pdf": f"{stem}.pdf",
        "values": f"{stem}.values.json",
    }
    sources = sources_shown(asked, entries(study.asked.members))
    parameters: dict[str, Any] = {
        "study": study.study.study,
        "config": study.options.study,
        "results": study.results,
        "figure": asked.model_dump(),
        "sources": sources,
    }
    inputs = {
        path: path
        for source in sources.values()
        for entry in source["runs"]
        for path in study.made(entry["run"], source["analysis"])
    }
    inputs |= {path: path for path in _tables_of_study(study, Path(notebook).name)}
    inputs |= {"notebook": notebook, **templates("page.html")}
    with recorded(study, "figure", outputs, inputs, parameters, notebooks=[notebook]):
        make_figure(
            outputs["page"],
            notebook,
            executed=f"{study.results}/logs/figures/{figure}.ipynb",
            **{key: value for key, value in parameters.items() if key != "code"},
        )


def _tables_of_study(study: Selection, notebook: str) -> list[str]:
    """Return the tables of the whole study that a notebook reads; draw the tree if it is not."""
    from topograph.embedding.tree import write_tree

    found = []
    read = header(NOTEBOOKS / notebook).reads
    if "classifiers" in read:
        found.append(f"{study.results}/claims/classifiers.parquet")
    if "artificial-tree" in read:
        stem = f"{study.results}/artificial-tree"
        files = {name: f"{stem}.{name}.parquet" for name in ("points", "quality")}
        if not all(Path(path).is_file() for path in files.values()):
            with recorded(study, "artificial_tree", files, {}, {}):
                write_tree(files)
        found += files.values()
    return found
