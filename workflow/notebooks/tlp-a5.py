# ---
# jupyter:
#   topograph:
#     kind: landscape
#     dimensions: [4]
#     others: {three: landscape}
# ---

# %% [markdown]
# Does a fourth dimension change the shape of a landscape? Profiles in four dimensions beside those
# of the same networks in three (Geniesse et al. 2024, Appendix A.5).

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
others = {}
title = ""
output = ""

# %%
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.colors import LogNorm

from topograph.plotting.profile import as_share, draw_profiles
from topograph.plotting.style import figure_style
from topograph.report.figure import publish
from topograph.report.results import (
    Results,
    captioned,
    connectivity_in_words,
    extent_in_words,
    finest,
    number_of,
    sampling_in_words,
    spread,
    with_relative_persistence,
)

sources = {"4-D": Results(results, analysis, runs)}
sources |= {"3-D": Results(results, **others["three"])} if others else {}
data = sources["4-D"]
names = data.described()
numbers = {name: finest(source.table("topology", "quantities")) for name, source in sources.items()}
points = {name: int(table["points"].iloc[0]) for name, table in numbers.items()}
seeds = sorted(numbers["4-D"]["seed"].unique())

# %%
choices = data.table("topology", "choices")
slices = choices[choices["choice"] == "one dimension less"]
grids = {f"4-D, r = {points['4-D']}": numbers["4-D"]}
grids |= {f"its 3-D slice, r = {points['4-D']}": slices} if len(slices) else {}
grids |= {f"3-D, r = {points[n]}": numbers[n] for n in sources if n == "3-D"}
shown = {
    "minima_resolved": "minima",
    "saddles_resolved": "saddles",
    "smad_normalized": "SMAD / range",
    "relative_persistence": "mean persistence / range",
    "mean_log_persistence": "mean persistence of log10",
}
measured = {
    name: with_relative_persistence(table)
    .groupby("run", sort=False)[list(shown)]
    .agg(spread)
    .rename(index=names, columns=shown)
    for name, table in grids.items()
}
rows = pd.concat(measured).swaplevel()
captioned(
    rows.loc[[place for name in names.values() for place in rows.index if place[0] == name]],
    "Each setting on its grids: mean and range over seeds, of what the arithmetic resolves; "
    "persistence and SMAD (the saddle-minimum average distance, of the merge tree) in parts of "
    "each grid's loss range. Every point of the 3-D slice is a point of the 4-D grid: between "
    "these two nothing differs but the points off the slice and the neighbours that they add.",
)

# %%
data.minima_on_subgrids(data.table("topology", "quantities"))

# %%
data.differences_between_seeds()

# %%
low, high = numbers["4-D"]["loss_minimum"].min(), numbers["4-D"]["loss_maximum"].max()
with figure_style():
    figure, panels = plt.subplots(
        len(seeds),
        len(data.runs),
        figsize=(max(3.6, 2.4 * len(data.runs)), 0.6 + 1.7 * len(seeds)),
        sharey=True,
        squeeze=False,
    )
    for column, (run, label) in enumerate(names.items()):
        # The tables of a large grid: one run after another.
        tables = {
            name: [source.only(run).table("topology", kind) for kind in ("profile", "marks")]
            for name, source in sources.items()
        }
        panels[0, column].set_title(label.replace(": ", "\n"))
        for axes, seed in zip(panels[:, column], seeds, strict=True):
            pictured = {
                name: as_share(*(table.query("seed == @seed") for table in both))
                for name, both in tables.items()
            }
            draw_profiles(axes, pictured, norm=LogNorm(low, high), log=True)
            axes.set_ylabel("" if column else f"loss, seed {seed}")

# %%
sampled = {
    name: f"{source.any_dataset('landscape').attrs['dimensions']}-D with r = {points[name]} "
    f"points along each axis, {extent_in_words(source.any_dataset('landscape'))}"
    for name, source in sources.items()
}
with_slice = (
    "The table adds the 3-D slice of the 4-D grid through its centre, which shares every one of "
    "its points with that grid. "
    if len(slices)
    else ""
)
caption = (
    f"Topological profiles of the training loss of {number_of(len(seeds), 'seed')} (rows) in "
    f"{number_of(len(data.runs), 'setting')} (columns), on grids along the same leading "
    f"directions, the first three and four of them: {'; '.join(sampled.values())}. Sampled along "
    f"{sampling_in_words(data.any_dataset('landscape'))}; the tree has "
    f"{connectivity_in_words(numbers['4-D'])}. Width is the share of the grid's points, for the "
    "grids differ in their number; colour is the mean loss of a basin, red dots are minima, orange "
    "dots saddles, grey is what the arithmetic does not resolve; all profiles share one "
    "logarithmic loss axis and one scale of colours. A profile shows the 500 most persistent "
    f"minima at most, the table counts all. {with_slice}A vertex of a 4-D grid has more neighbours "
    "than one of a 3-D grid, and the grids differ in spacing where r does, so counts differ for "
    f"these reasons too; {number_of(len(data.runs), 'setting')} with "
    f"{number_of(len(seeds), 'seed')} cannot test a difference."
)
values = {f"minima, {name}": data.by_label(table, "minima") for name, table in numbers.items()}
publish(figure, output, title=title, caption=caption, values=values | {"seeds": len(seeds)})
