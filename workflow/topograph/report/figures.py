"""One figure of a study: its notebook executed on finished results, its page written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from topograph.config.notebooks import header
from topograph.report.figure import NothingToDraw, publish_nothing
from topograph.report.notebook import run_notebook
from topograph.report.page import write_page


def make_figure(
    page: str | Path,
    notebook: str | Path,
    *,
    study: str,
    config: str,
    results: str,
    figure: Mapping[str, Any],
    sources: Mapping[str, dict[str, Any]],
    executed: str | Path,
) -> None:
    """Write ``<page's stem>.svg``, ``.pdf``, ``.values.json`` and the page itself.

    ``figure`` is the entry of the study file; ``sources`` are the analysis and the runs that it
    shows, its own under the name "" and others by theirs; ``results`` is the folder of the study's
    results. The executed notebook is kept at ``executed`` whether or not it succeeds. Where it
    finds nothing to draw, the figure says why.

    Raises TopographError when the notebook fails, DataError when a result is missing.
    """
    page, title = Path(page), figure["title"]
    others = {name: source for name, source in sources.items() if name}
    draws_others = bool(header(Path(notebook)).others)
    parameters = {
        "results": results,
        **sources[""],
        **({"others": others} if draws_others else {}),
        "title": title,
        "output": str(page.with_suffix("")),
    }
    try:
        body = run_notebook(Path(notebook), parameters, executed=Path(executed), title=title)
    except NothingToDraw as reason:
        body = ""
        publish_nothing(parameters["output"], title=title, reason=str(reason))
    write_page(
        page,
        figure=page.stem,
        study=study,
        config=config,
        body=body,
        command=f"make {page}",
        sources=sources,
    )
