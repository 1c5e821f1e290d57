# ---
# jupyter:
#   topograph:
#     kind: jump-retrain
#     family: supervised
# ---

# %% [markdown]
# Jumps from three networks, each retrained: do they return? Distances in parameter space first,
# then PHATE maps and the homology of the trajectory graphs (Horoi et al. 2022, Figures 2d-f, 3A).

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
title = ""
output = ""

# %%
import itertools

import matplotlib.pyplot as plt
import pandas as pd

from topograph.comparison.paired import paired_difference
from topograph.plotting.persistence import draw_diagram
from topograph.plotting.style import figure_style
from topograph.plotting.trajectory import draw_embedding, draw_returns
from topograph.report.figure import publish
from topograph.report.results import Results, captioned, number_of, spread

data = Results(results, analysis, runs)
metrics = data.training("metrics")
points, quality = data.table("embedding", "points"), data.table("embedding", "quality")
diagrams, homology = data.table("homology", "diagram"), data.table("homology", "statistics")
trajectories = {run: data.dataset("trajectory", run) for run in data.labels}

# %%
scores = ["train_loss", "train_accuracy", "test_loss", "test_accuracy"]
scores = [name for name in scores if metrics[name].notna().any()]
trained = metrics.groupby("run", sort=False)[scores].agg(spread).rename(index=data.labels).T
captioned(trained, "The trained networks: mean and range over training seeds.")

# %%
# Right or wrong is asked of classes alone; networks with another test set are left out.
predictions = {run: data.predictions(run) for run in data.labels}
correct = {
    run: right.mean([name for name in right.dims if name in "zyx"]).values
    for run, u in predictions.items()
    if "classes" in u.attrs
    for right in [(u["predicted"] == u["target"]).astype(float)]
}
differences = pd.DataFrame(
    [
        {
            "first": data.labels[a],
            "second": data.labels[b],
            **paired_difference(correct[a], correct[b])._asdict(),
            "test examples": correct[a].shape[1],
        }
        for a, b in itertools.combinations(correct, 2)
        if predictions[a]["target"].equals(predictions[b]["target"])
    ]
)
captioned(
    differences.set_index(["first", "second"]) if len(differences) else differences,
    "Do the networks differ? Accuracy on the same test examples, averaged over training seeds; "
    "standard error over examples, p by flipping signs.",
)

# %%
names = ["relative_distance", "cosine", "back"]
frames = {run: found[names].to_dataframe().reset_index() for run, found in trajectories.items()}
returns = pd.concat([frame.assign(run=data.labels[run]) for run, frame in frames.items()])
last = returns[returns["epoch"] == returns["epoch"].max()]
captioned(
    last.groupby(["run", "step"], sort=False)[names].agg(spread),
    f"Return statistics after {number_of(last['epoch'].max(), 'epoch')}, mean and range over "
    "random rays and training seeds: distance from the trained weights relative to the jump; "
    "cosine of the offset to the jump; cosine of the way travelled to the way back.",
)

# %%
captioned(
    quality.set_index(["run", "seed", "method"]).rename(index=data.labels).T,
    "Quality of the maps: points, how many trajectories diverged and were left out, measures "
    "against the distances embedded, spread over seeds of the method; for PHATE the power t, share "
    "of saturated potentials and components of the kernel graph at several knn.",
)

# %%
captioned(
    homology.set_index(["run", "seed", "mode", "filtration"]).rename(index=data.labels).T,
    "The graphs behind the diagrams, as the paper's text has them under several filtrations, and "
    "as its released code does. The published total kills essential classes at the largest loss, "
    "so it is about the number of components times the squared range of the losses. Below: "
    "extended persistence, and what permuted losses give, in equal steps and epochs and freely.",
)

# %%
log = len(diagrams) > 0 and diagrams["birth"].min() > 0


def of_seed(table, run, seed):
    return table[(table["run"] == run) & (table["seed"] == seed)]


with figure_style():
    size = (2.6 * len(data.runs), 7.8)
    figure, panels = plt.subplots(3, len(data.runs), figsize=size, squeeze=False)
    for column, (run, label) in enumerate(data.labels.items()):
        top, middle, bottom = panels[:, column]
        draw_returns(top, frames[run])
        top.set_title(label)
        top.set_ylabel("distance / jump" if column == 0 else "")
        seed = frames[run]["seed"].iloc[0]
        shown = of_seed(points[points["method"] == "phate"], run, seed).dropna(subset=["x"])
        if len(shown):
            draw_embedding(middle, shown)
            for pairs in draw_diagram(bottom, of_seed(diagrams, run, seed), log=log):
                pairs.set_rasterized(True)
    panels[0, 0].legend(fontsize=7)
    rays = panels[1, 0].get_legend_handles_labels()
    figure.legend(*rays, loc="outside lower center", ncols=4, title="random rays (map)")

# %%
first = trajectories[next(iter(data.labels))]
size = dict(first.sizes)
measure = "train_accuracy" if "train_accuracy" in scores else "train_loss"
reached = ", ".join(
    f"{label} {sum(values) / len(values):.3g}"
    for label, values in data.by_label(metrics, measure).items()
)
kept = data.any_dataset("trajectory").attrs.get("batch_norm", "stale") == "stale"
stale = ", which at the jump still uses the trained network's batch-norm statistics" if kept else ""
graphs = ""
if "components" in homology:
    text = homology[(homology["mode"] == "paper-text") & (homology["filtration"] == "test loss")]
    pieces, saturation = text["components"], text["saturation"]
    graphs = (
        f"These graphs ({homology['neighbours'].iloc[0]} nearest neighbours by potential) fall "
        f"into {pieces.min()} to {pieces.max()} pieces and {saturation.min():.0%} to "
        f"{saturation.max():.0%} of the potentials are saturated, so places of pieces relative to "
        "each other mean nothing; H1 classes are all essential, as in any graph. "
    )
if len(differences):
    row = differences.iloc[0]
    verdict = (
        f"On the same {row['test examples']} test examples the accuracies of {row['first']} and "
        f"{row['second']} differ by {row['difference']:+.4f} (standard error "
        f"{row['standard_error']:.4f} over examples, sign-flip p = {row['p']:.2g}). "
    )
else:
    verdict = ""
caption = (
    f"Jumps from {number_of(len(data.runs), 'trained network')}, "
    f"{number_of(size['seed'], 'training seed')} each ({measure.replace('_', ' ')}, mean over "
    f"seeds: {reached}): {number_of(size['ray'], 'random ray')} x "
    f"{number_of(size['step'], 'step')}, each retrained for "
    f"{number_of(size['epoch'] - 1, 'epoch')}. Top: distance from the trained weights relative to "
    "the jump, in parameter space (line: mean, band: range over rays and seeds; 1 is neither "
    "return nor escape). Middle: PHATE map of all points from the first seed by cosine distances; "
    "hue is the ray, fading with the epoch, diamonds are the jumps, the star the trained weights. "
    "Bottom: persistence diagram of the neighbour graph, without the trained weights, filtered by "
    f"test loss{stale}. {graphs}{verdict}"
)
values = {
    **{name: data.by_label(metrics, name) for name in scores if name.startswith("test_")},
    "final_relative_distance": {
        data.labels[run]: float(found["relative_distance"].isel(epoch=-1).mean())
        for run, found in trajectories.items()
    },
    "differences": differences.to_dict("records"),
}
publish(figure, output, title=title, caption=caption, values=values)
