"""Spectral densities keep the signs apart and say what they cannot resolve."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from topograph.foundation.errors import TopographError
from topograph.landscape import spectrum
from topograph.plotting.density import BUMP, draw_density


def a_spectrum(density: np.ndarray) -> xr.Dataset:
    grid = np.linspace(-1.0, 10.0, len(density))
    return xr.Dataset({"grid": ("point", grid), "density": ("point", density)}).assign(
        density_error=("point", density / 10)
    )


def test_both_signs_lie_on_one_axis() -> None:
    axes = Figure().add_subplot()
    draw_density(axes, a_spectrum(np.ones(1001)))
    above, below = axes.lines
    assert above.get_xdata().max() == pytest.approx(10.0)
    assert below.get_xdata().max() == pytest.approx(1.0)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_the_bump_is_that_of_the_estimate() -> None:
    assert pytest.approx(spectrum.BUMP / (1 + 2 * spectrum.MARGIN)) == BUMP


def test_a_diverged_spectrum_is_refused() -> None:
    with pytest.raises(TopographError, match="diverged"):
        draw_density(Figure().add_subplot(), a_spectrum(np.full(11, np.nan)))
