# ---
# jupyter:
#   topograph:
#     kind: landscape
#     family: supervised
#     targets: [brain, oxford-pet]
# ---

# %% [markdown]
# Loss landscapes of a segmentation network after training at each learning rate: profiles of three
# seeds and how deep the landscapes are (Geniesse et al. 2024, Appendix B.6).

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
title = ""
output = ""

# %%
import matplotlib.pyplot as plt
from matplotlib.colors import LogNorm

from topograph.foundation.errors import TopographError
from topograph.plotting.numbers import draw_against, tick_plainly
from topograph.plotting.profile import draw_profiles
from topograph.plotting.style import figure_style
from topograph.report.figure import publish
from topograph.report.results import (
    Results,
    captioned,
    connectivity_in_words,
    number_of,
    sampling_in_words,
    spread,
)

RATE = "optimiser.learning_rate"
# More rows than this are no picture; the panel of depths has all.
MOST_DRAWN = 3

lacking = [entry["label"] for entry in runs if RATE not in entry["parameters"]]
if lacking or len({entry["parameters"][RATE] for entry in runs}) < len(runs):
    raise TopographError(
        "this notebook draws landscapes against the learning rate; received settings that do not "
        f"differ in {RATE}: {', '.join(lacking or [entry['label'] for entry in runs])}. Give the "
        "experiment a grid of learning rates, or use the notebook 'profiles'"
    )
data = Results(results, analysis, sorted(runs, key=lambda entry: entry["parameters"][RATE]))
rates = {entry["run"]: entry["parameters"][RATE] for entry in data.runs}
metrics, quantities = data.training("metrics"), data.table("topology", "quantities")
profiles, marks = data.table("topology", "profile"), data.table("topology", "marks")
last = int(quantities["epoch"].max())
quantities = quantities[quantities["epoch"] == last]
profiles, marks = (table[table["epoch"] == last] for table in (profiles, marks))
grid = quantities[quantities["points"] == quantities["points"].max()]
grid = grid.assign(depth=grid["loss_border"] - grid["loss_minimum"])
seeds = sorted(grid["seed"].unique())

# %%
shown = ["loss_minimum", "loss_border", "depth", "minima_resolved", "width_slope"]
table = grid.groupby("run", sort=False)[shown].agg(spread)
scores = [name for name in ("train_loss", "test_loss", "test_accuracy") if name in metrics]
table = table.join(metrics.groupby("run")[scores].agg(spread)).rename(index=data.labels)
captioned(
    table.rename_axis(None),
    f"Landscapes at epoch {last} and the networks: mean and range over "
    f"{number_of(len(seeds), 'seed')}; depth is loss_border (median over the border of the grid) "
    "less loss_minimum.",
)

# %%
data.minima_on_subgrids(quantities)

# %%
depth = data.by_label(grid, "depth")
drawn = seeds[:MOST_DRAWN]
norm = LogNorm(profiles["mean_loss"].min(), profiles["mean_loss"].max())

with figure_style():
    figure = plt.figure(figsize=(7.2, 1.7 * len(drawn) + 2.6))
    layout = figure.add_gridspec(len(drawn) + 1, 1, height_ratios=[*[1.7] * len(drawn), 2.3])
    shared = None
    for row, seed in enumerate(drawn):
        axes = shared = figure.add_subplot(layout[row], sharey=shared)
        chosen = "run == @run and seed == @seed"
        pictured = {
            f"{rate:g}": (profiles.query(chosen), marks.query(chosen))
            for run, rate in rates.items()
        }
        draw_profiles(axes, pictured, norm=norm, log=True)
        tick_plainly(axes)
        axes.set_ylabel(f"loss, seed {seed}")
    axes.set_xlabel("learning rate")
    axes = figure.add_subplot(layout[-1])
    draw_against(axes, list(rates.values()), list(depth.values()))
    axes.set(xlabel="learning rate", ylabel="depth: border loss - minimum")

# %%
landscape = data.dataset("landscape", data.runs[0]["run"])
reach = f"{landscape['alpha_1'].values[0]:g} to {landscape['alpha_1'].values[-1]:g}"
caption = (
    f"Segmentation networks after training at {number_of(len(rates), 'learning rate')}, epoch "
    f"{last}. Above: topological profiles of the training loss of {len(drawn)} of "
    f"{number_of(len(seeds), 'seed')} on a grid of {grid['points'].max()} points from {reach} "
    f"along each of {sampling_in_words(landscape)}; all share one logarithmic loss axis, those of "
    "a row one scale of widths; width counts grid points, colour is the mean loss of a basin, red "
    "dots are minima, orange dots saddles, grey is what the arithmetic does not resolve "
    f"({connectivity_in_words(grid)}). Below: depth, the median loss over the border of the grid "
    "less the lowest loss, for every seed (dots; line: mean, band: range); it depends on how far "
    "the grid reaches. The paper states in words alone that basins are deeper at too small and at "
    "too large rates (B.6) and prints no number; this page shows the landscapes, and the claim is "
    f"tested on the claims page, not here. {number_of(len(seeds), 'seed')} of one data set cannot "
    "show that the order of rates holds elsewhere."
)
values = {
    "learning_rate": list(rates.values()),
    "depth": depth,
    "loss_minimum": data.by_label(grid, "loss_minimum"),
    "loss_border": data.by_label(grid, "loss_border"),
    "epoch": last,
    "seeds": len(seeds),
}
publish(figure, output, title=title, caption=caption, values=values)
