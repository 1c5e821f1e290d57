# ---
# jupyter:
#   topograph:
#     kind: interpolation
#     others: {second: interpolation, third: interpolation}
# ---

# %% [markdown]
# The loss on straight lines: from the start to the end of training, and between two solutions
# (Goodfellow et al. 2015).

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

from topograph.plotting.lines import draw_mean_and_range, over
from topograph.plotting.numbers import scale_widely
from topograph.plotting.style import COLOURS, figure_style
from topograph.report.figure import publish
from topograph.report.networks import networks
from topograph.report.results import captioned, number_of, spread

shown = networks(results, analysis, runs, others, kind="interpolation", needed="initial_loss")
found = shown.datasets
rows = pd.concat(
    [
        data.table("interpolation", "methods").assign(network=label)
        for label, data in shown.results.items()
    ]
)
lines = rows[rows["method"] == "interpolation"]
lines = lines.assign(
    line=["initial to trained" if s >= 0 else "between seeds" for s in lines["seed"]]
)

# %%
barriers = lines.groupby(["network", "line"], sort=False)["barrier"].agg(spread).unstack("line")
captioned(
    barriers,
    "Barriers of the training loss on straight lines: how far it rises above the line between the "
    "losses at both ends. Mean and range over seeds, or pairs of them.",
)

# %%
PARTS = {"initial": "t, from initial to trained weights", "between": "t, from seed to seed"}


def draw(axes, dataset, part, names):
    """Draw losses or metrics of both sets along the lines of a part."""
    for name, colour in zip(names, COLOURS, strict=False):
        if f"{part}_{name}" in dataset:
            values = dataset[f"{part}_{name}"]
            values = values.sel(curve="line") if "curve" in values.dims else values
            label = ("test " if name.startswith("test_") else "training ") + name.split("_")[-1]
            draw_mean_and_range(axes, dataset["t"], over(values, "t"), colour=colour, label=label)
    axes.set_xlabel(PARTS[part])


with figure_style():
    figure, panels = plt.subplots(
        len(found), 4, figsize=(11, 0.4 + 2.1 * len(found)), squeeze=False
    )
    for row, (label, dataset) in zip(panels, found.items(), strict=True):
        for place, part in enumerate(PARTS):
            losses, accuracies = row[2 * place : 2 * place + 2]
            if part == "between" and "line" not in dataset.get("curve", []):
                for axes in (losses, accuracies):
                    axes.set_axis_off()
                told = {"ha": "center", "transform": losses.transAxes}
                losses.text(0.5, 0.5, "no line between seeds", **told)
                continue
            draw(losses, dataset, part, ["loss", "test_loss"])
            drawn = dataset[f"{part}_loss"].values
            scale_widely(losses, drawn.ravel())
            losses.set_ylabel("loss")
            if f"{part}_accuracy" in dataset:
                draw(accuracies, dataset, part, ["accuracy", "test_accuracy"])
                accuracies.set_ylabel("accuracy")
            else:
                draw(accuracies, dataset, part, ["residual", "initial", "boundary"])
                accuracies.set(yscale="log", ylabel="parts of the loss")
            for axes in (losses, accuracies):
                axes.legend()
        row[0].set_title(label, loc="left", fontweight="bold")

# %%
counted = ", ".join(
    f"{label} {number_of(dataset.sizes['seed'], 'seed')} and "
    + number_of(dataset.sizes.get("pair", 0), "pair")
    for label, dataset in found.items()
)
caption = (
    "Loss along straight lines in weight space. Left: from initial to trained weights; right: "
    "between the trained weights of two seeds. Lines are means, bands least to largest: "
    f"{counted}. {shown.examples} {shown.batch_norm} What lies beside a line is not seen: a "
    f"barrier on it does not mean that no low path exists.{shown.left_out}"
)
values = {
    label: group.groupby("line")["barrier"].apply(list).to_dict()
    for label, group in lines.groupby("network", sort=False)
}
publish(figure, output, title=title, caption=caption, values=values)
