# ---
# jupyter:
#   topograph:
#     kind: landscape
# ---

# %% [markdown]
# Profiles of the landscapes of any family: every seed and epoch of each setting side by side, and
# tables of the networks and of their landscapes.

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
title = ""
output = ""

# %%
import matplotlib.pyplot as plt
from matplotlib.colors import LogNorm, Normalize

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

# More rows than this are no picture; the tables have all.
MOST_DRAWN = 12

data = Results(results, analysis, runs)
metrics, quantities = data.training("metrics"), data.table("topology", "quantities")
profiles, marks = data.table("topology", "profile"), data.table("topology", "marks")
seeds = sorted(quantities["seed"].unique())
grid = quantities[quantities["points"] == quantities["points"].max()]

# %%
measured = metrics.drop(columns="seed").dropna(axis="columns", how="all")
trained = measured.groupby("run", sort=False).agg(spread).rename(index=data.labels)
captioned(trained.T, "The trained networks: mean and range over seeds.")

# %%
shown = ["minima", "minima_resolved", "saddles", "mean_persistence", "loss_minimum", "loss_range"]
depth = grid.groupby(["run", "epoch"], sort=False)[shown].agg(spread)
captioned(depth.rename(index=data.labels, level=0), "The landscapes: mean and range over seeds.")

# %%
data.minima_on_subgrids(quantities)

# %%
data.differences_between_seeds()

# %%
drawn = dict(list(data.labels.items())[:MOST_DRAWN])
log = len(profiles) > 0 and profiles["y"].min() > 0
scale = LogNorm if log else Normalize
norm = scale(profiles["mean_loss"].min(), profiles["mean_loss"].max()) if len(profiles) else None

with figure_style():
    figure, panels = plt.subplots(
        len(drawn), 1, figsize=(7.2, 0.6 + 1.7 * len(drawn)), sharey=True, squeeze=False
    )
    for axes, (run, label) in zip(panels[:, 0], drawn.items(), strict=True):
        epochs = sorted(quantities.loc[quantities["run"] == run, "epoch"].unique())
        chosen = "run == @run and seed == @seed and epoch == @epoch"
        pictured = {
            f"seed {seed}\nepoch {epoch}" if len(epochs) > 1 else f"seed {seed}": (
                profiles.query(chosen),
                marks.query(chosen),
            )
            for seed in seeds
            for epoch in epochs
        }
        draw_profiles(axes, pictured, norm=norm, log=log)
        axes.tick_params(axis="x", rotation=90 * (len(pictured) > 12))
        axes.set_title(label)
        axes.set_ylabel("loss")

# %%
landscape = data.dataset("landscape", data.runs[0]["run"])
first = f"The first {len(drawn)} of {len(data.runs)}" if len(drawn) < len(data.runs) else "All"
caption = (
    f"Topological profiles of the training loss, {number_of(len(seeds), 'seed')}. {first} settings "
    f"of the experiment, on a grid of {grid['points'].max()} points along each of "
    f"{sampling_in_words(landscape)}. Width counts grid points, colour is the mean loss of a "
    "basin, red dots are minima, orange dots saddles, grey is what the arithmetic does not "
    f"resolve ({connectivity_in_words(grid)}). All profiles share one "
    f"{'logarithmic ' if log else ''}loss axis, those of a row one scale of widths. "
    "Ranges in the tables are over seeds; so few seeds are no test of a difference."
)
values = {
    name: data.by_label(metrics, name)
    for name in ("relative_error", "train_loss", "test_accuracy", "test_loss")
    if name in measured
}
values |= {"minima": data.by_label(grid, "minima"), "seeds": len(seeds)}
publish(figure, output, title=title, caption=caption, values=values)
