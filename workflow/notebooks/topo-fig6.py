# ---
# jupyter:
#   topograph:
#     kind: landscape
#     dimensions: [2]
#     others:
#       spectrum: spectrum
# ---

# %% [markdown]
# Networks and their landscapes in numbers, setting by setting: error or accuracy, saddles, average
# persistence, curvature, and the published values beside them (Xie et al. 2024, Figures 5 and 6).

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

from topograph.claims.published import companion_numbers, residual_numbers
from topograph.plotting.numbers import (
    beside_published,
    draw_numbers,
    published_by_label,
    short_labels,
)
from topograph.plotting.style import figure_style
from topograph.report.figure import publish
from topograph.report.results import (
    Results,
    captioned,
    connectivity_in_words,
    extent_in_words,
    number_of,
    sampling_in_words,
    spread,
    with_relative_persistence,
)

BETA, SKIP = "problem.kwargs.beta", "model.kwargs.skip"
# Beyond these the labels of an axis would overlap.
MOST_UPRIGHT = 12

data = Results(results, analysis, runs)
metrics, quantities = data.training("metrics"), data.table("topology", "quantities")
grid = quantities[quantities["points"] == quantities["points"].max()]
grid = grid[grid["epoch"] == grid.groupby("run")["epoch"].transform("max")]
grid = with_relative_persistence(grid)
spectra = pd.DataFrame(columns=["run", "epoch"])
if "spectrum" in others:
    source = Results(results, **others["spectrum"])
    spectra = source.table("spectrum", "quantities")
    spectra = spectra[spectra["run"].isin(list(data.labels))]
    spectra = spectra[spectra["epoch"] == spectra.groupby("run")["epoch"].transform("max")]
residual = all(SKIP in entry["parameters"] for entry in data.runs)
parameter, published = (SKIP, residual_numbers()) if residual else (BETA, companion_numbers())
published = published_by_label(data.runs, parameter, published)
data.labels = short_labels(data.runs, parameter)

# %%
score = "absolute_error" if "absolute_error" in metrics else "test_accuracy"
saddles, persistence = "saddles_resolved", "mean_persistence_with_global"
# The published means contain the pair of global minimum and maximum.
published |= {saddles: published["saddles"], persistence: published["mean_persistence"]}
names = {
    score: (metrics, score.replace("_", " ")),
    saddles: (grid, "saddles"),
    "top_eigenvalue": (spectra, "largest Hessian eigenvalue"),
    persistence: (grid, "average persistence\nwith the global pair"),
    "mean_persistence_resolved": (grid, "average persistence\nwithout the global pair"),
    "trace": (spectra, "trace of the Hessian"),
    "relative_persistence": (grid, "without the global pair,\nrelative to the loss range"),
    "mean_log_persistence": (grid, "average persistence\nof log10 of the loss"),
    "loss_range": (grid, "loss range"),
}
ours = {name: data.by_label(table, name) for name, (table, _) in names.items()}
titles = {name: names[name][1] for name, found in ours.items() if found}
compared = [name for name in titles if published.get(name)]

# %%
captioned(
    beside_published(
        {titles[name]: ours[name] for name in compared or titles},
        {titles[name]: published[name] for name in compared},
    ),
    "Ours: mean and range over seeds. Average persistence contains the pair of global minimum and "
    "maximum, as the published one does.",
)

# %%
controls = {titles[name]: ours[name] for name in titles if name not in compared}
captioned(
    beside_published(controls, {}),
    "Controls: what is left of the average persistence without the pair of global minimum and "
    "maximum (of resolved pairs, 0 where there are none), relative to the range of the losses, and "
    "in decades of the loss. Mean and range over seeds.",
)

# %%
centre = {
    label: data.dataset("landscape", run)["center_loss"].isel(epoch=-1).to_series()
    for run, label in data.labels.items()
}
trained = pd.DataFrame(
    {
        "loss at the centre": {label: spread(losses) for label, losses in centre.items()},
        **{
            name.replace("_", " "): metrics.groupby("run")[name].agg(spread).rename(data.labels)
            for name in (score, "train_loss", "test_loss")
            if name in metrics
        },
    }
)
captioned(
    trained.loc[list(data.labels.values())],
    "The networks at the centres of the landscapes: mean and range over seeds.",
)

