"""The interactive page in a real browser: one basin, marked in every panel, whatever points at it.

The `page` fixture fails a test that logs an error or asks for anything but the file itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from topograph.report.profile_page import profile_data, write_profile_page
from topograph.topology.merge_tree import merge_tree

PANELS = ("profile", "tree", "diagram", "surface")
PHONE = 390
ASKED = {
    "run": "a-run",
    "directions": "random",
    "normalization": "none",
    "examples": "all",
    "objective": "data",
    "batch_norm": "centre",
    "dtype": "float64",
}


def wells(points: int, dimensions: int, height: float) -> np.ndarray:
    """A bowl with four wells; the deepest lies at alpha_1 = 0.5, alpha_2 = -0.5."""
    axes = np.meshgrid(*[np.linspace(-1, 1, points)] * dimensions, indexing="ij")
    loss = height + sum((0.3 + 0.1 * i) * axis**2 for i, axis in enumerate(axes))
    places = ((0.5, -0.5, 2.0), (-0.5, -0.5, 1.6), (-0.6, 0.6, 1.3), (0.4, 0.5, 1.0))
    for first, second, depth in places:
        squared = (axes[0] - first) ** 2 + (axes[1] - second) ** 2
        squared = squared + sum(axis**2 for axis in axes[2:])
        loss = loss - depth * np.exp(-squared / 0.05)
    return loss


def landscape_of(fields: np.ndarray) -> xr.Dataset:
    names = [f"alpha_{i + 1}" for i in range(fields.ndim - 2)]
    alphas = {name: np.linspace(-1, 1, fields.shape[-1]) for name in names}
    return xr.Dataset(
        {"loss": (["seed", "epoch", *names], fields)},
        coords={"seed": [3, 7], "epoch": [0, 20][: fields.shape[1]], **alphas},
        attrs=ASKED | {"dimensions": len(names)},
    )


def pairs_of(landscape: xr.Dataset) -> pd.DataFrame:
    tables = []
    for seed in landscape["seed"].values:
        for epoch in landscape["epoch"].values:
            values = landscape["loss"].sel(seed=seed, epoch=epoch).values
            if np.isfinite(values).any():
                pairs = merge_tree(values).pairs
                long = pairs["death"] - pairs["birth"] > 0.8
                tables.append(pairs.assign(resolved=long, seed=seed, epoch=epoch))
    return pd.concat(tables)


class Written:
    """A page on disk and the numbers that it must show."""

    def __init__(self, path: Path, landscape: xr.Dataset) -> None:
        pairs = pairs_of(landscape)
        options = {"study": "demo", "analysis": "random-2d", "labels": ["four wells"]}
        write_profile_page(path, landscape, pairs, connectivity="freudenthal", **options)
        self.address = path.as_uri()
        self.landscapes = profile_data(landscape, pairs, "freudenthal")["landscapes"]

    def basins(self, number: int) -> list[dict[str, Any]]:
        return self.landscapes[number]["basins"]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Seed 3 at epochs 0 and 20, seed 7 at epoch 0, where losses are negative, and diverged."""
    grids = [wells(21, 2, 2.5), wells(21, 2, 3.5), wells(21, 2, 1.0), np.full((21, 21), np.nan)]
    grids[1][:4, 16:] = np.nan
    return Written(tmp_path / "a.html", landscape_of(np.reshape(grids, (2, 2, 21, 21))))


def marked(page: Any, panel: str) -> set[str]:
    """The basins that a panel marks."""
    found = page.eval_on_selector_all(
        f"#{panel} .over [data-basin]", "all => all.map(node => node.dataset.basin)"
    )
    return set(found)


def point_at(page: Any, panel: str, basin: int) -> None:
    """Move the mouse to a basin's own dot in a panel."""
    kind = "point" if panel == "diagram" else "minimum"
    dot = page.locator(f'#{panel} .{kind}[data-basin="{basin}"]').first
    dot.scroll_into_view_if_needed()
    box = dot.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def told(page: Any) -> str:
    return " ".join(page.locator("#tooltip").inner_text().split())


def expected(basin: dict[str, Any]) -> list[str]:
    return [
        f"Minimum loss {basin['loss']}",
        f"Saddle loss {basin['saddle']}" if "saddle" in basin else "Saddle none",
        f"Depth {basin['depth']}" if "depth" in basin else "Depth infinite",
        f"Volume {basin['volume']} of 441 grid points",
        "α₁ = {:g}, α₂ = {:g}".format(*basin["alpha"]),
    ]


@pytest.mark.parametrize("panel", PANELS)
def test_pointing_marks_the_same_basin_everywhere(page: Any, written: Written, panel: str) -> None:
    page.goto(written.address)
    basins = written.basins(0)
    assert len(basins) >= 4
    for number, basin in enumerate(basins):
        point_at(page, panel, number)
        for other in PANELS:
            assert marked(page, other) == {str(number)}, other
        for text in expected(basin):
            assert text in told(page)
        note = "not resolved: shorter than the error of the arithmetic" in told(page)
        assert note == basin.get("unresolved", False)
    assert 0 < sum(basin.get("unresolved", False) for basin in basins) < len(basins)
    page.mouse.move(2, 2)
    assert page.locator("#tooltip").is_hidden()
    assert not any(marked(page, other) for other in PANELS)


