# ---
# jupyter:
#   topograph:
#     kind: jump-retrain
#     family: supervised
#     others: {baselines: baselines}
# ---

# %% [markdown]
# The same network seen by a grid (2a), by rays (2b) and by jump and retrain (2c), each page one of
# them, on one scale of the loss (Horoi et al. 2022, Figures 2a-c).

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
others = {}
title = ""
output = ""

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm

from topograph.plotting.style import figure_style
from topograph.plotting.trajectory import draw_map
from topograph.report.figure import publish
from topograph.report.results import Results, captioned

WORDS = {
    "grid": "a grid along 3 random directions",
    "rays": "random rays",
    "jump and retrain": "jump and retrain",
}
SHOWN = {"jr-fig2a": "grid", "jr-fig2b": "rays", "jr-fig2c": "jump and retrain"}

data, around = Results(results, analysis, runs), Results(results, **others["baselines"])
run, label = next(iter(data.labels.items()))
visited = data.table("embedding", "points").query("method == 'phate' and ray >= 0")
visited = visited.rename(columns={"train_loss": "loss"}).assign(kind="jump and retrain")
sampled = around.table("baselines", "points")
points = pd.concat([sampled[["run", "seed", "kind", "loss", "x", "y"]], visited])
points = points[points["run"] == run]
points = points[points["seed"] == points["seed"].min()]

# %%
quantiles = points.groupby("kind", sort=False)["loss"].quantile([0, 0.25, 0.5, 0.75, 1]).unstack()
quantiles = quantiles.rename(columns="{:.0%}".format).loc[list(WORDS)]
captioned(quantiles, f"Quantiles of the train loss over the points of {label}, one training seed.")

# %%
which = SHOWN.get(Path(output).name, "jump and retrain")
part = points[points["kind"] == which]
# What is zero has no logarithm.
positive = points["loss"][points["loss"] > 0]
norm = LogNorm(*positive.quantile([0.01, 0.99]))
bins = np.geomspace(positive.min(), positive.max(), 40)
with figure_style():
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6), width_ratios=[1.2, 1])
    drawn = draw_map(left, part, part["loss"], norm=norm)
    left.set_title(WORDS[which])
    figure.colorbar(drawn, ax=left, label="train loss", extend="both")
    for kind, group in points.groupby("kind", sort=False):
        right.hist(
            group["loss"],
            bins=bins,
            histtype="stepfilled" if kind == which else "step",
            alpha=0.7 if kind == which else 1.0,
            label=WORDS[kind],
        )
    right.set_xscale("log")
    right.set_xlabel("train loss")
    right.set_ylabel("points")
    right.legend()

# %%
counts = points["kind"].value_counts()
caption = (
    f"{label}, one training seed, seen by {WORDS[which]}: {counts[which]} points on a PHATE map by "
    "cosine distances, coloured by the train loss on the scale that this figure shares with the "
    "other two ways of sampling (1 to 99 % of all). Right: the losses of all three. The grid and "
    "the rays reach as far as the largest jump; their shapes and range are ours, for the paper "
    "states none. Places mean nothing between maps. "
    f"Median loss: {', '.join(f'{k} {v:.3g}' for k, v in quantiles['50%'].items())}."
)
values = {kind: row.to_dict() for kind, row in quantiles.iterrows()}
publish(figure, output, title=title, caption=caption, values=values)
