"""The interactive page of a run's slices: their surfaces, to be turned, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import plotly.io
import xarray as xr
from markupsafe import Markup

from topograph.plotting.surface import draw_surfaces, planes
from topograph.report.page import write_html


def write_surface_page(
    output: str | Path, dataset: xr.Dataset, *, study: str, analysis: str, labels: Sequence[str]
) -> None:
    """Write a page, without outside parts, that shows every plane of every seed as a surface.

    ``dataset`` is the result of an analysis of kind slices; ``labels`` name the run in its
    experiments. The page holds plotly.js, 5 MB. Equal results give equal bytes. Without any, as
    where every training diverged, it says so. Raises TopographError for another result, and where
    the output cannot be written.
    """
    drawn = planes(dataset) if len(dataset.data_vars) else []
    figure = drawn and plotly.io.to_html(
        draw_surfaces(drawn),
        full_html=False,
        include_plotlyjs=True,
        # A random one would make equal pages differ.
        div_id="surface",
        # Since plotly.js 4 a button would send the figure away.
        config={"responsive": True, "displaylogo": False, "showSendToCloud": False},
    )
    write_html(
        Path(output),
        "surface.html",
        figure=Markup(figure) if drawn else None,
        stem=Path(output).name.removesuffix(".html"),
        study=study,
        run=dataset.attrs["run"],
        analysis=analysis,
        title=" · ".join(dict.fromkeys(labels)) or dataset.attrs["run"],
        planes=len(drawn),
        losses=sum(plane.loss.size for plane in drawn),
        not_finite=sum(plane.not_finite for plane in drawn),
        has_path=any(len(plane.path) for plane in drawn),
    )
