"""Pictures of merge trees hold the segments of their tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from topograph.plotting.style import UNRESOLVED
from topograph.plotting.tree import LINE, draw_tree
from topograph.topology.merge_tree import merge_tree
from topograph.topology.profile import profile


@pytest.fixture
def lines() -> pd.DataFrame:
    return profile(merge_tree([1.0, 2, 6, 3, 7], "axis")).tree_lines()


def ends(lines: pd.DataFrame) -> list[list[float]]:
    return lines[["x0", "y0", "x1", "y1"]].to_numpy().tolist()


def test_segments_are_those_of_the_table(lines: pd.DataFrame) -> None:
    for table in (lines, lines.assign(resolved=True)):
        artist = draw_tree(Figure().add_subplot(), table)
        assert np.reshape(artist.get_segments(), (-1, 4)).tolist() == ends(lines)
        assert np.all(artist.get_colors() == to_rgba(LINE))


def test_unresolved_branches_are_grey_and_below_the_rest(lines: pd.DataFrame) -> None:
    resolved = lines["branch"] == 0
    artist = draw_tree(Figure().add_subplot(), lines.assign(resolved=resolved))
    drawn = np.reshape(artist.get_segments(), (-1, 4)).tolist()
    assert drawn == ends(lines[~resolved]) + ends(lines[resolved])
    grey = np.all(artist.get_colors() == to_rgba(UNRESOLVED), axis=1)
    assert grey.tolist() == [True] * 2 + [False] * 3
