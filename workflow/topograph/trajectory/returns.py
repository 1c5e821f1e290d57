"""Return statistics: whether a trajectory goes back to the minimum or away, in parameter space."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from topograph.foundation.errors import TopographError

FloatArray = NDArray[np.float64]


def return_statistics(gram: ArrayLike, origin: int = 0) -> dict[str, FloatArray]:
    """Return distance, direction and heading of one trajectory relative to its jump.

    ``gram`` is (..., E+1, E+1): inner products of theta_e - theta_o, theta_o being the minimum
    and index ``origin`` the point right after the jump. Each result is (..., E+1), without unit:

    - ``relative_distance``  |theta_e - theta_o| over the jump's length; above 1 is outward
    - ``cosine``             of the offset with the jump
    - ``radial``, ``lateral`` parts of the relative distance along and across the jump
    - ``back``               cosine of the path since the jump with the way back

    A quantity without a direction is NaN: ``back`` where the point has not moved, ``cosine`` at
    the minimum, everything where there was no jump.
    Raises TopographError where ``gram`` is not square or ``origin`` lies outside it.
    Source: trajectories of Horoi et al. 2022 (arXiv 2102.00485), read without an embedding.
    """
    gram = _checked(gram, origin)
    squared = np.diagonal(gram, axis1=-2, axis2=-1)
    along = gram[..., origin]
    jump = squared[..., origin, None]
    jump = np.where(jump > 0, jump, np.nan)
    # Rounding can leave the square of a tiny path below zero.
    moved = np.maximum(jump - 2 * along + squared, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.sqrt(squared / jump)
        radial = along / jump
        return {
            "relative_distance": relative,
            "cosine": np.clip(along / np.sqrt(squared * jump), -1.0, 1.0),
            "radial": radial,
            "lateral": np.sqrt(np.maximum(relative**2 - radial**2, 0.0)),
            "back": np.clip((jump - along) / np.sqrt(jump * moved), -1.0, 1.0),
        }


def _checked(gram: ArrayLike, origin: int) -> FloatArray:
    gram = np.asarray(gram, dtype=np.float64)
    if gram.ndim < 2 or gram.shape[-1] != gram.shape[-2]:
        raise TopographError(
            f"the Gram matrix has shape {gram.shape}; allowed: (..., E+1, E+1); "
            "pass the inner products of one trajectory's offsets from the minimum"
        )
    if not 0 <= origin < gram.shape[-1]:
        raise TopographError(
            f"origin is {origin}; allowed: 0 to {gram.shape[-1] - 1}; "
            "pass the index of the point right after the jump"
        )
    return gram
