"""The page of a paper: its claims, then each of its figures beside that of the study."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from topograph.foundation.storage import require
from topograph.report.figure import read_published
from topograph.report.page import write_html
from topograph.report.papers import PAPERS
from topograph.report.verdicts import Claims, number, summary


def write_paper(
    output: Path, paper: str, *, study: str, figures: Iterable[str], claims: Claims | None
) -> Path:
    """Write the page of a paper, a name of ``PAPERS``, and return its path.

    ``output`` is reports/<study>/papers/<paper>.html. ``figures`` are those of the study; of these,
    the paper's own lie in ../figures, and nothing else of the study is read. ``claims`` is None
    where the study tests none.

    Raises DataError when a file of such a figure is missing or broken.
    """
    published = PAPERS[paper]
    folder = output.parents[1] / "figures"
    own = [name for name in published.figures if name in set(figures)]
    tested = [] if claims is None else claims.of(paper)
    return write_html(
        output,
        "paper.html",
        study=study,
        paper=published,
        own={name: _figure(folder / name, study) for name in own},
        number=number,
        claims=tested,
        summary=summary(tested),
        claims_by_figure={
            name: [claim for claim in tested if claim.figure == name] for name in published.figures
        },
    )


def _figure(stem: Path, study: str) -> dict[str, Any]:
    for suffix in ("html", "svg"):
        require(f"{stem}.{suffix}")
    published = read_published(stem)
    return {
        "title": published["title"],
        "caption": published["caption"],
        "command": f"make reports/{study}/figures/{stem.name}.html",
    }
