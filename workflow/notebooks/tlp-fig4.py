# ---
# jupyter:
#   topograph:
#     kind: landscape
#     family: supervised
#     targets: [brain, oxford-pet]
#     others:
#       grid: landscape
#       head: landscape
# ---

# %% [markdown]
# Loss landscapes of a segmentation network while it trains: accuracy, a held-out slice, profiles
# of up to three seeds at several epochs; beside them, where the study has them, accuracy over
# learning rates and epochs, and networks with and without a CRF-RNN head (Geniesse et al. 2024,
# Figure 4).

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
others = {}
title = ""
output = ""

# %%
import matplotlib.pyplot as plt
from matplotlib.colors import LogNorm

from topograph.claims.published import unet_accuracy
from topograph.foundation.errors import TopographError
from topograph.plotting.field import class_handles, draw_classes, draw_image
from topograph.plotting.numbers import (
    draw_pairs,
    draw_percentages,
    paired_differences,
    tick_plainly,
)
from topograph.plotting.profile import draw_profile_or_say_diverged
from topograph.plotting.style import COLOURS, figure_style
from topograph.report.figure import publish
from topograph.report.results import (
    Results,
    captioned,
    connectivity_in_words,
    extent_in_words,
    number_of,
    sampling_in_words,
    spread,
)

RATE = "optimiser.learning_rate"
# The paper shows as many; the tables have all.
MOST_DRAWN = 3

data = Results(results, analysis, runs)
history, metrics = data.training("history"), data.training("metrics")
quantities = data.table("topology", "quantities")
profiles, marks = data.table("topology", "profile"), data.table("topology", "marks")
seeds, epochs = sorted(metrics["seed"].unique()), sorted(quantities["epoch"].unique())
grid = quantities[quantities["points"] == quantities["points"].max()]

# %%
scores = [name for name in metrics if name.startswith(("test_", "iou_", "diverged"))]
final = metrics.groupby("run", sort=False)[scores].agg(spread).rename(index=data.labels).T
captioned(final, "On held-out images after training: mean and range over seeds.")

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
accuracy = None
if "grid" in others:
    rates = Results(results, **others["grid"])
    of = {entry["run"]: entry["parameters"].get(RATE) for entry in rates.runs}
    found = rates.training("history").assign(rate=lambda table: table["run"].map(of))
    accuracy = 100 * found.pivot_table("test_accuracy", "rate", "epoch", dropna=False)
    accuracy = accuracy.sort_index(ascending=False)
    counted = found.groupby(["rate", "epoch"])["test_accuracy"].count()
    lacking = counted[counted < found["seed"].nunique()]

# %%
rates.commands() if accuracy is not None else None

# %%
measures = {}
if "head" in others:
    pair = Results(results, **others["head"])
    if len(pair.runs) != 2:
        raise TopographError(
            f"others.head has {number_of(len(pair.runs), 'setting')} "
            f"({', '.join(pair.labels.values())}); allowed: two, with and without the head"
        )
    networks, ends = pair.training("metrics"), pair.table("topology", "quantities")
    ends = ends[(ends["points"] == ends["points"].max()) & (ends["epoch"] == ends["epoch"].max())]
    ends = ends.assign(loss_depth=ends["loss_border"] - ends["loss_minimum"])
    compared = ["test_accuracy", *(name for name in networks if name.startswith("iou_"))]
    measures = {
        name: table.pivot(index="seed", columns="run", values=name)[list(pair.labels)].rename(
            columns=pair.labels
        )
        for table, names in ((networks, compared), (ends, ["loss_depth"]))
        for name in names
    }

# %%
captioned(
    paired_differences(measures),
    "With and without the CRF-RNN head: mean and range over seeds, and of the differences between "
    "networks of the same seed. loss_depth is the median loss over the border of the landscape "
    "less its minimum.",
) if measures else None

# %%
drawn = seeds[:MOST_DRAWN]
norm = LogNorm(profiles["mean_loss"].min(), profiles["mean_loss"].max())
low, high = profiles["y"].min(), profiles["y"].max()

strips = {"curves": 2.4, "rates": 2.6 * (accuracy is not None), "pairs": 2.0 * bool(measures)}
strips = {name: height for name, height in strips.items() if height}
strips["profiles"] = 0.3 + 1.15 * len(data.runs) * len(drawn)

