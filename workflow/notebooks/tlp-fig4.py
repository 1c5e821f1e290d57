# ---
# jupyter:
#   topograph:
#     kind: landscape
#     family: supervised
#     targets: [brain, oxford-pet]
# ---

# %% [markdown]
# Loss landscapes of a segmentation network while it trains: accuracy, a held-out slice, profiles
# of every seed at several epochs (Geniesse et al. 2024, Figure 4).

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
title = ""
output = ""

# %%
import matplotlib.pyplot as plt
from matplotlib.colors import LogNorm

from topograph.plotting.field import class_handles, draw_classes, draw_image
from topograph.plotting.profile import draw_profile_or_say_diverged
from topograph.plotting.style import COLOURS, figure_style
from topograph.report.figure import publish
from topograph.report.results import (
    Results,
    captioned,
    connectivity_in_words,
    sampling_in_words,
    spread,
)

data = Results(results, analysis, runs)
history, metrics = data.training("history"), data.training("metrics")
quantities = data.table("topology", "quantities")
profiles, marks = data.table("topology", "profile"), data.table("topology", "marks")
seeds, epochs = sorted(metrics["seed"].unique()), sorted(quantities["epoch"].unique())
grid = quantities[quantities["points"] == quantities["points"].max()]

# %%
scores = [name for name in metrics if name.startswith(("test_", "iou_", "diverged"))]
final = metrics.groupby("run", sort=False)[scores].agg(spread).rename(index=data.labels).T
captioned(final, "On held-out slices after training: mean and range over seeds.")

# %%
shown = ["loss_minimum", "loss_range", "minima", "minima_resolved", "saddles", "width_slope"]
depth = grid.groupby(["run", "epoch"], sort=False)[shown].agg(spread)
captioned(
    depth.rename(index=data.labels, level=0),
    "Depth and shape of the landscapes: mean and range over seeds.",
)

# %%
data.minima_on_subgrids(quantities)

# %%
data.differences_between_seeds()

# %%
norm = LogNorm(profiles["mean_loss"].min(), profiles["mean_loss"].max())
low, high = profiles["y"].min(), profiles["y"].max()

with figure_style():
    figure = plt.figure(figsize=(7.2, 2.4 + 1.15 * len(data.runs) * len(seeds)))
    top, bottom = figure.subfigures(2, 1, height_ratios=[2.4, 1.15 * len(data.runs) * len(seeds)])
    axes = top.subplots(1, 4, width_ratios=[2.2, 1, 1, 1])
    for colour, (run, label) in zip(COLOURS, data.labels.items(), strict=False):
        rows = history[history["run"] == run].groupby("epoch")["test_accuracy"]
        mean = rows.mean()
        axes[0].plot(mean.index, mean, color=colour, label=label)
        axes[0].fill_between(mean.index, rows.min(), rows.max(), color=colour, alpha=0.25, lw=0)
    axes[0].set(xlabel="epoch", ylabel="pixel accuracy, held-out slices")
    axes[0].legend(loc="lower right")
    u = data.predictions(data.runs[0]["run"], "image")
    middle = u.sizes["example"] // 2
    draw_image(axes[1], u["image"].values[middle])
    draw_classes(axes[2], u["target"].values[middle])
    draw_classes(axes[3], u["predicted"].sel(seed=seeds[0]).values[middle])
    for panel, name in zip(axes[1:], ("template slice", "tissue", "predicted"), strict=True):
        panel.set_title(name)
    top.legend(handles=class_handles(u.attrs["classes"]), loc="outside lower right", ncols=3)
    panels = bottom.subplots(len(data.runs) * len(seeds), len(epochs), sharey=True, squeeze=False)
    for row, (run, seed) in enumerate((run, seed) for run in data.labels for seed in seeds):
        for column, epoch in enumerate(epochs):
            axes = panels[row, column]
            query = "run == @run and seed == @seed and epoch == @epoch"
            draw_profile_or_say_diverged(axes, profiles.query(query), marks.query(query), norm=norm)
            axes.set(xticks=[], ylim=(low * 0.9, high * 1.1), xlabel="")
            axes.set_ylabel("loss" if column == 0 else "")
            if column == 0:
                name = f"{data.labels[run]}, seed {seed}"
                axes.text(0.02, 0.06, name, transform=axes.transAxes, fontsize=7)
            if row == 0:
                axes.set_title(f"epoch {epoch}")

# %%
landscape = data.dataset("landscape", data.runs[0]["run"])
caption = (
    f"Segmentation of brain tissue, {len(seeds)} seeds for each of {len(data.runs)} settings. Top: "
    f"pixel accuracy on {u.sizes['example']} held-out slices (line: mean, band: range over seeds) "
    f"and one of these slices with the prediction of seed {seeds[0]} at {data.runs[0]['label']}. "
    f"Below: topological profiles of the training loss, on a grid of {grid['points'].max()} points "
    f"along each of {sampling_in_words(landscape)}, found anew at each epoch; all panels share one "
    "logarithmic loss axis; width counts grid points, colour is the mean loss of a basin, grey "
    f"is what the arithmetic does not resolve ({connectivity_in_words(grid)}). One "
    "averaged brain: held-out slices test interpolation within a template, not generalisation to "
    "people."
)
values = {
    "test_accuracy": data.by_label(metrics, "test_accuracy"),
    "seeds": len(seeds),
    "epochs": [int(epoch) for epoch in epochs],
}
publish(figure, output, title=title, caption=caption, values=values)
