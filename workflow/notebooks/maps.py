# ---
# jupyter:
#   topograph:
#     kind: weights
#     others: {second: weights, third: weights}
# ---

# %% [markdown]
# Maps of all weights that training passed, of all seeds, by five methods, each with its quality.

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

from topograph.plotting.landscape import draw_contour
from topograph.plotting.style import COLOURS, figure_style
from topograph.report.figure import publish
from topograph.report.networks import networks
from topograph.report.results import captioned, number_of

NAMES = {
    "pca": "PCA",
    "phate": "PHATE",
    "umap": "UMAP",
    "tsne": "t-SNE",
    "autoencoder": "autoencoder",
}
MEASURES = {
    "trustworthiness": "trustworthiness",
    "continuity": "continuity",
    "overlap": "neighbours kept",
    "shepard": "Shepard correlation",
    "stress": "stress",
    "reconstruction": "reconstruction error",
    "reconstruction_held_out": "the same, held out",
    "trajectory_preservation": "trajectories kept",
    "seed_spread": "spread over random numbers",
}
shown = networks(results, analysis, runs, others, kind="weights", needed="coordinates")
found = shown.datasets
quality = {
    label: data.table("weights", "methods").set_index("method")[list(MEASURES)]
    for label, data in shown.results.items()
}

# %%
captioned(
    pd.concat(quality, names=["network", "map"])
    .rename(index=NAMES, columns=MEASURES)
    .astype(object)
    .fillna("none"),
    "How true each map is to the distances between weights. Higher is better up to the Shepard "
    "correlation, lower is better for stress and spread, which is 0 where chance has no part, and "
    "for the reconstruction error: how far decoded weights lie from those that the map was made "
    "from, over how far these lie from their mean. Held out, it is that of weights "
    "which the map was made without, a quarter at a time: far above the other, the map was learnt "
    "by heart.",
)


# %%
def draw(axes, dataset, method):
    """Draw the points of a map, a line for each seed, on the loss where there is one."""
    drawn = None
    if f"{method}_loss" in dataset:
        axis = {f"{method}_{i}": f"alpha_{i}" for i in (1, 2)}
        drawn = draw_contour(axes, dataset[f"{method}_loss"].rename(axis))
    points = dataset["coordinates"].sel({"method": method}).values
    for place, seed in enumerate(sorted(set(dataset["point_seed"].values.tolist()))):
        path = points[dataset["point_seed"].values == seed]
        colour = COLOURS[1 + place % (len(COLOURS) - 1)]
        axes.plot(*path.T, "-", color=colour, lw=0.9)
        axes.scatter(*path[:-1].T, s=7, color=colour, linewidths=0)
        axes.scatter(*path[-1], s=45, marker="*", color=colour, edgecolors="black", linewidths=0.4)
    axes.set(xticks=[], yticks=[], xlabel="", ylabel="")
    return drawn


with figure_style():
    columns = max(dataset.sizes["method"] for dataset in found.values())
    figure, panels = plt.subplots(
        len(found), columns, figsize=(2.5 * columns, 0.3 + 2.7 * len(found)), squeeze=False
    )
    for row, (label, dataset) in zip(panels, found.items(), strict=True):
        for axes, method in zip(row, dataset["method"].values, strict=False):
            drawn = draw(axes, dataset, str(method))
            if drawn is not None:
                figure.colorbar(drawn, ax=axes, format="%.2g", shrink=0.8)
            numbers = quality[label].loc[str(method)]
            told = f"trust {numbers['trustworthiness']:.2f}, contin. {numbers['continuity']:.2f}"
            told += f"\nstress {numbers['stress']:.2f}"
            if pd.notna(numbers["reconstruction"]):
                told += f", reconstr. {numbers['reconstruction']:.2g}"
            if pd.notna(numbers["reconstruction_held_out"]):
                told += f" ({numbers['reconstruction_held_out']:.2g})"
            if method == "pca":
                told += f", variance {float(dataset['explained'][:2].sum()):.0%}"
            axes.set_xlabel(told, fontsize=7)
            axes.set_title(NAMES[str(method)])
        row[0].set_ylabel(label, fontweight="bold")

# %%
counted = ", ".join(
    f"{label} {number_of(dataset.sizes['point'], 'point')} of "
    + number_of(len(set(dataset["point_seed"].values)), "seed")
    for label, dataset in found.items()
)
caption = (
    f"All weights that training kept, of every seed together: {counted}. A colour is a seed, a "
    "line its training, a star its end. Behind PCA is the loss on the plane, behind the "
    "autoencoder the loss at weights decoded from each place: that of the surface, not of points "
    "beside it. Places on the other maps mean nothing but by their neighbours. Under each stands "
    "how true it is to the distances between weights, in brackets the reconstruction of weights "
    "that the map was made without, under PCA the share of variance that it shows; read a map only "
    f"as far as that. {shown.examples}{shown.left_out}"
)
values = {label: table.reset_index().to_dict("records") for label, table in quality.items()}
publish(figure, output, title=title, caption=caption, values=values)
