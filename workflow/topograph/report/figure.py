"""Figures: a notebook publishes each as SVG, PDF and the values it shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from topograph.foundation.errors import DataError, TopographError
from topograph.foundation.storage import atomic, read_json, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class NothingToDraw(TopographError):
    """No result that a notebook could draw, as where every training diverged, and why."""


def publish(
    figure: Figure, output: str | Path, *, title: str, caption: str, values: dict[str, Any]
) -> None:
    """Write ``<output>.svg``, ``<output>.pdf`` and ``<output>.values.json``, and close the figure.

    ``output`` is a path without suffix, such as reports/study/figures/tlp-fig3. ``values`` holds
    the numbers that the figure shows; NaN and infinity become null. Equal figures give equal bytes.

    Raises TopographError when the files cannot be written.
    """
    from matplotlib import pyplot as plt

    from topograph.plotting.style import figure_style

    # The time of drawing would make equal figures differ.
    metadata = {
        "svg": {"Title": title, "Date": None},
        "pdf": {"Title": title, "CreationDate": None},
    }
    with figure_style():
        for kind, entries in metadata.items():
            with atomic(f"{output}.{kind}") as temporary:
                figure.savefig(temporary, format=kind, metadata=entries)
    plt.close(figure)
    write_json(f"{output}.values.json", {"title": title, "caption": caption, "values": values})


def publish_nothing(output: str | Path, *, title: str, reason: str) -> None:
    """Publish a figure that only says why there is nothing to draw; raises as ``publish`` does."""
    from matplotlib import pyplot as plt

    from topograph.plotting.style import figure_style

    with figure_style():
        figure = plt.figure(figsize=(7, 1.2))
        figure.text(0.5, 0.5, reason, ha="center", va="center", wrap=True)
    publish(figure, output, title=title, caption=reason, values={})


def read_published(output: str | Path) -> dict[str, Any]:
    """Return title, caption and values of a published figure.

    Raises DataError when ``<output>.values.json`` is missing, broken, or lacks one of them.
    """
    path = f"{output}.values.json"
    content = read_json(path)
    if not isinstance(content, dict) or not {"title", "caption", "values"} <= content.keys():
        raise DataError(
            f"{path} does not hold title, caption and values; remake it: make {output}.html"
        )
    return content
