"""The interactive surfaces show the losses that they were given, and ask for nothing outside."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import plotly.io
import pytest
import xarray as xr

from topograph.foundation.errors import TopographError
from topograph.plotting.surface import draw_surfaces, planes
from topograph.report.surface_page import write_surface_page

POINTS = {"plane_1": 5, "plane_2": 5, "path_1": 7, "path_2": 7}


def bowl(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A paraboloid that is steeper along the second axis."""
    return 1.0 + first[:, None] ** 2 + 3.0 * second[None, :] ** 2


@pytest.fixture
def slices() -> xr.Dataset:
    """Two seeds with two random planes each; the first kept a path, the second did not."""
    axes = {name: np.linspace(-1, 1, count) for name, count in POINTS.items()}
    random = bowl(2.0 * axes["plane_1"], 0.5 * axes["plane_2"])
    path = bowl(4.0 * axes["path_1"], 3.0 * axes["path_2"])
    missing = np.full_like(path, np.nan)
    at = np.array([[0.75, -0.5], [0.25, 0.25], [0.0, 0.0]])
    return xr.Dataset(
        {
            "plane_loss": (
                ("seed", "plane", "plane_1", "plane_2"),
                np.stack([[random, 2 * random], [3 * random, 4 * random]]),
            ),
            "plane_distance": (("seed", "plane_axis"), [[2.0, 0.5], [2.0, 0.5]]),
            "plane_center_loss": ("seed", [1.0, 3.0]),
            "path_loss": (("seed", "path_1", "path_2"), np.stack([path, missing])),
            "path_distance": (("seed", "path_axis"), [[4.0, 3.0], [np.nan, np.nan]]),
            "path_center_loss": ("seed", [1.0, np.nan]),
            "path": (("seed", "epoch", "path_axis"), np.stack([at, np.full_like(at, np.nan)])),
        },
        {"seed": [0, 4], "epoch": [0, 5, 9], **axes},
        {"run": "digits-mlp-0123456789"},
    )


def test_every_plane_is_there_by_name(slices: xr.Dataset) -> None:
    names = [plane.name for plane in planes(slices)]
    assert names == [
        "seed 0, random plane 1",
        "seed 0, random plane 2",
        "seed 0, plane of the optimiser's path",
        "seed 4, random plane 1",
        "seed 4, random plane 2",
    ]
    menu = draw_surfaces(planes(slices)).layout.updatemenus[0]
    assert [button.label for button in menu.buttons] == names


def test_a_surface_has_the_losses_at_their_places(slices: xr.Dataset) -> None:
    surfaces = [t for t in draw_surfaces(planes(slices)).data if t.type == "surface"]
    scales, reaches = [1, 2, 1, 3, 4], [(2.0, 0.5), (2.0, 0.5), (4.0, 3.0), (2.0, 0.5), (2.0, 0.5)]
    for trace, scale, reach in zip(surfaces, scales, reaches, strict=True):
        # Rows of a surface go along y.
        expected = scale * (1.0 + trace.x[None, :] ** 2 + 3.0 * trace.y[:, None] ** 2)
        np.testing.assert_allclose(trace.z, expected, rtol=1e-15)
        assert (trace.x.max(), trace.y.max()) == reach


def test_the_path_lies_on_its_plane(slices: xr.Dataset) -> None:
    (path,) = (plane.path for plane in planes(slices) if len(plane.path))
    np.testing.assert_array_equal(path[:, 0], [0, 5, 9])
    np.testing.assert_allclose(path[:, 1:3], [[3.0, -1.5], [1.0, 0.75], [0.0, 0.0]])
    # Between the points of a grid a paraboloid is linear: above it by the parts of the squares.
    exact = 1.0 + path[:, 1] ** 2 + 3.0 * path[:, 2] ** 2
    assert path[2, 3] == exact[2] == 1.0
    widest = (4.0 / 3) ** 2 / 4 + 3.0 / 4
    assert ((path[:, 3] >= exact) & (path[:, 3] <= exact + widest)).all()


