"""Bars of eigenvalues show which of them span a landscape."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from topograph.plotting.eigenvalues import UNUSED, draw_eigenvalues


def test_bars_are_the_eigenvalues_and_the_rest_is_grey() -> None:
    axes = Figure().add_subplot()
    values = np.array([9.0, -7.0, 3.0, 1.0])
    bars = draw_eigenvalues(axes, values, {"3-D": 3, "2-D": 2})
    assert [bar.get_height() for bar in bars] == values.tolist()
    grey = [to_hex(bar.get_facecolor()) == to_hex(UNUSED) for bar in bars]
    assert grey == [False, False, False, True]
    assert [text.get_text() for text in axes.texts] == ["2-D", "3-D"]
    ends = [line.get_xdata()[-1] for line in axes.lines[1:]]
    assert ends == [2.35, 3.35]


def test_without_landscapes_no_eigenvalue_is_marked() -> None:
    axes = Figure().add_subplot()
    draw_eigenvalues(axes, np.array([-2.0, -1.0]), {})
    assert not axes.texts
