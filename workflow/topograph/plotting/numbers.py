"""Numbers of networks by setting: every seed a dot, their mean a line, published values beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    NullFormatter,
    NullLocator,
    SymmetricalLogLocator,
)
from numpy.typing import NDArray

from topograph.foundation.errors import TopographError
from topograph.plotting.style import COLOURS

# Values that span this factor are drawn on a logarithmic axis.
WIDE = 30.0
# A symmetrical one is linear below this part of its largest value, at the lowest.
NEAR_ZERO = 1e-6
MEAN, SEED, PUBLISHED = "0.15", COLOURS[0], COLOURS[5]
# Every so many columns of a map carry a tick.
COLUMN_STEPS = (1, 2, 5, 10, 20, 50, 100)
# A setting is one unit wide; its dots take this much of it, the line of their mean a bit more.
DOTS, LINE = 0.44, 0.34


def draw_numbers(
    axes: Axes,
    values: Mapping[str, Sequence[float]],
    *,
    errors: Mapping[str, Sequence[float]] | None = None,
    published: Mapping[str, float] | None = None,
) -> None:
    """Draw the values over seeds of each setting, in order, and the published value of some.

    Dots are seeds, from left to right, with a bar of twice their standard error's length where
    ``errors`` has one; the line is their mean, a hollow diamond the published value. Values that
    are not finite are left out; a setting without any says ``diverged``. The axis is logarithmic
    where values span more than a factor of 30, and symmetrical with a linear part where some are 0
    or below. All three kinds carry a label for a legend.
    """
    published = published or {}
    for place, (setting, found) in enumerate(values.items()):
        numbers = np.asarray(found, dtype=float)
        offsets = DOTS * (np.arange(len(numbers)) + 0.5) / max(1, len(numbers)) - DOTS / 2
        bars = None if errors is None else np.asarray(errors[setting], dtype=float)
        axes.errorbar(
            place + offsets,
            numbers,
            yerr=bars,
            fmt="o",
            ms=3.2,
            mew=0,
            elinewidth=0.8,
            color=SEED,
            label=_once("a seed", place),
        )
        finite = numbers[np.isfinite(numbers)]
        if finite.size:
            ends = [place - LINE, place + LINE]
            axes.plot(ends, [finite.mean()] * 2, color=MEAN, lw=1.3, label=_once("mean", place))
        else:
            across = axes.get_xaxis_transform()
            axes.text(place, 0.5, "diverged", rotation=90, transform=across, ha="center")
    places = {setting: place for place, setting in enumerate(values)}
    known = {name: value for name, value in published.items() if name in places}
    if known:
        axes.plot(
            [places[name] for name in known],
            list(known.values()),
            "D",
            color=PUBLISHED,
            mfc="none",
            ms=5.5,
            mew=1.1,
            label="published",
            zorder=3,
        )
    axes.set_xticks(range(len(values)), list(values))
    axes.set_xlim(-0.6, len(values) - 0.4)
    drawn = [np.asarray(list(group), dtype=float) for group in (*values.values(), known.values())]
    scale_widely(axes, np.concatenate(drawn))


def scale_widely(axes: Axes, values: NDArray[np.float64]) -> None:
    """Make the vertical axis logarithmic where finite values span more than a factor of 30.

    Where some are 0 or below it is symmetrical: linear below the smallest that is not 0.
    """
    finite = values[np.isfinite(values)]
    sizes = np.abs(finite[finite != 0])
    if not sizes.size or (sizes.max() / sizes.min() < WIDE and (finite >= 0).all()):
        if finite.size and finite.min() >= 0 and np.ptp(finite) >= 0.5 * finite.max():
            top = finite.max() or 1.0
            axes.set_ylim(-0.05 * top, 1.1 * top)
        return
    if finite.min() > 0:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
        return
    smallest = max(sizes.min(), NEAR_ZERO * sizes.max())
    linear = 10 ** np.floor(np.log10(smallest))
    axes.set_yscale("symlog", linthresh=linear, linscale=0.5)
    locator = SymmetricalLogLocator(linthresh=linear, base=10)
    locator.numticks = 7
    axes.yaxis.set_major_locator(locator)
    axes.yaxis.set_minor_locator(NullLocator())
    if finite.min() >= 0:
        # Half a dot would be cut off at either end.
        axes.set_ylim(-0.4 * linear, 2 * finite.max())


def tick_plainly(axes: Axes) -> None:
    """Label a logarithmic vertical axis at 1, 2 and 5 times powers of ten, in plain numbers."""
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def draw_pairs(axes: Axes, pairs: pd.DataFrame) -> None:
    """Draw two settings side by side, a line for each seed and a black one for their mean.

    ``pairs`` has a row for each seed and a column for each setting; seeds that lack one are not
    drawn. Raises TopographError unless there are two columns.
    """
    if pairs.shape[1] != 2:
        raise TopographError(f"{pairs.shape[1]} settings to pair; allowed: 2")
    kept = pairs[np.isfinite(pairs).all(axis=1)]
    for row in kept.to_numpy():
        axes.plot([0, 1], row, "o-", color=SEED, lw=0.8, ms=3.2, mew=0, alpha=0.7)
    if len(kept):
        axes.plot([0, 1], kept.mean(), "_-", color=MEAN, lw=1.6, ms=12, mew=1.6)
    axes.set_xticks([0, 1], list(pairs.columns))
    axes.set_xlim(-0.35, 1.35)


def paired_differences(measures: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return a row for each measure: both settings and their difference over seeds, in words.

    Each frame has a row for each seed and two columns, the settings; the difference is the first
    less the second, of the same seed, over the seeds that have both.
    """
    rows = {}
    for measure, pairs in measures.items():
        first, second = pairs.columns
        kept = pairs[np.isfinite(pairs).all(axis=1)]
        differences = kept[first] - kept[second]
        rows[measure] = {
            first: _in_words(kept[first]),
            second: _in_words(kept[second]),
            f"{first} - {second}": _in_words(differences),
            "seeds": len(kept),
            "above 0": int((differences > 0).sum()),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def draw_against(axes: Axes, places: Sequence[float], values: Sequence[Sequence[float]]) -> None:
    """Draw values over seeds at places on a logarithmic axis: a dot each, line and band of all.

    The line joins the means and the band reaches from the lowest to the highest; what is not
    finite is left out.
    """
    order = np.argsort(places)
    across = np.asarray(places, dtype=float)[order]
    found = [np.asarray(values[i], dtype=float) for i in order]
    finite = [each[np.isfinite(each)] for each in found]
    axes.set_xscale("log")
    for place, each in zip(across, finite, strict=True):
        axes.plot(np.full(len(each), place), each, "o", color=SEED, ms=3.2, mew=0, zorder=3)
    filled = [i for i, each in enumerate(finite) if each.size]
    means, lows, highs = (
        [float(of(finite[i])) for i in filled] for of in (np.mean, np.min, np.max)
    )
    axes.plot(across[filled], means, color=MEAN, lw=1.3)
    axes.fill_between(across[filled], lows, highs, color=SEED, alpha=0.2, lw=0)
    axes.set_ylim(min([0.0, *lows]), 1.08 * max(highs, default=1.0))
    axes.set_xticks(across, [f"{place:g}" for place in across])
    axes.xaxis.set_minor_locator(NullLocator())


def draw_percentages(axes: Axes, frame: pd.DataFrame, *, printed: bool = False) -> AxesImage:
    """Draw percentages, rows by columns of a frame, as colours from the lowest to the highest.

    Returns the image, for its colour bar. Cells that are not finite stay grey; ``printed`` writes
    each number. At most nine columns carry a tick where there are up to 900.
    """
    values = frame.to_numpy(dtype=float)
    image = axes.imshow(np.ma.masked_invalid(values), cmap="viridis", aspect="auto")
    axes.set_facecolor("0.85")
    step = next(step for step in COLUMN_STEPS if values.shape[1] <= 9 * step)
    ticks = range(0, values.shape[1], step)
    axes.set_xticks(list(ticks), [f"{frame.columns[i]:g}" for i in ticks])
    axes.set_yticks(range(values.shape[0]), [f"{row:g}" for row in frame.index])
    axes.tick_params(length=0)
    if printed:
        shades = np.ma.filled(image.norm(np.ma.masked_invalid(values)), 1.0)
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if shades[row, column] < 0.6 else "black"
            text = f"{value:.0f}" if np.isfinite(value) else ""
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
    return image


def short_labels(runs: Sequence[Mapping[str, Any]], parameter: str) -> dict[str, str]:
    """Return a label by run: the value of a parameter alone where it tells the runs apart.

    ``runs`` have run, label and parameters; true and false become with and without.
    """
    values = [entry["parameters"].get(parameter) for entry in runs]
    plain = [_plainly(value) for value in values]
    if None in values or len(set(plain)) < len(runs):
        plain = [str(entry["label"]) for entry in runs]
    return {str(entry["run"]): label for entry, label in zip(runs, plain, strict=True)}


def published_by_label(
    runs: Sequence[Mapping[str, Any]], parameter: str, table: pd.DataFrame
) -> dict[str, dict[str, float]]:
    """Return the published values of each column by the label of the run that they belong to.

    ``table`` has a row for each value of the parameter, or with and without for true and false.
    Runs whose parameter has no row, and those that lack it, have no published value.
    """
    known = {_plainly(row): row for row in table.index}
    found: dict[str, dict[str, float]] = {str(column): {} for column in table}
    labels = short_labels(runs, parameter)
    for entry in runs:
        row = known.get(_plainly(entry["parameters"].get(parameter)))
        if row is not None:
            for column, values in found.items():
                values[labels[str(entry["run"])]] = float(table.loc[row, column])
    return found


def beside_published(
    ours: Mapping[str, Mapping[str, Sequence[float]]],
    published: Mapping[str, Mapping[str, float]],
) -> pd.DataFrame:
    """Return two rows for each setting, ours over seeds and the published value, in words.

    Both map the name of a column to values by setting; what was not published is left blank.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for column, values in ours.items():
        for setting, seeds in values.items():
            numbers = pd.Series(seeds, dtype=float)
            rows.setdefault((setting, "ours"), {})[column] = _in_words(numbers)
            if setting in published.get(column, {}):
                told = _number(published[column][setting])
                rows.setdefault((setting, "published"), {})[column] = told
    settings = list(dict.fromkeys(setting for setting, _ in rows))
    order = [(s, who) for s in settings for who in ("ours", "published") if (s, who) in rows]
    table = pd.DataFrame([rows[key] for key in order], index=pd.MultiIndex.from_tuples(order))
    return table.fillna("")


def _plainly(value: Any) -> str:
    if isinstance(value, bool):
        return "with" if value else "without"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _once(label: str, place: int) -> str:
    return label if place == 0 else "_nolegend_"


def _in_words(values: pd.Series) -> str:
    if not len(values):
        return "no pair"
    mean, low, high = (_number(value) for value in (values.mean(), values.min(), values.max()))
    return f"{mean} ({low} … {high})"


def _number(value: float) -> str:
    """Return three figures, and thousands in full."""
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"
