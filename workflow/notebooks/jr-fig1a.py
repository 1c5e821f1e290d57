# ---
# jupyter:
#   topograph:
#     kind: jump-retrain
#     family: supervised
# ---

# %% [markdown]
# The same points, visited by retraining after jumps, on four maps: which keeps trajectories
# together (Horoi et al. 2022, Figure 1A)?

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
title = ""
output = ""

# %%
import matplotlib.pyplot as plt

from topograph.plotting.style import figure_style
from topograph.plotting.trajectory import draw_map
from topograph.report.figure import publish
from topograph.report.results import Results, captioned, number_of, spread

NAMES = {"phate": "PHATE", "tsne": "t-SNE", "umap": "UMAP", "pca": "PCA"}
MEASURES = ["trajectory_preservation", "trustworthiness", "continuity", "stress", "seed_spread"]

data = Results(results, analysis, runs)
points, quality = data.table("embedding", "points"), data.table("embedding", "quality")
run, label = next(iter(data.labels.items()))
seed = points.loc[points["run"] == run, "seed"].iloc[0]
shown = points[(points["run"] == run) & (points["seed"] == seed) & (points["ray"] >= 0)]
methods = [name for name in NAMES if name in set(shown.dropna(subset=["x"])["method"])]

# %%
measured = [name for name in MEASURES if name in quality]
own = quality.assign(method=quality["method"].map(NAMES))
captioned(
    own.groupby("method", sort=False)[measured].agg(spread),
    f"Quality of the maps of {number_of(len(data.labels), 'network')} and their training seeds: "
    "mean and range. Trajectory preservation: the share of retraining steps that join near points "
    "of the map. Spread: how far maps by other random numbers lie apart, 0 alike to 1.",
)

# %%
with figure_style():
    figure, panels = plt.subplots(1, max(len(methods), 1), figsize=(9.6, 3.0), squeeze=False)
    for axes, method in zip(panels[0], methods, strict=False):
        part = shown[shown["method"] == method]
        drawn = draw_map(axes, part, part["epoch"])
        (row,) = quality[
            (quality["run"] == run) & (quality["seed"] == seed) & (quality["method"] == method)
        ].to_dict("records")
        axes.set_title(NAMES[method])
        axes.set_xlabel(
            f"steps kept {row['trajectory_preservation']:.2f}\n"
            f"trustworthiness {row['trustworthiness']:.2f}\n"
            f"continuity {row['continuity']:.2f}, spread {row['seed_spread']:.2f}"
        )
    if methods:
        figure.colorbar(drawn, ax=panels, label="epoch of retraining", shrink=0.8)

# %%
first = data.any_dataset("trajectory")
caption = (
    f"Trajectories of {label}, training seed {seed}: {number_of(first.sizes['ray'], 'random ray')} "
    f"x {number_of(first.sizes['step'], 'step')}, the jump and "
    f"{number_of(first.sizes['epoch'] - 1, 'epoch')} each, coloured by epoch. PHATE, "
    "t-SNE and UMAP see the same distances, PCA the points themselves; the trained weights are "
    "among the points. Under each map: the share of retraining steps that join near points, "
    "trustworthiness and continuity (15 neighbours), and the spread over seeds of the method. The "
    f"table is of {number_of(len(own), 'map')}. A map of one network shows no difference between "
    "networks."
)
values = {
    name: {method: part[name].tolist() for method, part in quality.groupby("method")}
    for name in measured
}
publish(figure, output, title=title, caption=caption, values=values)