def test_each_choice_shows_one_plane_and_its_trained_model(slices: xr.Dataset) -> None:
    figure = draw_surfaces(planes(slices))
    buttons = figure.layout.updatemenus[0].buttons
    shown = np.array([button.args[0]["visible"] for button in buttons])
    np.testing.assert_array_equal(shown.sum(axis=0), 1)
    assert [trace.visible for trace in figure.data] == shown[0].tolist()
    heights = [1.0, 1.0, 1.0, 3.0, 3.0]
    for visible, height in zip(shown, heights, strict=True):
        own = [trace for trace, is_shown in zip(figure.data, visible, strict=True) if is_shown]
        assert own[0].type == "surface"
        assert [(t.x[0], t.y[0], t.z[0]) for t in own if t.name == "trained model"] == [
            (0.0, 0.0, height)
        ]


def test_the_height_has_a_linear_and_a_logarithmic_scale(slices: xr.Dataset) -> None:
    menu = draw_surfaces(planes(slices)).layout.updatemenus[1]
    scales = [button.args[0] for button in menu.buttons]
    assert scales == [{"scene.zaxis.type": "linear"}, {"scene.zaxis.type": "log"}]


def test_losses_that_are_not_finite_are_holes_and_counted(
    slices: xr.Dataset, tmp_path: Path
) -> None:
    slices["plane_loss"][0, 1, 0, :2] = [np.nan, np.inf]
    second = planes(slices)[1]
    assert second.not_finite == 2
    (_, trace, *_) = (t for t in draw_surfaces(planes(slices)).data if t.type == "surface")
    assert np.isnan(trace.z[:2, 0]).all() and np.isfinite(trace.z).sum() == 23
    # Colours are ranks: they rise with the loss, and have holes where it has.
    order = np.argsort(trace.z, axis=None)[:23]
    assert (np.diff(trace.surfacecolor.ravel()[order]) >= 0).all()
    np.testing.assert_array_equal(np.isnan(trace.surfacecolor), np.isnan(trace.z))
    html = write(tmp_path / "page.html", slices)
    assert "2 of 149 losses are not finite" in html


def write(path: Path, slices: xr.Dataset) -> str:
    labels = ["digits, <b>wide</b>"]
    write_surface_page(path, slices, study="demo", analysis="slices", labels=labels)
    return path.read_text()


class Outside(HTMLParser):
    """Collects every address that a page would load or link."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "src":
                self.loaded.append(value or "")
            if name == "href":
                self.linked.append(value or "")


def test_the_page_is_one_file_that_asks_for_nothing(slices: xr.Dataset, tmp_path: Path) -> None:
    html = write(tmp_path / "page.html", slices)
    found = Outside(html)
    assert found.loaded == []
    assert '"showSendToCloud": false' in html
    assert "//" not in "".join(found.linked)
    assert "page.manifest.json" in found.linked
    assert "&lt;b&gt;wide" in html and "<b>wide" not in html


def test_the_page_holds_the_figure(slices: xr.Dataset, tmp_path: Path) -> None:
    html = write(tmp_path / "page.html", slices)
    start = re.search(r'Plotly\.newPlot\(\s*"surface",\s*', html)
    decode = json.JSONDecoder().raw_decode
    data, end = decode(html, start.end())
    layout, _ = decode(html, html.index("{", end))
    read = plotly.io.from_json(json.dumps({"data": data, "layout": layout}))
    assert read == draw_surfaces(planes(slices))


def test_equal_results_give_equal_bytes(slices: xr.Dataset, tmp_path: Path) -> None:
    assert write(tmp_path / "a.html", slices) == write(tmp_path / "a.html", slices)


def test_another_result_is_named() -> None:
    with pytest.raises(TopographError, match="a result with loss has no plane_loss"):
        planes(xr.Dataset({"loss": ("x", [1.0])}))


def test_a_run_that_diverged_gets_a_page_that_says_so(tmp_path: Path) -> None:
    page = tmp_path / "digits-mlp-0123456789.slices.html"
    nothing = xr.Dataset(attrs={"run": "digits-mlp-0123456789"})
    write_surface_page(page, nothing, study="tiny", analysis="slices", labels=["fast"])
    assert "Every training of this run diverged" in page.read_text()
    assert "Plotly" not in page.read_text()
