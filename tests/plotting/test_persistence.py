"""Barcodes and diagrams: every pair once, at its birth and death."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from topograph.foundation.errors import TopographError
from topograph.plotting.persistence import draw_barcode, draw_diagram
from topograph.plotting.style import COLOURS, UNRESOLVED
from topograph.topology.merge_tree import merge_tree

PAIRS = pd.DataFrame({"dim": [1, 0, 0, 0], "birth": [2.0, 3, 1, 2], "death": [4.0, 5, np.inf, 2.5]})


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


def bars(artist) -> list[list[float]]:
    """Place, birth and upper end of each bar, which must be upright."""
    segments = np.array(artist.get_segments())
    assert (segments[:, 0, 0] == segments[:, 1, 0]).all()
    return np.column_stack([segments[:, 0], segments[:, 1, 1]]).tolist()


def test_bars_are_ordered_by_dimension_and_birth(axes: Axes) -> None:
    first, second = draw_barcode(axes, PAIRS)
    top = axes.get_ylim()[1]
    assert bars(first) == [[1, 1, top], [2, 2, 2.5], [3, 3, 5]] and top > 5
    assert bars(second) == [[4, 2, 4]]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["H0", "H1"]
    assert axes.get_xlim()[0] < 1 and axes.get_xlim()[1] > 4
    assert axes.get_ylim()[0] < 1


def heads(axes: Axes) -> list[list[float]]:
    offsets = [artist.get_offsets() for artist in axes.collections if artist.get_paths()]
    return [place for places in offsets for place in np.asarray(places).tolist() if place != [0, 0]]


@pytest.mark.parametrize("superlevel", [False, True])
def test_an_arrow_head_lies_at_the_end_of_essential_bars_alone(
    axes: Axes, superlevel: bool
) -> None:
    pairs = merge_tree([1.0, 2, 6, 3, 7, 0], "axis", superlevel=superlevel).pairs
    (artist,) = draw_barcode(axes, pairs)
    place = 1 + sorted(pairs["birth"]).index(pairs["birth"][0])
    end = axes.get_ylim()[0 if superlevel else 1]
    assert heads(axes) == [[place, end]]
    assert [place, pairs["birth"][0], end] in bars(artist)
    finite = pairs[np.isfinite(pairs["death"])]
    drawn = {(birth, death) for _, birth, death in bars(artist) if death != end}
    assert drawn == set(zip(finite["birth"], finite["death"], strict=True))


def test_a_logarithmic_barcode_has_losses_above_0(axes: Axes) -> None:
    (artist,) = draw_barcode(axes, PAIRS[["birth", "death"]], log=True)
    assert axes.get_yscale() == "log" and 0 < axes.get_ylim()[0] < 1
    assert len(bars(artist)) == 4 and axes.get_legend() is None
    with pytest.raises(TopographError, match="log=False"):
        draw_barcode(axes, PAIRS.assign(birth=0.0), log=True)


def test_many_bars_are_thinner_and_no_bars_are_an_empty_frame(axes: Axes) -> None:
    many = pd.DataFrame({"birth": np.arange(500.0), "death": np.arange(500.0) + 1})
    (thin,), (thick,) = draw_barcode(axes, many), draw_barcode(axes, many[:3])
    assert thin.get_linewidth()[0] < thick.get_linewidth()[0] / 5
    assert draw_barcode(axes, many[:0]) == []
    axes.figure.draw_without_rendering()


@pytest.mark.parametrize("draw", [draw_diagram, draw_barcode])
def test_unresolved_pairs_are_grey_and_named(axes: Axes, draw) -> None:
    resolved = [False, True, True, False]
    draw(axes, PAIRS.assign(resolved=resolved))
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    essential = ["H0, essential"] if draw is draw_diagram else []
    assert labels == ["H0", "H0, unresolved", *essential, "H1, unresolved"]
    by_label = {artist.get_label(): artist for artist in axes.collections}
    for label, colour in (("H0", COLOURS[0]), ("H0, unresolved", UNRESOLVED)):
        artist = by_label[label]
        shown = artist.get_facecolor() if draw is draw_diagram else artist.get_colors()
        assert [tuple(row) for row in shown] == [to_rgba(colour)]
    grey = by_label["H0, unresolved"]
    if draw is draw_diagram:
        assert grey.get_offsets().tolist() == [[2, 2.5]]
        assert grey.get_zorder() < by_label["H0"].get_zorder()
    else:
        assert bars(grey) == [[2, 2, 2.5]] and bars(by_label["H1, unresolved"]) == [[4, 2, 4]]


@pytest.mark.parametrize("draw", [draw_diagram, draw_barcode])
def test_with_all_pairs_resolved_nothing_changes(draw) -> None:
    pictures = [Figure().add_subplot(), Figure().add_subplot()]
    plain, flagged = draw(pictures[0], PAIRS), draw(pictures[1], PAIRS.assign(resolved=True))
    for one, other in zip(plain, flagged, strict=True):
        assert one.get_label() == other.get_label() and one.get_zorder() == other.get_zorder()
        assert np.array_equal(one.get_offsets(), other.get_offsets())
        assert np.array_equal(one.get_facecolor(), other.get_facecolor())


def test_diagram_shows_every_pair_once(axes: Axes) -> None:
    pairs = pd.DataFrame({"dim": [0, 0, 1], "birth": [0.0, 1, 2], "death": [np.inf, 3.0, 4.0]})
    artists = draw_diagram(axes, pairs)
    places = {a.get_label(): a.get_offsets().tolist() for a in artists}
    assert places["H0"] == [[1, 3]] and places["H1"] == [[2, 4]]
    [[birth, top]] = places["H0, essential"]
    assert birth == 0 and top > 4
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["H0", "H0, essential", "H1"]


@pytest.mark.parametrize("superlevel", [False, True])
def test_diagram_of_a_tree_puts_essential_pairs_beyond_the_rest(
    axes: Axes, superlevel: bool
) -> None:
    pairs = merge_tree([1.0, 2, 6, 3, 7, 0], "axis", superlevel=superlevel).pairs
    finite, essential = draw_diagram(axes, pairs)
    line = essential.get_offsets()[:, 1]
    deaths = finite.get_offsets()[:, 1]
    assert np.all(line < deaths.min()) if superlevel else np.all(line > deaths.max())


def test_a_logarithmic_diagram_has_its_lines_around_all_pairs(axes: Axes) -> None:
    pairs = pd.DataFrame({"birth": [1e-4, 2.0], "death": [np.inf, 30.0]})
    _, essential = draw_diagram(axes, pairs, log=True)
    assert axes.get_xscale() == axes.get_yscale() == "log"
    (start, end), _ = axes.lines[0].get_data()
    assert 0 < start < 1e-4 and 30 < end < 300
    assert essential.get_offsets()[0].tolist() == [1e-4, end]
    with pytest.raises(TopographError, match="log=False"):
        draw_diagram(axes, pairs.assign(birth=0.0), log=True)


def test_diagram_without_pairs_is_an_empty_frame(axes: Axes) -> None:
    assert draw_diagram(axes, pd.DataFrame({"birth": [], "death": []})) == []
    axes.figure.canvas.draw()
