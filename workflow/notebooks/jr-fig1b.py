# ---
# jupyter:
#   topograph:
#     kind: jump-retrain
#     reads: [artificial-tree]
# ---

# %% [markdown]
# An artificial tree on the same four maps: its branches are known (Horoi et al. 2022, Figure 1B).

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
from topograph.report.results import Results, captioned

NAMES = {"phate": "PHATE", "tsne": "t-SNE", "umap": "UMAP", "pca": "PCA"}

data = Results(results, analysis, runs)
points = data.of_study("artificial-tree.points")
quality = data.of_study("artificial-tree.quality").set_index("method").loc[list(NAMES)]

# %%
captioned(
    quality.rename(index=NAMES),
    "Quality of the maps of the tree. Along: rank correlation of distances on the map with the "
    "steps between points on the tree; trajectory preservation: share of the tree's steps, branch "
    "by branch, that join near points.",
)

# %%
with figure_style():
    figure, panels = plt.subplots(1, len(NAMES), figsize=(9.6, 3.0))
    for axes, (method, name) in zip(panels, NAMES.items(), strict=True):
        part = points[points["method"] == method]
        draw_map(axes, part, part["branch"], colours="tab20")
        axes.set_title(name)
        axes.set_xlabel(
            f"along the tree {quality.loc[method, 'along']:.2f}\n"
            f"steps kept {quality.loc[method, 'trajectory_preservation']:.2f}\n"
            f"trustworthiness {quality.loc[method, 'trustworthiness']:.2f}"
        )

# %%
branches = points["branch"].nunique()
caption = (
    f"An artificial tree: {branches} random walks of {points['order'].max() + 1} points, each "
    "beginning at a point of an earlier one; colours are branches. All maps see Euclidean "
    "distances. Under each: rank correlation of its distances with the steps along the tree, share "
    "of these steps that join near points, trustworthiness. One tree of one seed; the published "
    "one was made by another generator."
)
publish(figure, output, title=title, caption=caption, values=quality.to_dict("index"))