def test_the_surface_has_alpha_1_to_the_right_and_alpha_2_upwards(
    page: Any, written: Written
) -> None:
    page.goto(written.address)
    page.locator("#surface").scroll_into_view_if_needed()
    image = page.locator("#surface image").bounding_box()
    deepest = min(range(len(written.basins(0))), key=lambda i: written.basins(0)[i]["loss"])
    # Cell 15 of 21 from the left, and 15 from the top, since alpha_2 is negative.
    x = image["x"] + image["width"] * 15.5 / 21
    y = image["y"] + image["height"] * 15.5 / 21
    box = page.locator(f'#surface .minimum[data-basin="{deepest}"]').bounding_box()
    assert abs(box["x"] + box["width"] / 2 - x) < 2
    assert abs(box["y"] + box["height"] / 2 - y) < 2
    # A corner of the cell, where no dot lies.
    page.mouse.move(x - image["width"] * 0.4 / 21, y - image["height"] * 0.4 / 21)
    assert marked(page, "profile") == {str(deepest)}
    darkest = page.evaluate(
        """async () => {
          const image = new Image();
          image.src = document.querySelector("#surface image").getAttribute("href");
          await image.decode();
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [image.width, image.height];
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          const pixels = context.getImageData(0, 0, image.width, image.height).data;
          let best = 0;
          for (let i = 0; i < pixels.length; i += 4) {
            if (pixels[i + 2] < pixels[best + 2]) best = i;
          }
          return [(best / 4) % image.width, Math.floor(best / 4 / image.width)];
        }"""
    )
    assert darkest == [15, 15]


def test_the_selectors_switch_seed_and_epoch(page: Any, written: Written) -> None:
    page.goto(written.address)
    state = page.locator("#state")
    assert "Seed 3, epoch 0" in state.inner_text()
    page.select_option("#epoch", "20")
    assert "20 grid points without a finite loss are left out" in state.inner_text()
    page.select_option("#epoch", "0")
    page.select_option("#seed", "7")
    assert "Seed 7, epoch 0" in state.inner_text()
    point_at(page, "profile", 1)
    assert f"Minimum loss {written.basins(2)[1]['loss']}" in told(page)
    page.select_option("#epoch", "20")
    assert "diverged. No loss is finite" in state.inner_text()
    assert page.locator("#profile").is_hidden()
    page.select_option("#epoch", "0")
    assert page.locator("#profile").is_visible()


def test_the_loss_is_logarithmic_where_it_can_be(page: Any, written: Written) -> None:
    page.goto(written.address)
    switch = page.locator("#logarithmic")
    # One of the landscapes has losses below 0.
    assert switch.is_enabled() and not switch.is_checked()
    highest = page.evaluate("landscape.high")
    ys = {}
    for checked in (False, True):
        switch.set_checked(checked)
        dots = page.eval_on_selector_all(
            "#tree .minimum", "all => all.map(dot => Number(dot.getAttribute('cy')))"
        )
        ys[checked] = np.array(dots)
    losses = np.array([basin["loss"] for basin in written.basins(0)])
    low = losses.min()
    for checked, scale in ((False, np.asarray), (True, np.log)):
        share = (scale(losses) - scale(low)) / (scale(highest) - scale(low))
        bottom = ys[checked].max()
        slope = (bottom - ys[checked])[share > 0] / share[share > 0]
        assert slope == pytest.approx(slope[0], rel=1e-3)
    page.select_option("#seed", "7")
    assert switch.is_disabled()


def test_arrow_keys_go_from_basin_to_basin(page: Any, written: Written) -> None:
    page.goto(written.address)
    page.locator("#logarithmic").focus()
    for panel in PANELS:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == panel
        assert marked(page, panel) == {"0"}
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")
        assert all(marked(page, other) == {"1"} for other in PANELS)
        assert f"Minimum loss {written.basins(0)[1]['loss']}" in told(page)
        page.keyboard.press("End")
        assert marked(page, "profile") == {str(len(written.basins(0)) - 1)}
        page.keyboard.press("Escape")
        assert page.locator("#tooltip").is_hidden()


def test_a_tap_stays_marked(browser: Any, written: Written) -> None:
    context = browser.new_context(has_touch=True, viewport={"width": PHONE, "height": 800})
    page = context.new_page()
    page.goto(written.address)
    page.locator('#diagram .point[data-basin="2"]').tap()
    assert all(marked(page, panel) == {"2"} for panel in PANELS)
    assert f"Minimum loss {written.basins(0)[2]['loss']}" in told(page)
    box = page.locator("#tooltip").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    context.close()


def test_three_directions_have_no_surface(page: Any, tmp_path: Path) -> None:
    fields = np.stack([wells(9, 3, 2.5), wells(9, 3, 3.5)])[:, None]
    written = Written(tmp_path / "a.html", landscape_of(fields))
    page.goto(written.address)
    assert page.locator("#surface").count() == 0
    assert "Not drawn: the landscape has 3 directions" in page.locator("#panels").inner_text()
    point_at(page, "tree", 0)
    assert all(marked(page, panel) == {"0"} for panel in PANELS[:3])
    assert "α₃ = " in told(page)


def test_every_panel_and_choice_has_a_name(page: Any, written: Written) -> None:
    page.goto(written.address)
    assert page.title().startswith("four wells: interactive landscape profile")
    for panel in PANELS:
        assert page.locator(f"#{panel}").get_attribute("aria-label")
    for label in ("Seed", "Epoch", "logarithmic loss"):
        assert page.get_by_label(label, exact=True).count() == 1
