# ---
# jupyter:
#   topograph:
#     kind: landscape
#     dimensions: [2]
# ---

# %% [markdown]
# How to read a profile: a loss surface, its merge tree and its topological landscape profile on
# one loss axis (Geniesse et al. 2024, Figure 2), for every run of an experiment.

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
title = ""
output = ""

# %%
import matplotlib.pyplot as plt

from topograph.plotting.landscape import draw_contour
from topograph.plotting.persistence import draw_diagram
from topograph.plotting.profile import draw_profile_or_say_diverged
from topograph.plotting.style import figure_style
from topograph.plotting.tree import draw_tree
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

data = Results(results, analysis, runs)
quantities = data.table("topology", "quantities")
profiles, marks, trees = (data.table("topology", n) for n in ("profile", "marks", "tree"))
diagrams = data.table("topology", "diagram")
seed = sorted(quantities["seed"].unique())[0]
grid = quantities[quantities["points"] == quantities["points"].max()]

# %%
shown = [
    "minima",
    "minima_resolved",
    "saddles",
    "loss_minimum",
    "loss_range",
    "persistence_entropy",
    "smad",
    "volume_below_10",
    "volume_global_basin",
    "width_slope",
]
numbers = grid.groupby("run", sort=False)[shown].agg(spread).rename(index=data.labels).T
captioned(
    numbers,
    "The landscapes: mean and range over seeds; the picture shows the first. The saddle-minimum "
    "average distance (smad) is that of the merge tree; its older form, on the contour tree, is "
    "not computed. A quadratic bowl has width_slope 1, a cone 2.",
)

# %%
data.minima_on_subgrids(quantities)

# %%
data.differences_between_seeds()

# %%
with figure_style():
    figure, panels = plt.subplots(
        len(data.runs), 4, figsize=(9, 2.3 * len(data.runs)), squeeze=False
    )
    for row, (run, label) in enumerate(data.labels.items()):
        epoch = quantities.loc[quantities["run"] == run, "epoch"].max()
        query = "run == @run and seed == @seed and epoch == @epoch"
        chosen = [frame.query(query) for frame in (profiles, marks, trees, diagrams)]
        profile, dots, tree, diagram = chosen
        landscape = data.dataset("landscape", run)
        loss = landscape["loss"].sel(seed=seed, epoch=epoch)
        surface, branches, shape, plane = panels[row]
        draw_profile_or_say_diverged(shape, profile, dots)
        if len(profile):
            figure.colorbar(draw_contour(surface, loss, dots), ax=surface, format="%.2g")
            draw_tree(branches, tree)
            branches.set(xlim=(0, loss.size), xlabel="grid points", ylabel="loss")
            branches.set(yscale="log", ylim=shape.get_ylim())
            draw_diagram(plane, diagram, log=True)
        titles = ("loss surface", "merge tree", "profile", "persistence diagram")
        for axes, name in zip(panels[row], titles, strict=True):
            axes.set_title(f"{label}: {name}" if axes is surface else name)

# %%
count = quantities["seed"].nunique()
caption = (
    f"From a loss surface to its profile, seed {seed} of {count} in "
    f"{number_of(len(data.runs), 'setting')}. Left to right: the training loss on "
    f"{grid['points'].max()} points along each of {sampling_in_words(landscape)}, "
    f"{extent_in_words(landscape)}; its merge tree ({connectivity_in_words(grid)}); the profile, "
    "in which the width at a loss counts the grid points below it; what the arithmetic does not "
    "resolve is grey; the persistence diagram of the same values (axis connectivity). Axes and "
    "colours of losses are logarithmic. Numbers over all seeds are in the tables."
)
values = {"minima": data.by_label(grid, "minima"), "seeds": count}
publish(figure, output, title=title, caption=caption, values=values)
