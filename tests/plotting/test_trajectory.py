"""Trajectory pictures: what is drawn carries the numbers of the table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from topograph.foundation.errors import TopographError
from topograph.plotting.trajectory import draw_embedding, draw_returns


@pytest.fixture
def axes():
    return Figure().subplots()


@pytest.fixture
def frame():
    ray, step, epoch = np.indices((3, 2, 5)).reshape(3, -1)
    step = 0.5 * (step + 1)
    radius = step * (1 - epoch / 8)
    table = {
        "x": radius * np.cos(ray),
        "y": radius * np.sin(ray),
        "ray": ray,
        "step": step,
        "epoch": epoch,
        "relative_distance": 1 - epoch / 8 + 0.1 * ray * epoch,
    }
    # The order of rows must not matter.
    return pd.DataFrame(table).sample(frac=1, random_state=0)


def test_embedding_draws_a_line_per_trajectory_in_order_of_epochs(axes, frame):
    artists = draw_embedding(axes, frame)
    lines = [artist for artist in artists if isinstance(artist, LineCollection)]
    assert len(lines) == 6
    first = frame.query("ray == 0 and step == 0.5").sort_values("epoch")
    segments = np.array(lines[0].get_segments())
    assert np.allclose(segments[:, 0], first[["x", "y"]][:-1])
    assert np.allclose(segments[:, 1], first[["x", "y"]][1:])


def test_embedding_fades_a_hue_per_ray(axes, frame):
    artists = draw_embedding(axes, frame)
    colours = [artist.get_colors()[:, :3] for artist in artists[:6]]
    for colour in colours:
        assert (np.diff(colour.sum(axis=1)) > 0).all()
        assert colour.max(axis=0).min() < 1
    assert np.array_equal(colours[0], colours[1])
    assert not np.array_equal(colours[0], colours[2])


def test_embedding_marks_starts_by_diamonds_sized_by_step(axes, frame):
    diamonds = [a for a in draw_embedding(axes, frame) if isinstance(a, PathCollection)]
    assert [a.get_label() for a in diamonds] == ["ray 0", "ray 1", "ray 2"]
    largest_first = frame.query("ray == 1 and epoch == 0").sort_values("step", ascending=False)
    assert np.allclose(diamonds[1].get_offsets(), largest_first[["x", "y"]])
    assert (np.diff(diamonds[1].get_sizes()) < 0).all()


def test_embedding_shows_every_point_without_ticks_at_equal_scale(axes, frame):
    draw_embedding(axes, frame)
    axes.figure.draw_without_rendering()
    assert axes.get_aspect() == 1
    assert not len(axes.get_xticks())
    assert not len(axes.get_yticks())
    low, high = axes.get_xlim()
    assert low <= frame["x"].min() < frame["x"].max() <= high


def test_returns_draw_mean_and_range_per_step(axes, frame):
    reference, line, band, *rest = draw_returns(axes, frame)
    assert len(rest) == 2
    assert list(reference.get_ydata()) == [1, 1]
    epochs = np.arange(5)
    assert np.allclose(line.get_xdata(), epochs)
    assert np.allclose(line.get_ydata(), 1 - epochs / 8 + 0.1 * epochs)
    outline = band.get_paths()[0].vertices
    at_end = outline[outline[:, 0] == 4, 1]
    assert np.isclose(at_end.min(), 0.5)
    assert np.isclose(at_end.max(), 0.5 + 0.8)
    assert line.get_label() == "step 0.5"
    assert to_rgb(line.get_color()) != to_rgb(rest[0].get_color())


def test_returns_count_what_is_not_finite_and_skip_the_control(axes, frame):
    control = frame.query("step == 0.5").assign(step=0.0, relative_distance=np.nan)
    frame.loc[frame.query("step == 1 and ray == 2 and epoch > 2").index, "relative_distance"] = (
        np.inf
    )
    artists = draw_returns(axes, pd.concat([control, frame]))
    labels = [artist.get_label() for artist in artists[1::2]]
    assert labels == ["step 0.5", "step 1 (2 points not finite)"]
    assert np.isfinite(artists[3].get_ydata()).all()


@pytest.mark.parametrize("draw", [draw_embedding, draw_returns])
def test_missing_columns_are_named(axes, frame, draw):
    with pytest.raises(TopographError, match="column.* epoch"):
        draw(axes, frame.drop(columns="epoch"))
