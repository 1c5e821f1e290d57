"""Tables of planted truth for the sayings of the field."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from planted_jumps import AXES, NETWORKS, SETTINGS

from topograph.claims.cells import SKIP

SEEDS = (0, 1, 2, 3, 4, 5)
PINNS = [(f"pinn-{n}", seed) for n in range(10) for seed in (0, 1)]


def card_of(networks: list[tuple[str, int]], sign: float = 1.0, off: float = 1.2) -> pd.DataFrame:
    """Return networks whose sharpness sets gap and rate, or with the sign turned the opposite.

    Rates lie a factor ``off`` above 2 / lambda_max at the flattest network.
    """
    rows = []
    for run, seed in networks:
        number = int(run.split("-")[1])
        sharpness = 1 + (number * 5) % 12 + seed / 10
        rows.append(
            {
                "run": run, "seed": seed, "words": "a minimum",
                "sharpness_adaptive": sharpness, "trace": 10 * sharpness,
                "train_loss": 0.1, "test_loss": 0.2 + sign * sharpness / 100,
                "top_eigenvalue": sharpness, "stable_rate": off * 2 * sharpness**-sign,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def with_axes(card: pd.DataFrame) -> pd.DataFrame:
    settings = [SETTINGS[int(run.split("-")[1])] for run in card["run"]]
    return card.assign(**dict(zip(AXES, zip(*settings, strict=True), strict=True)))


def critical_of(networks: list[tuple[str, int]], growth: float = 2.0) -> pd.DataFrame:
    """Return counts in which saddles, 1 on the plane, grow by a factor with each dimension.

    Along Hessian directions they shrink; there are as many maxima as there are saddles.
    """
    rows = []
    for (run, seed), directions, dimensions in product(
        networks, ("random", "hessian"), (1, 2, 3, 4)
    ):
        factor = growth if directions == "random" else 1 / growth
        saddles = 2 * factor ** (dimensions - 2) - 1
        counts = {0: 0, dimensions: saddles, **({1: saddles} if dimensions > 1 else {})}
        rows += [
            {
                "run": run, "seed": seed, "directions": directions, "dimensions": dimensions,
                "index": index, "count": counts.get(index, 0), "on_border": 7, "height": 1.0,
            }
            for index in range(dimensions + 1)
        ]  # fmt: skip
    return pd.DataFrame(rows)


def shapes_of(sign: float = 1.0, seeds: tuple[int, ...] = SEEDS) -> pd.DataFrame:
    """Return three planes a network, smoother with skips by less than planes differ."""
    rows = [
        {
            "run": f"skip-{skip}", "seed": seed, "plane": plane, SKIP: skip,
            "roughness": 5 + plane - sign * skip - seed / 100, "minima": 1,
            "convex_share": 0.5 + (sign * skip - plane + seed / 100) / 10,
        }
        for skip, seed, plane in product((True, False), seeds, range(3))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def planted(sign: float = 1.0, off: float = 1.2) -> dict[str, pd.DataFrame]:
    """Return tables on which every saying holds, or with the sign turned its opposite."""
    growth = 2.0**sign
    return {
        "topography.card": with_axes(card_of(NETWORKS, sign, off)),
        "topography-pinns.card": card_of(PINNS, sign, off).assign(test_loss=np.nan),
        "topography-critical.critical": critical_of(NETWORKS, growth),
        "topography-pinns-critical.critical": critical_of(PINNS, growth),
        "residual-slices.shape": shapes_of(sign),
    }
