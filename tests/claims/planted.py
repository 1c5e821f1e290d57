"""Tables of planted truth, by role: what a study with such results would hand to the claims."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from topograph.claims.cells import BETA, RATE, SKIP
from topograph.claims.profiles import EARLY, FAILED
from topograph.claims.published import BETAS, companion_numbers, pinn_errors
from topograph.claims.statistics import transition
from topograph.claims.tables import evaluate_claims
from topograph.topology.choices import AS_SAMPLED, NUMBERS, SLICE, WIDTHS, in_slice

RATES = (1.0, 0.1, 0.01, 0.001, 0.0001)
UNET_RATES = (0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)
PERCENT = np.linspace(0, 1, len(WIDTHS))
ERRORS = pinn_errors()
Tables = dict[str, pd.DataFrame]
Numbers = Callable[[dict[str, Any], int], Mapping[str, float]]


def widths(curve: np.ndarray) -> dict[str, float]:
    return dict(zip(WIDTHS, map(float, curve), strict=True))


def tables_of(
    role: str,
    settings: list[dict[str, Any]],
    numbers: Numbers,
    metrics: Numbers,
    *,
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    choices: tuple[str, ...] = (AS_SAMPLED,),
    epochs: tuple[int, ...] = (1,),
) -> Tables:
    """Return the tables of a role; what ``numbers`` leaves out is alike in every landscape."""
    alike = dict.fromkeys(NUMBERS, 1.0) | widths(PERCENT)
    trained, chosen = [], []
    for number, setting in enumerate(settings):
        for seed in seeds:
            known = {"run": f"run-{number}", "seed": seed, **setting}
            trained.append({**known, **metrics(setting, seed)})
            for choice, epoch in product(choices, epochs):
                found = numbers({**setting, "epoch": epoch, "choice": choice}, seed)
                chosen.append({**known, "epoch": epoch, "choice": choice, **alike, **found})
    return {f"{role}.metrics": pd.DataFrame(trained), f"{role}.choices": pd.DataFrame(chosen)}


def grid_of(
    numbers: Numbers, *, betas: tuple[float, ...] = BETAS, rates: tuple[float, ...] = RATES, **more
) -> Tables:
    """Return a grid of 14 betas and 5 rates whose errors are those published, alike over seeds."""
    settings = [{BETA: beta, RATE: rate} for beta, rate in product(betas, rates)]
    return tables_of(
        "pinn-grid",
        settings,
        numbers,
        lambda setting, _: {"relative_error": math.sqrt(ERRORS.loc[setting[RATE], setting[BETA]])},
        **more,
    )


def as_scaled(grid: Tables) -> Tables:
    """Return the tables of a grid as those of the curvature-scaled one."""
    return {name.replace("pinn-grid", "pinn-grid-scaled"): grid[name] for name in grid}


# Places of the errors among those at equal beta, and transitions in log10 beta by rate.
PLACES = ERRORS.apply(rankdata).to_dict()
WHERE = {rate: transition(BETAS, np.sqrt(row), FAILED) for rate, row in ERRORS.iterrows()}


def ranked(setting: dict[str, Any], sign: int) -> float:
    """Return minima that rise (or fall) with the error at equal beta and fall with beta."""
    place = PLACES[setting[BETA]][setting[RATE]]
    return 1000 - 50 * BETAS.index(setting[BETA]) + sign * place


def varied(sign: int) -> Numbers:
    """Return width curves that differ between seeds the more (or less) near the transition."""

    def numbers(setting: dict[str, Any], seed: int) -> dict[str, float]:
        away = abs(math.log10(setting[BETA]) - WHERE[setting[RATE]])
        height = math.exp(-sign * away) * (seed - 2) / 10
        return widths(PERCENT + height * np.sin(np.pi * PERCENT))

    return numbers


def four_of(runs: int, factor: float, sign: int) -> Tables:
    """Return 4-D grids with ``factor`` times the points of their slices, of like shape or not."""

    def numbers(setting: dict[str, Any], seed: int) -> dict[str, float]:
        whole = not setting["choice"].startswith(SLICE)
        points = (factor if whole else 1.0) * (10 + setting[BETA])
        # Of a ring of shapes the own slice is the same, or the one across.
        place = setting[BETA] if whole or sign > 0 else (setting[BETA] + runs / 2) % runs
        curve = PERCENT ** (1 + place / 10 + seed / 1000)
        return {"minima_resolved": points, "saddles_resolved": 2 * points, **widths(curve)}

    settings = [{BETA: float(beta)} for beta in range(1, runs + 1)]
    wholes = (AS_SAMPLED, "axis connectivity")
    choices = (*wholes, *map(in_slice, wholes))
    return tables_of("pinn-4d", settings, numbers, lambda *_: {}, choices=choices)


def unet_of(rates: tuple[float, ...] = UNET_RATES, *, first: str = "loss_minimum") -> Tables:
    """Return landscapes in which one level drops at once and the other later, deeper off 0.001."""

    def numbers(setting: dict[str, Any], seed: int) -> dict[str, float]:
        level = {0: 1.0, EARLY: 0.2, 15: 0.1, 30: 0.08}[setting["epoch"]] * (1 + seed / 100)
        late = {0: 1.0, EARLY: 0.95, 15: 0.5, 30: 0.3}[setting["epoch"]]
        if first == "loss_border":
            level, late = late, 2 * level
        depth = abs(math.log10(setting[RATE] / 0.001))
        return {"loss_minimum": level, "loss_border": 1 + late + depth * late}

    def metrics(setting: dict[str, Any], seed: int) -> dict[str, float]:
        return {"test_accuracy": 0.9 - abs(math.log10(setting[RATE] / 0.001)) / 10}

    settings = [{RATE: rate} for rate in rates]
    return tables_of("unet-epochs", settings, numbers, metrics, epochs=(0, EARLY, 15, 30))


def residual_of(seeds: tuple[int, ...] = (0, 123, 2023, 123456)) -> Tables:
    """Return networks whose saddles, accuracy, persistence and curvature all agree with the paper.

    With skips each number but the saddles is higher in every network.
    """
    settings = [{SKIP: True}, {SKIP: False}]
    found = tables_of(
        "residual",
        settings,
        lambda s, seed: {
            "saddles_resolved": (1 if s[SKIP] else 20) + seed % 7,
            "mean_persistence_with_global": s[SKIP] + seed % 7 / 10,
        },
        lambda s, seed: {"test_accuracy": 0.9 + 0.05 * s[SKIP] + seed % 7 / 1000},
        seeds=seeds,
    )
    table = found["residual.metrics"]
    curvature = {name: 10.0 * table[SKIP] + table["test_accuracy"] for name in ("trace",)}
    curved = table.assign(**curvature, top_eigenvalue=-curvature["trace"])
    return {**found, "residual-spectrum.quantities": curved}


def betas_of() -> Tables:
    """Return the published numbers of beta 1 to 10 for three seeds that agree."""
    published = companion_numbers()
    settings = [{BETA: beta} for beta in published.index]
    tables = tables_of(
        "pinn-betas",
        settings,
        lambda s, _: {
            "saddles_resolved": published.loc[s[BETA], "saddles"],
            "mean_persistence_with_global": published.loc[s[BETA], "mean_persistence"],
        },
        lambda s, _: {"absolute_error": published.loc[s[BETA], "absolute_error"]},
        seeds=(0, 1, 2),
    )
    curved = tables["pinn-betas.metrics"].assign(
        **{n: lambda t, n=n: t[BETA].map(published[n]) for n in ("top_eigenvalue", "trace")}
    )
    return {**tables, "pinn-betas-spectrum.quantities": curved}


def everything() -> Tables:
    """Return tables of every role, with noise in every number."""
    draw = np.random.default_rng(0)

    def noisy(tables: Tables) -> Tables:
        def changed(table: pd.DataFrame) -> pd.DataFrame:
            names = [name for name in table if name in (*NUMBERS, *WIDTHS, "relative_error")]
            factors = draw.uniform(0.8, 1.2, (len(table), len(names)))
            return table.assign(**dict(zip(names, (table[names] * factors).T.values, strict=True)))

        return {name: changed(table) for name, table in tables.items()}

    grid = grid_of(varied(1), betas=BETAS[::2], rates=RATES[:3])
    return noisy(
        {
            **grid,
            **as_scaled(grid),
            **four_of(5, 3.0, 1),
            **unet_of(),
            **residual_of(),
            **betas_of(),
        }
    )


def verdicts(tables: Tables) -> pd.DataFrame:
    return evaluate_claims(tables).set_index("claim")
