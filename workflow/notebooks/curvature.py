# ---
# jupyter:
#   topograph:
#     kind: topography
#     others: {second: topography, third: topography}
# ---

# %% [markdown]
# The Hessian of the loss: both ends of its spectrum and its trace as training proceeds, its
# density at the end, and its blocks layer by layer.

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
others = {}
title = ""
output = ""

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from topograph.plotting.density import draw_density
from topograph.plotting.numbers import scale_widely
from topograph.plotting.style import COLOURS, figure_style
from topograph.report.figure import publish
from topograph.report.networks import networks
from topograph.report.results import captioned, number_of

shown = networks(results, analysis, runs, others, kind="topography", needed="top")
found = shown.datasets

# %%
layers = {
    label: pd.DataFrame(
        {
            "parameters": dataset["layer_parameters"].isel(seed=0).to_pandas(),
            "top eigenvalue": np.abs(dataset["layer_top_eigenvalue"]).mean("seed").to_pandas(),
            "trace": dataset["layer_trace"].mean("seed").to_pandas(),
            "its error": dataset["layer_trace_error"].mean("seed").to_pandas(),
        }
    )
    for label, dataset in found.items()
}
captioned(
    pd.concat(layers, names=["network", "layer"]),
    "The diagonal blocks of the Hessian, layer by layer, at the end of training: means over "
    "seeds, of the largest eigenvalue by its size.",
)


# %%
def by_epoch(axes, dataset, name, error, colour, label, sign=1):
    """Draw a number of each seed with its error over the epochs looked at."""
    for place, seed in enumerate(dataset["seed"].values):
        one = dataset.sel(seed=seed).dropna("epoch", subset=[name])
        axes.errorbar(
            one["epoch"], sign * one[name], yerr=one[error], color=colour, marker="o", ms=2.5,
            lw=0.9, elinewidth=0.8, label=label if place == 0 else None,
        )  # fmt: skip


with figure_style():
    figure, panels = plt.subplots(
        len(found), 4, figsize=(11.5, 0.4 + 2.3 * len(found)), squeeze=False
    )
    for row, (label, dataset) in zip(panels, found.items(), strict=True):
        ends = dataset.assign(
            largest=dataset["top"].isel(rank=0),
            largest_error=dataset["top_errors"].isel(rank=0),
            smallest=dataset["bottom"].isel(rank=0),
            smallest_error=dataset["bottom_errors"].isel(rank=0),
        ).drop_dims("rank")
        by_epoch(row[0], ends, "largest", "largest_error", COLOURS[0], "largest")
        by_epoch(row[0], ends, "smallest", "smallest_error", COLOURS[5], "smallest")
        scale_widely(
            row[0], np.concatenate([ends[n].values.ravel() for n in ("largest", "smallest")])
        )
        row[0].set(xlabel="epoch", ylabel="eigenvalue")
        row[0].legend()
        by_epoch(row[1], ends, "trace", "trace_error", COLOURS[2], "trace")
        scale_widely(row[1], ends["trace"].values.ravel())
        row[1].set(xlabel="epoch", ylabel="trace")
        for axes in row[:2]:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        draw_density(row[2], dataset.isel(seed=0)[["grid", "density", "density_error"]])
        row[2].legend()
        table = layers[label]
        row[3].barh(range(len(table)), table["top eigenvalue"], color=COLOURS[0])
        row[3].set_yticks(range(len(table)), table.index, fontsize=6)
        row[3].invert_yaxis()
        row[3].set(xscale="log", xlabel="|top eigenvalue| of the layer")
        row[0].set_title(label, loc="left", fontweight="bold")

# %%
seeds = ", ".join(
    f"{label} {number_of(dataset.sizes['seed'], 'seed')}" for label, dataset in found.items()
)
caption = (
    "The Hessian of the training loss. Left to right: its largest and smallest eigenvalue and its "
    "trace as training proceeds, a line for each seed, bars one residual or standard error; the "
    "density of eigenvalues of the first seed at the end, where grey is what the smoothing hides; "
    f"the largest eigenvalue of each layer's block, mean over seeds. Networks: {seeds}. "
    f"{shown.examples} Curvature describes the loss only where it is nearly quadratic."
    f"{shown.left_out}"
)
values = {
    label: {
        name: dataset[name].isel(epoch=-1).values.tolist()
        for name in ("trace", "trace_error", "condition", "alignment", "index")
    }
    | {"top_eigenvalue": dataset["top"].isel(epoch=-1, rank=0).values.tolist()}
    for label, dataset in found.items()
}
publish(figure, output, title=title, caption=caption, values=values)