with figure_style():
    figure = plt.figure(figsize=(7.2, sum(strips.values())))
    parts = figure.subfigures(len(strips), 1, height_ratios=list(strips.values()), squeeze=False)
    strip = dict(zip(strips, parts[:, 0], strict=True))

    top = strip["curves"]
    axes = top.subplots(1, 4, width_ratios=[2.2, 1, 1, 1])
    for colour, (run, label) in zip(COLOURS, data.labels.items(), strict=False):
        rows = history[history["run"] == run].groupby("epoch")["test_accuracy"]
        mean = rows.mean()
        axes[0].plot(mean.index, mean, color=colour, label=label)
        axes[0].fill_between(mean.index, rows.min(), rows.max(), color=colour, alpha=0.25, lw=0)
    axes[0].set(xlabel="epoch", ylabel="pixel accuracy")
    if len(data.runs) > 1:
        axes[0].legend(loc="lower right")
    u = data.predictions(data.runs[0]["run"], "image")
    middle = u.sizes["example"] // 2
    draw_image(axes[1], u["image"].values[middle])
    draw_classes(axes[2], u["target"].values[middle])
    draw_classes(axes[3], u["predicted"].sel(seed=seeds[0]).values[middle])
    for panel, name in zip(axes[1:], ("image", "truth", "predicted"), strict=True):
        panel.set_title(name)
    top.legend(handles=class_handles(u.attrs["classes"]), loc="outside lower right", ncols=3)

    if accuracy is not None:
        panels = strip["rates"].subplots(1, 2, width_ratios=[1.5, 1])
        maps = {"ours: test accuracy in %": accuracy, "published, Oxford-IIIT Pet": unet_accuracy()}
        for axes, (name, frame) in zip(panels, maps.items(), strict=True):
            image = draw_percentages(axes, frame, printed=frame is not accuracy)
            strip["rates"].colorbar(image, ax=axes, aspect=15)
            axes.set(title=name, xlabel="epoch")
        panels[0].set_ylabel("learning rate")

    if measures:
        panels = strip["pairs"].subplots(1, len(measures))
        for axes, (name, pairs) in zip(panels, measures.items(), strict=True):
            draw_pairs(axes, pairs)
            axes.set_title(name.replace("iou_", "IoU ").replace("_", " "), fontsize=8)
        strip["pairs"].supxlabel("CRF-RNN head", fontsize=9)

    panels = strip["profiles"].subplots(
        len(data.runs) * len(drawn), len(epochs), sharey=True, squeeze=False
    )
    for row, (run, seed) in enumerate((run, seed) for run in data.labels for seed in drawn):
        for column, epoch in enumerate(epochs):
            axes = panels[row, column]
            query = "run == @run and seed == @seed and epoch == @epoch"
            draw_profile_or_say_diverged(axes, profiles.query(query), marks.query(query), norm=norm)
            tick_plainly(axes)
            axes.set(xticks=[], ylim=(low * 0.9, high * 1.1), xlabel="")
            axes.set_ylabel("loss" if column == 0 else "")
            if column == 0:
                several = len(data.runs) > 1
                name = f"{data.labels[run]}, seed {seed}" if several else f"seed {seed}"
                axes.text(0.02, 0.06, name, transform=axes.transAxes, fontsize=7)
            if row == 0:
                axes.set_title(f"epoch {epoch}")

# %%
landscape = data.dataset("landscape", data.runs[0]["run"])
brain = all(run.startswith("brain-") for run in data.labels)
at = f"for each of {len(data.runs)} settings" if len(data.runs) > 1 else "at one setting"
told = [
    f"Segmentation into {', '.join(u.attrs['classes'])}, {number_of(len(seeds), 'seed')} {at}. "
    f"Top: pixel accuracy on {number_of(u.sizes['example'], 'held-out image')} (line: mean, band: "
    f"range over seeds) and one of these with the prediction of seed {seeds[0]} at "
    f"{data.runs[0]['label']}. "
]
if accuracy is not None:
    told += [
        f"Next: test accuracy at {number_of(len(accuracy), 'learning rate')} from epoch 0, before "
        f"training, to {accuracy.columns[-1]:g}, mean of "
        f"{number_of(found['seed'].nunique(), 'seed')}"
        + f" (of fewer in {number_of(len(lacking), 'cell')}, where training diverged)"
        * bool(len(lacking))
        + "; beside it the "
        "published means of 5 seeds, read off a figure, on Oxford-IIIT Pet with a CRF-RNN "
        "head, with colours of its own; its epoch 0 already depends on the rate, so it seems to "
        "follow the first epoch of training and to be our epoch 1. "
        + "Data and network are others: patterns over rates and epochs compare, levels do not. "
        * brain,
    ]
if measures:
    count = len(next(iter(measures.values())))
    told += [
        f"Next: the networks of {number_of(count, 'seed')} with and without the CRF-RNN head "
        f"({' and '.join(pair.labels.values())}) at the end of training; a line joins the two of a "
        "seed, the black one is the mean, depth is the median loss over the border of the "
        "landscape less its minimum. The paper has no network without the head. The head changes "
        "the loss as well as the prediction, so depths are of two different functions. "
    ]
told += [
    f"Below: topological profiles of the training loss of {len(drawn)} of "
    f"{number_of(len(seeds), 'seed')}, on a grid of {grid['points'].max()} points along each of "
    f"{sampling_in_words(landscape)}, {extent_in_words(landscape)}, found anew at each epoch; all "
    "panels share one logarithmic loss axis; width counts grid points, colour is the mean loss of "
    "a basin, red dots are minima, orange dots saddles, grey is what the arithmetic does not "
    f"resolve ({connectivity_in_words(grid)}). ",
    "One averaged brain can show how the landscape of a segmentation network changes as it "
    "learns, and how that depends on rate, head and seed. It cannot show generalisation to people: "
    "held-out slices lie between training slices of the same template, whose averaging took away "
    "what varies between brains, noise and lesions; so accuracy is that of interpolation, and the "
    "spread is over seeds alone." * brain,
]
values = {
    "test_accuracy": data.by_label(metrics, "test_accuracy"),
    "seeds": len(seeds),
    "epochs": [int(epoch) for epoch in epochs],
}
if accuracy is not None:
    ours = {f"{rate:g}": row.tolist() for rate, row in accuracy.iterrows()}
    values |= {"accuracy_by_rate": ours, "accuracy_epochs": list(accuracy.columns)}
if measures:
    values["head"] = {
        name: {setting: pairs[setting].tolist() for setting in pairs}
        for name, pairs in measures.items()
    }
publish(figure, output, title=title, caption="".join(told), values=values)
