"""Published numbers as the papers print them."""

from __future__ import annotations

import numpy as np
import pytest
from planted import RATES, UNET_RATES

from topograph.claims.profiles import FAILED
from topograph.claims.published import (
    BETAS,
    companion_numbers,
    pinn_errors,
    residual_numbers,
    unet_accuracy,
)
from topograph.claims.statistics import transition


def test_the_published_tables_have_the_printed_shapes_and_values() -> None:
    errors = pinn_errors()
    assert errors.shape == (5, 14) and tuple(errors.columns) == BETAS
    assert tuple(errors.index) == RATES
    assert errors.loc[1.0, 1.0] == 2.6e-5 and errors.loc[0.01, 6.0] == 8.0e-3
    assert errors.loc[0.0001, 4.0] == 0.28 and errors.loc[0.001, 50.0] == 1.0
    accuracy = unet_accuracy()
    assert accuracy.shape == (7, 7) and tuple(accuracy.index) == UNET_RATES
    assert accuracy.loc[0.001].tolist() == [67.9, 83.4, 85.7, 87.1, 87.6, 87.9, 87.9]
    assert accuracy.loc[0.0001, 29] == 82.8
    numbers = companion_numbers()
    assert numbers.shape == (10, 5) and list(numbers.index) == list(range(1, 11))
    assert numbers.loc[10.0, "saddles"] == 27 and numbers.loc[9.0, "mean_persistence"] == 12100
    assert numbers.loc[7.0, ["absolute_error", "top_eigenvalue", "trace"]].tolist() == [
        0.425, 3350, 3850,
    ]  # fmt: skip
    residual = residual_numbers()
    assert residual.loc["without", ["saddles", "test_accuracy"]].tolist() == [26, 0.9]
    assert residual.loc["with", ["saddles", "top_eigenvalue"]].tolist() == [1.5, 2850]


def test_the_published_errors_jump_where_a_network_counts_as_failed() -> None:
    """Between beta 6 and 7; at 0.001 beta 6, at sqrt(0.031), is just beyond the threshold."""
    between = {1.0: 42, 0.1: 42, 0.01: 42, 0.001: 30, 0.0001: 12}
    for rate, errors in np.sqrt(pinn_errors()).iterrows():
        assert 10 ** transition(BETAS, errors, FAILED) == pytest.approx(between[rate] ** 0.5)
