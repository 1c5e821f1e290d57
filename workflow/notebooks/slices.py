# ---
# jupyter:
#   topograph:
#     kind: slices
#     others: {second: slices, third: slices}
# ---

# %% [markdown]
# Filter-normalised slices through trained weights, repeated over random directions, and the plane
# of the optimiser's path (Li et al. 2018).

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

from topograph.plotting.landscape import draw_contour
from topograph.plotting.lines import draw_mean_and_range, over
from topograph.plotting.numbers import scale_widely
from topograph.plotting.style import COLOURS, MINIMUM, figure_style
from topograph.report.figure import publish
from topograph.report.networks import networks
from topograph.report.results import captioned, number_of, spread

shown = networks(results, analysis, runs, others, kind="slices", needed="plane_loss")
found = shown.datasets

# %%
told = {}
for label, dataset in found.items():
    reached = np.concatenate([dataset["line_reached"], dataset["plane_reached"]])
    seeds = number_of(dataset.sizes["seed"], "seed")
    about = {
        "planes": f"{dataset.sizes['plane']} for each of {seeds}",
        "range of a line": spread(pd.Series(dataset["line_distance"].values.ravel())),
        "range of a plane": spread(pd.Series(dataset["plane_distance"].values[:, 0])),
        "ranges at whose end the loss has grown as far": " of ".join(
            map(str, (int(reached.sum()), reached.size))
        ),
    }
    if "path_loss" in dataset:
        off = pd.Series(dataset["off_plane_length"].values)
        about["share of the path's squared steps off its plane"] = spread(off)
        explained = pd.Series(dataset["explained"].values.sum(axis=1))
        about["variance of the path on its plane"] = spread(explained)
    told[label] = about
captioned(
    pd.DataFrame.from_dict(told, orient="index").fillna("no path was kept"),
    "Ranges are in lengths of the direction, which filter normalisation makes that of the weights, "
    "and were to grow until the loss was "
    f"{next(iter(found.values())).attrs['multiple']:g} times that at the centre. Mean and range "
    "over seeds.",
)


# %%
def plane(dataset, name):
    """Return the loss of the first seed on a plane as draw_contour takes it."""
    loss = dataset[f"{name}_loss"].isel(seed=0)
    return loss.rename({f"{name}_1": "alpha_1", f"{name}_2": "alpha_2"})


with figure_style():
    figure, panels = plt.subplots(
        len(found), 4, figsize=(11.5, 0.4 + 2.5 * len(found)), squeeze=False
    )
    for row, (label, dataset) in zip(panels, found.items(), strict=True):
        for number, colour in zip(range(dataset.sizes["plane"]), COLOURS, strict=False):
            losses = over(dataset["line_loss"].isel(plane=number), "line_1")
            draw_mean_and_range(
                row[0], dataset["line_1"], losses, colour=colour, label=f"direction {number + 1}"
            )
        scale_widely(row[0], dataset["line_loss"].values.ravel())
        row[0].set(xlabel="part of the range", ylabel="loss")
        row[0].legend()
        for number, axes in enumerate(row[1:3]):
            if number >= dataset.sizes["plane"]:
                axes.set_axis_off()
                continue
            drawn = draw_contour(axes, plane(dataset, "plane").isel(plane=number))
            axes.plot(0, 0, "*", color=MINIMUM, ms=9, mec="white", mew=0.6)
            figure.colorbar(drawn, ax=axes, format="%.2g")
            axes.set_title(f"random plane {number + 1}")
        if "path_loss" in dataset:
            drawn = draw_contour(row[3], plane(dataset, "path"))
            path = dataset["path"].isel(seed=0).values
            row[3].plot(*path.T, "o-", color=MINIMUM, ms=2.5, lw=1)
            row[3].plot(*path[-1], "*", color=MINIMUM, ms=9, mec="white", mew=0.6)
            figure.colorbar(drawn, ax=row[3], format="%.2g")
            off = float(dataset["off_plane_length"][0])
            row[3].set_title(f"plane of the path, {off:.0%} off it")
        else:
            row[3].set_axis_off()
            row[3].text(
                0.5, 0.5, "no weights between\nstart and end", ha="center", va="center",
                transform=row[3].transAxes,
            )  # fmt: skip
        row[0].set_title(label, loc="left", fontweight="bold")

# %%
caption = (
    "The training loss around trained weights. First column: along single random directions, each "
    "filter as long as the network's own; lines are means over seeds, bands their range. Then two "
    "random planes of the first seed, and the plane of the two main components of its training, "
    "with the path, each epoch a dot, projected on it. Axes are in parts of the range in the "
    "table, the star is the trained model. Two of thousands of directions: trust what all planes "
    "have in common, and the path only as far as it lies on its plane: its title says which share "
    f"of the squared steps does not. {shown.examples}{shown.left_out}"
)
values = {
    label: {
        "plane_distance": dataset["plane_distance"].values[:, 0].tolist(),
        "spread_of_log_loss_over_planes": float(
            np.log10(dataset["plane_loss"]).std("plane").median()
        ),
        "off_plane_length": dataset["off_plane_length"].values.tolist()
        if "off_plane_length" in dataset
        else [],
    }
    for label, dataset in found.items()
}
publish(figure, output, title=title, caption=caption, values=values)