# %%
with figure_style():
    rows = -(-len(titles) // 3)
    figure, panels = plt.subplots(rows, 3, figsize=(8.4, 0.5 + 2.0 * rows), squeeze=False)
    for axes in panels.flat[len(titles) :]:
        axes.set_axis_off()
    for axes, (name, words) in zip(panels.flat, titles.items(), strict=False):
        errors = data.by_label(spectra, "trace_error") if name == "trace" else None
        draw_numbers(axes, ours[name], errors=errors, published=published.get(name))
        axes.set_title(words)
        axes.tick_params(axis="x", rotation=90 * (len(data.runs) > MOST_UPRIGHT))
    for axes in panels[-1]:
        axes.set_xlabel("skip connections" if residual else "beta" if compared else "")
    handles, words = next(
        (found for axes in panels.flat if len((found := axes.get_legend_handles_labels())[0]) > 2),
        panels[0, 0].get_legend_handles_labels(),
    )
    figure.legend(handles, words, loc="outside upper right", ncols=3)

# %%
seeds = grid["seed"].nunique()
landscape = data.dataset("landscape", data.runs[0]["run"])
curvature = " The study has no spectra: curvature is not drawn."
if "trace" in titles:
    examples = source.dataset("spectrum", source.runs[0]["run"]).attrs["examples"]
    points = "all training points" if examples == "all" else f"{examples} training examples"
    curvature = (
        f" Curvature is that of the whole Hessian of the loss over {points}: the eigenvalue of "
        "largest magnitude with its sign, and Hutch++ estimates of the trace with bars of one "
        "standard error."
    )
if residual:
    told = "; ".join(
        f"{label}: loss {trained.loc[label, 'loss at the centre']}, "
        f"{score.replace('_', ' ')} {trained.loc[label, score.replace('_', ' ')]}"
        for label in centre
    )
    warning = (
        "Hollow diamonds are the published means of 4 seeds of ResNet-20 on CIFAR-10 (other data "
        "where ours is not CIFAR-10), read off a figure. The published contrast is suspect: the "
        "group's own surfaces without skip connections lie within 1e-3 of ln 10 = 2.303, the loss "
        "of a network that guesses among ten classes, although these networks are 90 % accurate; "
        "the zero curvature and persistence fit wrongly loaded weights, and the saddles rounding "
        f"on a plateau. Ours are the trained networks: at the centres of the grids, {told}. "
    )
elif compared:
    warning = (
        "Hollow diamonds are the published values of one seed, read off a figure to a few percent; "
        "the landscapes behind them may be those of another loss, whose public code leaves out the "
        "initial condition, so levels need not agree. "
    )
else:
    warning = "No published value belongs to these settings. "
lost = int(grid["diverged"].sum() + metrics["diverged"].sum())
left_out = f"; what diverged is left out (networks or landscapes: {lost})" if lost else ""
caption = (
    f"{number_of(len(data.runs), 'setting')} with {number_of(seeds, 'seed')} each; a dot is a "
    f"seed, from left to right in the order of the study, the line their mean{left_out}. "
    f"Landscapes: the loss of the trained network on {grid['points'].max()} points along each of "
    f"{sampling_in_words(landscape)}, {extent_in_words(landscape)}; saddles are "
    f"those that the arithmetic resolves ({connectivity_in_words(grid)}; the published counts are "
    "of a graph of 8 nearest neighbours, and counts differ between connectivities)."
    f"{curvature} {warning}Average persistence with the pair of global minimum and maximum is the "
    "loss range over the number of pairs wherever the other pairs are small; the controls show "
    "what remains without that pair, relative to the range, and for the logarithm of the loss. "
    f"{number_of(seeds, 'seed')} cannot test a difference: trends are tested on the claims page."
)
values = {
    "ours": ours,
    "published": {name: published[name] for name in compared},
    "center_loss": {label: losses.tolist() for label, losses in centre.items()},
    "seeds": seeds,
}
publish(figure, output, title=title, caption=caption, values=values)
