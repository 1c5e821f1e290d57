"""Do two networks differ on the same test examples, and by how much?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from topograph.foundation.errors import TopographError

PERMUTATIONS = 9_999
# Signs of all permutations at once would take a gigabyte for 10,000 examples.
BLOCKS = 100


class PairedDifference(NamedTuple):
    """Mean difference of two scores over examples, its standard error, two-sided p."""

    difference: float
    standard_error: float
    p: float


def paired_difference(first: np.ndarray, second: np.ndarray, *, seed: int = 0) -> PairedDifference:
    """Compare two score arrays (training seeds, examples) on the same examples.

    Scores are averaged over training seeds, so the examples are the units: the standard error is
    over examples, and p comes from flipping the signs of the example differences at random,
    (1 + hits) / (1 + permutations). Raises TopographError when the examples differ in number.
    """
    if first.shape[-1] != second.shape[-1]:
        raise TopographError(
            f"{first.shape[-1]} and {second.shape[-1]} examples cannot be paired; "
            "score both networks on the same test set"
        )
    differences = first.mean(axis=0) - second.mean(axis=0)
    observed = abs(differences.mean())
    draw = np.random.default_rng(seed)
    hits = 0
    for flips in np.array_split(np.arange(PERMUTATIONS), BLOCKS):
        signs = draw.choice([-1.0, 1.0], (len(flips), differences.size))
        # A tolerance, since sums of the same numbers in another order differ in the last bit.
        hits += np.sum(np.abs(signs @ differences) / differences.size >= observed - 1e-12)
    error = differences.std(ddof=1) / np.sqrt(differences.size)
    return PairedDifference(
        float(differences.mean()), float(error), float((1 + hits) / (1 + PERMUTATIONS))
    )
