# ---
# jupyter:
#   topograph:
#     kind: landscape
#     family: pinn
#     targets: [convection]
# ---

# %% [markdown]
# Loss landscapes of physics-informed networks as the equation gets harder: errors, profiles of
# every seed, and the solutions that the networks predict (Geniesse et al. 2024, Figure 3).

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
title = ""
output = ""

# %%
import matplotlib.pyplot as plt
from matplotlib.colors import LogNorm

from topograph.plotting.field import draw_heat_map, draw_solution
from topograph.plotting.profile import draw_profiles
from topograph.plotting.style import figure_style
from topograph.report.figure import publish
from topograph.report.results import (
    Results,
    captioned,
    connectivity_in_words,
    sampling_in_words,
    spread,
)

data = Results(results, analysis, runs)
metrics, quantities = data.training("metrics"), data.table("topology", "quantities")
profiles, marks = data.table("topology", "profile"), data.table("topology", "marks")
seeds = sorted(metrics["seed"].unique())
grid = quantities[quantities["points"] == quantities["points"].max()]

# %%
table = metrics.groupby("run", sort=False).agg(
    relative_error=("relative_error", spread),
    train_loss=("train_loss", spread),
    iterations=("iterations", spread),
    diverged=("diverged", "sum"),
)
shown = ["minima", "minima_resolved", "saddles", "mean_persistence", "width_slope", "loss_range"]
table = table.join(grid.groupby("run", sort=False)[shown].agg(spread)).rename(index=data.labels)
captioned(table.T, "Networks and landscapes: mean and range over seeds.")

# %%
data.minima_on_subgrids(quantities)

# %%
data.differences_between_seeds()

# %%
errors = metrics.pivot(index="seed", columns="run", values="relative_error")[list(data.labels)]
errors = errors.rename(columns=data.labels, index=lambda seed: f"seed {seed}")
norm = LogNorm(profiles["mean_loss"].min(), profiles["mean_loss"].max())

with figure_style():
    columns = len(data.runs)
    figure = plt.figure(figsize=(7.2, 5 + 1.7 * len(seeds)))
    layout = figure.add_gridspec(
        len(seeds) + 3, columns, height_ratios=[0.9, *[1.4] * len(seeds), 1, 1]
    )
    axes = figure.add_subplot(layout[0, :])
    figure.colorbar(draw_heat_map(axes, errors), ax=axes, label="relative error", aspect=8)
    shared = None
    for row, seed in enumerate(seeds, start=1):
        axes = shared = figure.add_subplot(layout[row, :], sharey=shared)
        chosen = "run == @run and seed == @seed"
        pictured = {
            label: (profiles.query(chosen), marks.query(chosen))
            for run, label in data.labels.items()
        }
        draw_profiles(axes, pictured, norm=norm, log=True)
        axes.set_ylabel(f"loss, seed {seed}")
    for column, run in enumerate(data.labels):
        u = data.predictions(run, "exact", "x", "t")
        fields = {"predicted": u["predicted"].sel(seed=seeds[0]), "exact": u["exact"]}
        for row, (name, field) in enumerate(fields.items(), start=len(seeds) + 1):
            axes = figure.add_subplot(layout[row, column])
            mesh = draw_solution(axes, field)
            axes.set_title(f"{name} u(x, t)")
            if column:
                axes.set_ylabel("")
    figure.colorbar(mesh, ax=figure.axes[-2:], label="u", aspect=20)

# %%
landscape = data.dataset("landscape", data.runs[0]["run"])
caption = (
    f"Physics-informed networks, {len(seeds)} seeds for each of {columns} settings. Top: relative "
    "error of the trained network against the exact solution. Middle: topological profiles of the "
    f"training loss on a grid of {grid['points'].max()} points along each of "
    f"{sampling_in_words(landscape)}; width counts grid points, "
    "colour is the mean loss of a basin, red dots are minima, orange dots saddles, grey is what "
    f"the arithmetic does not resolve ({connectivity_in_words(grid)}); all profiles share one "
    "logarithmic loss axis and one scale of widths; a stem one point wide is the trained network "
    "alone: the grid does not resolve its neighbourhood. Below: the solution of the "
    "first seed and the exact one. Ranges in the tables are over seeds; so few seeds are no test "
    "of a difference."
)
values = {
    "relative_error": data.by_label(metrics, "relative_error"),
    "minima": data.by_label(grid, "minima"),
    "seeds": len(seeds),
}
publish(figure, output, title=title, caption=caption, values=values)
