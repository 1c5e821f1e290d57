# ---
# jupyter:
#   topograph:
#     kind: landscape
#     family: pinn
#     targets: [convection]
#     others: {grid: landscape, scaled: landscape}
# ---

# %% [markdown]
# Loss landscapes of physics-informed networks as the equation gets harder: errors, profiles of
# every seed, and the solutions that the networks predict (Geniesse et al. 2024, Figure 3).

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
others = {}
title = ""
output = ""

# %%
from functools import partial

import pandas as pd
from IPython.display import display
from matplotlib.colors import LogNorm

from topograph.claims.published import pinn_errors
from topograph.plotting.field import (
    HeatMap,
    draw_heat_map,
    draw_heat_maps,
    draw_solution,
    shared_norm,
)
from topograph.plotting.profile import draw_profile_grid, draw_profiles
from topograph.plotting.style import figure_style, stacked
from topograph.report.figure import publish
from topograph.report.results import (
    Results,
    best_and_worst,
    captioned,
    connectivity_in_words,
    extent_in_words,
    finest,
    number_of,
    sampling_in_words,
    spread,
)

AXES = ("optimiser.learning_rate", "problem.kwargs.beta")
SCALES = {"grid": "of one fixed extent", "scaled": "scaled by curvature"}
LETTERS = {"grid": "e", "scaled": "f"}

data = Results(results, analysis, runs)
names = data.described()
metrics, quantities = data.training("metrics"), data.table("topology", "quantities")
profiles, marks = data.table("topology", "profile"), data.table("topology", "marks")
seeds = sorted(metrics["seed"].unique())
own = finest(quantities)
# A large grid takes long: cells that are not finished yet are left out, and say so.
grids = {name: Results(results, **source, partial=True) for name, source in others.items()}

# %%
table = metrics.groupby("run", sort=False).agg(
    relative_error=("relative_error", spread),
    train_loss=("train_loss", spread),
    iterations=("iterations", spread),
    diverged=("diverged", "sum"),
)
shown = ["minima", "minima_resolved", "saddles", "mean_persistence", "width_slope", "loss_range"]
table = table.join(own.groupby("run", sort=False)[shown].agg(spread)).rename(index=names)
captioned(table.T, "Networks and landscapes: mean and range over seeds.")

# %%
data.minima_on_subgrids(quantities)

# %%
data.differences_between_seeds()

# %%
shown = ["minima", "saddles", "mean_persistence_resolved", "relative_persistence"]
shown += ["mean_log_persistence", "loss_range", "width_slope"]
for name, grid in grids.items():
    errors = grid.over_seeds(grid.training("metrics"), "relative_error")
    numbers = grid.landscape_numbers(shown)
    numbers.insert(0, "relative_error", errors["mean"].to_numpy())
    words = (
        f"Every cell of the grid, on landscapes {SCALES[name]} ({grid.analysis}): means over those "
        "seeds that are finite. mean_persistence_resolved is in units of the loss, "
        "relative_persistence in parts of each landscape's loss_range, mean_log_persistence that "
        "of log10 of the loss; a landscape of one minimum has no pair and counts as 0. A quadratic "
        "bowl has width_slope 1, a cone 2; NaN where too few points lie low."
    )
    display(captioned(numbers, words))

# %%
for grid in grids.values():
    display(grid.commands())

# %%
maps, caption_of_maps = {}, ""
if "grid" in grids:
    grid = grids["grid"]
    trained = grid.training("metrics")
    trained["squared_error"] = trained["relative_error"] ** 2
    cells = grid.over_seeds(trained, "relative_error")
    ours, notes = (grid.on_axes(cells[name], *AXES) for name in ("mean", "note"))
    squared = grid.on_axes(grid.over_seeds(trained, "squared_error")["mean"], *AXES)
    published = pinn_errors().reindex(index=ours.index, columns=ours.columns)
    both = shared_norm(squared, published)
    maps = {
        "a   relative error, ours": HeatMap(ours, notes, shared_norm(ours)),
        "b   square of the relative error, ours": HeatMap(squared, notes, both),
        "c   error as published": HeatMap(
            published, published.isna().replace({True: "none", False: ""}), both
        ),
    }
    caption_of_maps = (
        f"(a) Relative error of the trained network against the exact solution, mean over "
        f"{number_of(len(grid.runs[0]['seeds']), 'seed')} of each learning rate and beta; 'n of m' "
        "below a number: n of the seeds asked for are finite; 'diverged': none is; 'missing': not "
        "trained. (b) The mean over the same seeds of its square and (c) the published means of 5 "
        "seeds, on one scale of colours: what is published as the relative error has, where it is "
        "small, the size that its square has in the source of the recipe. (c) is read off the "
        "colours of the paper's figure 3, good to 10 % below 0.1; above, the paper's colour bar is "
        "mislabelled and its end was taken for 1. "
    )

