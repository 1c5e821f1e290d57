# ---
# jupyter:
#   topograph:
#     kind: jump-retrain
#     family: supervised
# ---

# %% [markdown]
# Do networks return after a jump? Distances in parameter space first, then the map with the trained
# weights on it (Horoi et al. 2022, Figures 2d-f).

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
title = ""
output = ""

# %%
import matplotlib.pyplot as plt
import pandas as pd

from topograph.plotting.style import figure_style
from topograph.plotting.trajectory import draw_embedding, draw_returns
from topograph.report.figure import publish
from topograph.report.results import Results, captioned, number_of, spread

NAMES = ["relative_distance", "cosine", "lateral", "back"]
DRAWN = {"relative_distance": "distance / jump", "lateral": "across the jump / jump"}

data = Results(results, analysis, runs)
metrics, quality = data.training("metrics"), data.table("embedding", "quality")
points = data.table("embedding", "points").query("method == 'phate'")
visited = points[points["ray"] >= 0]
run, label = next(iter(data.labels.items()))
seed = points.loc[points["run"] == run, "seed"].iloc[0]

# %%
named = visited.assign(network=visited["run"].map(data.labels))
last = named[named["epoch"] == named["epoch"].max()]
captioned(
    last.groupby(["network", "step"], sort=False)[NAMES].agg(spread),
    f"After {number_of(last['epoch'].max(), 'epoch')}, mean and range over rays and training "
    "seeds: distance to the trained weights over the jump, cosine of the offset to the jump, part "
    "across it, cosine of the way travelled to the way back.",
)

# %%
farthest = named.groupby(["network", "seed", "ray", "step"])["relative_distance"].max()
first = named[named["epoch"] == 1]
summary = pd.DataFrame(
    {
        "after one epoch": first.groupby(["network", "step"])["relative_distance"].agg(spread),
        "farthest": farthest.groupby(["network", "step"]).agg(spread),
    }
)
captioned(summary, "Distance over the jump after one epoch, and the largest on the way.")

# %%
phate = quality[quality["method"] == "phate"].set_index(["run", "seed"]).rename(index=data.labels)
captioned(
    phate.drop(columns="method").T,
    "What the map hangs on: t, saturation, components of the kernel graph at several knn, quality.",
)

# %%
own = visited[visited["run"] == run]
with figure_style():
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10, 3.4))
    draw_returns(left, own)
    left.set_ylabel(DRAWN["relative_distance"])
    left.legend(fontsize=7)
    draw_returns(middle, own.assign(relative_distance=own["lateral"]))
    middle.set_ylabel(DRAWN["lateral"])
    middle.lines[0].set_visible(False)
    draw_embedding(right, points[(points["run"] == run) & (points["seed"] == seed)])
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=5)

# %%
row = phate.loc[(label, seed)]
scores = metrics[metrics["run"] == run]
rays, steps = own["ray"].nunique(), own["step"].nunique()
components = row.filter(like="components_knn_").dropna().rename(lambda k: k.split("_")[-1])
kernel = (
    "Its kernel graph has "
    + ", ".join(
        f"{number_of(round(count), 'component')} at knn {knn}" for knn, count in components.items()
    )
    + ": whether it looks like a star or like petals follows these."
    if len(components)
    else f"Of {number_of(round(row['points']), 'point')} there is no map."
)
caption = (
    f"{label} (test accuracy {scores['test_accuracy'].mean():.3f}, train accuracy "
    f"{scores['train_accuracy'].mean():.3f}, mean of {number_of(len(scores), 'training seed')}): "
    f"{number_of(rays, 'random ray')} x {number_of(steps, 'step')}, "
    f"{number_of(own['epoch'].max(), 'epoch')} each. Left: distance to the trained "
    "weights over the jump, in parameter space; 1 is neither return nor escape. Middle: the part "
    "of it across the jump. Lines are means, bands ranges over rays and training seeds. Right: "
    f"PHATE map of training seed {seed} by cosine distances; diamonds are jumps, larger for larger "
    f"steps, hue is the ray, fading with the epoch, the star the trained weights. {kernel} "
    f"Trajectories that diverged and are left out: {row['excluded']:.0f}."
    + (" With one ray there is no spread over rays." if rays == 1 else "")
)
by_step = last[last["run"] == run].groupby("step")
values = {name: by_step[name].apply(list).to_dict() for name in NAMES}
publish(figure, output, title=title, caption=caption, values=values)
