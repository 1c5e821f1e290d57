"""Which persistence pairs the arithmetic can tell from rounding, and whether the grid suffices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from topograph.foundation.errors import TopographError

# Losses in float64 have no more exact ones beside them: the rounding of sums of some thousand
# terms, which are themselves differences, is taken for their relative error.
FLOAT64_ERROR = 1e-13


def resolved(pairs: pd.DataFrame, errors: Mapping[str, float]) -> NDArray[np.bool_]:
    """Return which pairs are longer than the errors of the values can explain, shape (pairs,).

    ``pairs`` has birth and death; ``errors`` has ``error_absolute`` eps, in units of the values,
    and ``error_relative`` r, of a landscape. A pair is resolved if |death - birth| > 2 eps or, for
    values above 0, if |log death - log birth| > -2 log(1 - r). Essential pairs are. Raises
    TopographError for errors that are negative or NaN.
    Source: stability of diagrams (Cohen-Steiner, Edelsbrunner and Harer 2007), for f and log f,
    which have the same pairs.
    """
    absolute, relative = (float(errors[name]) for name in ("error_absolute", "error_relative"))
    if not (absolute >= 0 and relative >= 0):
        raise TopographError(
            f"errors are {absolute:g} absolute and {relative:g} relative; allowed: 0 or more"
        )
    birth, death = pairs["birth"].to_numpy(), pairs["death"].to_numpy()
    relative = max(relative, FLOAT64_ERROR)
    values = np.concatenate([birth, death[np.isfinite(death)]])
    floor = FLOAT64_ERROR * np.abs(values).max(initial=0.0)
    found = np.isinf(death) | (np.abs(death - birth) > 2 * max(absolute, floor))
    if relative < 1:
        positive = (birth > 0) & (death > 0)
        ratio = np.abs(
            np.log(death, where=positive, out=np.zeros_like(death))
            - np.log(birth, where=positive, out=np.zeros_like(birth))
        )
        found |= positive & (ratio > -2 * np.log1p(-relative))
    return found


def undersampled(counts: Mapping[int, float]) -> bool:
    """Return whether the count on the finest of some nested grids differs from that on the next.

    ``counts`` maps points per axis to, say, minima. A single grid tells nothing: False.
    """
    finest = sorted(counts)[-2:]
    return len({counts[points] for points in finest}) > 1