# %%
errors = metrics.pivot(index="seed", columns="run", values="relative_error")[list(data.labels)]
below = {run: label.replace(": ", "\n") for run, label in names.items()}
errors = errors.rename(columns=below, index=lambda seed: f"seed {seed}")
norm = LogNorm(profiles["mean_loss"].min(), profiles["mean_loss"].max())
chosen = best_and_worst(metrics, "relative_error")
solutions = [*next(iter(chosen.values())), "exact"]

shapes = {
    name: grid.on_axes(pd.Series(0.0, index=list(grid.labels)), *AXES)
    for name, grid in grids.items()
}
left = {"x": 0.005, "ha": "left", "fontsize": 9}

with figure_style():
    ratios = [0.25 * len(seeds) + 0.3, *[1.4] * len(seeds), *[1] * len(solutions)]
    heights = {"own": 1.3 * sum(ratios)}
    if maps:
        heights = {"maps": 1.9 * len(maps)} | heights
    heights |= {name: 0.8 + 0.66 * len(shape) for name, shape in shapes.items()}
    figure, blocks = stacked(heights, width=10 if grids else 7.2)
    if maps:
        for axes in draw_heat_maps(blocks["maps"], maps):
            axes.set_ylabel("learning rate")
        axes.set_xlabel("beta")
        blocks["own"].suptitle(f"d   every seed of {number_of(len(data.runs), 'setting')}", **left)
    layout = blocks["own"].add_gridspec(len(ratios), len(data.runs), height_ratios=ratios)
    axes = blocks["own"].add_subplot(layout[0, :])
    blocks["own"].colorbar(draw_heat_map(axes, errors), ax=axes, label="relative error", aspect=8)
    shared = None
    for row, seed in enumerate(seeds, start=1):
        axes = shared = blocks["own"].add_subplot(layout[row, :], sharey=shared)
        at = "run == @run and seed == @seed"
        pictured = {label: (profiles.query(at), marks.query(at)) for run, label in below.items()}
        draw_profiles(axes, pictured, norm=norm, log=True)
        axes.set_ylabel(f"loss, seed {seed}")
        axes.tick_params(labelbottom=row == len(seeds))
    panels = []
    for column, run in enumerate(data.labels):
        u = data.predictions(run, "exact", "x", "t")
        for row, name in enumerate(solutions, start=len(seeds) + 1):
            panels.append(axes := blocks["own"].add_subplot(layout[row, column]))
            best = name != "exact" and chosen[run][name]
            field = u["exact"] if name == "exact" else u["predicted"].sel(seed=best)
            mesh = draw_solution(axes, field)
            axes.set_title("exact u(x, t)" if name == "exact" else f"{name} seed ({best})")
            if column:
                axes.set_ylabel("")
    blocks["own"].colorbar(mesh, ax=panels, label="u", aspect=30)
    for name, grid in grids.items():
        place, shape = partial(grid.small_profile, axes=AXES), shapes[name]
        axes = blocks[name].subplots()
        draw_profile_grid(axes, list(shape.index), list(shape.columns), place)
        axes.set(xlabel="beta", ylabel="learning rate")
        axes.set_title(f"{LETTERS[name]}   every cell, landscapes {SCALES[name]}", loc="left")

# %%
landscape = data.dataset("landscape", data.runs[0]["run"])
small = "".join(
    f"({LETTERS[name]}) Profiles of the first seed of every cell of the grid, "
    f"{grid.any_dataset('landscape').sizes['alpha_1']} points along each axis, "
    f"{extent_in_words(grid.any_dataset('landscape'))}; each on a logarithmic loss axis, scale of "
    "widths and scale of colours of its own, its lowest and highest loss above it: compare shapes, "
    "not heights. "
    for name, grid in grids.items()
)
caption = (
    f"Physics-informed networks. {caption_of_maps}"
    f"{'(d) ' if maps else ''}{number_of(len(data.runs), 'setting')} with "
    f"{number_of(len(seeds), 'seed')} each. First the relative error of every seed. Then "
    f"topological profiles of the training loss on a grid of {own['points'].max()} points along "
    f"each of {sampling_in_words(landscape)}, {extent_in_words(landscape)}; width counts grid "
    "points, colour is the mean loss of a basin, red dots are minima, orange dots saddles, grey is "
    f"what the arithmetic does not resolve ({connectivity_in_words(own)}); all these profiles "
    "share one logarithmic loss axis and one scale of widths; a stem one point wide is the trained "
    "network alone: the grid does not resolve its neighbourhood. Below: the solutions of the seeds "
    f"of lowest and highest error of each setting, and the exact one. {small}"
    "A profile shows the 500 most persistent minima at most; the tables count all. "
    "Ranges in the tables are over seeds; so few seeds are no test of a difference, and a slice "
    "along a few directions need not show what lies along the others."
)
values = {
    "relative_error": data.by_label(metrics, "relative_error"),
    "minima": data.by_label(own, "minima"),
    "seeds": len(seeds),
}
if maps:
    values["grid_relative_error"] = cells["mean"].rename(index=grids["grid"].labels).to_dict()
publish(figure, output, title=title, caption=caption, values=values)
