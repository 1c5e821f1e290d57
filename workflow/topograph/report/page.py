"""The page of one figure, and the templates that all pages share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from topograph.foundation.storage import atomic, require
from topograph.report.figure import read_published

_TEMPLATES = Path(__file__).parent / "templates"


def write_page(
    output: Path,
    *,
    figure: str,
    study: str,
    config: str,
    body: str,
    command: str,
    sources: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> None:
    """Write the page of a figure whose SVG, PDF and values lie beside it under the same stem.

    ``config`` is the study file and ``command`` the line that remakes the page. ``body`` is HTML
    from ``run_notebook`` and is inserted as it is; everything else is escaped. The page links
    ``<stem>.manifest.json``, which the job writes after it, the pages of the study's site and, by
    label, ../profiles/<run>.<analysis>.html of the ``runs`` (run and label) of the ``sources`` that
    have it.

    Raises DataError when one of the figure's files is missing or broken.
    """
    stem = output.name.removesuffix(".html")
    published = read_published(output.parent / stem)
    for suffix in ("svg", "pdf"):
        require(output.parent / f"{stem}.{suffix}")
    write_html(
        output,
        "page.html",
        stem=stem,
        figure=figure,
        study=study,
        config=config,
        command=command,
        title=published["title"],
        caption=published["caption"],
        profiles=_profiles(output.parent.parent / "profiles", sources),
        body=Markup(body),
    )


def _profiles(folder: Path, sources: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return label and file name of the interactive pages that are there.

    Where several sources are shown, the label says which.
    """
    names = {
        f"{run['run']}.{source['analysis']}.html": (run["label"], source["analysis"])
        for source in sources.values()
        for run in source["runs"]
    }
    return [
        (label if len(sources) == 1 else f"{label} ({analysis})", name)
        for name, (label, analysis) in names.items()
        if (folder / name).is_file()
    ]


def write_html(output: Path, template: str, **values: Any) -> Path:
    """Fill a template of this package, write the page and return its path."""
    html = render(template, **values)
    with atomic(output) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return output


def render(template: str, **values: Any) -> str:
    """Fill a template of this package, escaping every value that is not marked as HTML."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)
