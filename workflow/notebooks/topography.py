# ---
# jupyter:
#   topograph:
#     kind: topography
#     others: {second: topography, third: topography}
# ---

# %% [markdown]
# What kind of place training ends at: slope, sharpness, critical points around it, and a card for
# each network in words and numbers.

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
from IPython.display import HTML
from matplotlib.ticker import MaxNLocator

from topograph.plotting.numbers import draw_numbers, scale_widely
from topograph.plotting.style import COLOURS, figure_style
from topograph.report.figure import publish
from topograph.report.networks import networks
from topograph.report.results import captioned

shown = networks(results, analysis, runs, others, kind="topography", needed="top")
found = shown.datasets
cards, critical = (
    {label: data.table("topography", name) for label, data in shown.results.items()}
    for name in ("card", "critical")
)

# %%
HTML(
    "".join(
        f"<section><h3>Topography card: {label}, seed {card['seed']}</h3><ul>"
        + "".join(f"<li>{sentence}</li>" for sentence in card["words"].split("\n"))
        + "</ul></section>"
        for label, table in cards.items()
        for card in table.head(1).to_dict("records")
    )
)

# %%
NUMBERS = {
    "parameters": "parameters",
    "train_loss": "training loss",
    "test_loss": "test loss",
    "gradient_norm": "gradient norm",
    "index": "index, at least",
    "condition": "condition number, at least",
    "alignment": "gradient in the top subspace",
    "top_eigenvalue": "largest eigenvalue",
    "bottom_eigenvalue": "smallest eigenvalue",
    "trace": "trace",
    "trace_error": "its error",
    "sharpness_worst": "sharpness, worst",
    "sharpness_adaptive": "sharpness, adaptive",
    "sharpness_average": "sharpness, average",
    "stable_rate": "largest stable learning rate",
}
captioned(
    pd.concat(
        [
            table.assign(network=label).set_index(["network", "seed"])[list(NUMBERS)]
            for label, table in cards.items()
        ]
    ).rename(columns=NUMBERS).T,
    "The cards in numbers, a column for each network. The losses are of all examples, everything "
    "else of those that the analysis looks at.",
)  # fmt: skip

# %%
counts = pd.concat(
    [
        table.groupby(["directions", "dimensions", "index"], sort=False)[["count", "height"]]
        .mean()
        .assign(network=label)
        for label, table in critical.items()
    ]
)
captioned(
    counts.set_index("network", append=True)
    .reorder_levels(["network", "directions", "dimensions", "index"])
    .unstack("index"),
    "Critical points off the border on grids of one to three directions, by index: 0 is a minimum, "
    "as many as there are dimensions a maximum, between them saddles. Means over seeds of their "
    "count and of their median height in units of the loss.",
)

# %%
with figure_style():
    figure, panels = plt.subplots(
        len(found), 4, figsize=(11.5, 0.4 + 2.3 * len(found)), squeeze=False
    )
    for row, (label, dataset) in zip(panels, found.items(), strict=True):
        for seed in dataset["seed"].values:
            one = dataset.sel(seed=seed)
            row[0].plot(one["epoch"], one["gradient_norm"], "o-", ms=2.5, color=COLOURS[0], lw=0.9)
            row[1].plot(one["epoch"], one["alignment"], "o-", ms=2.5, color=COLOURS[2], lw=0.9)
        scale_widely(row[0], dataset["gradient_norm"].values.ravel())
        row[0].set(xlabel="epoch", ylabel="gradient norm")
        row[1].set(xlabel="epoch", ylabel="gradient in the top subspace", ylim=(-0.05, 1.05))
        for axes in row[:2]:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        kinds = {
            str(kind): dataset["sharpness"].sel(kind=kind).values for kind in dataset["kind"].values
        }
        draw_numbers(row[2], kinds)
        row[2].set_ylabel(f"rise within {dataset.attrs['rho']:g}")
        table = critical[label]
        three = table[table["dimensions"] == table["dimensions"].max()]
        for place, (name, group) in enumerate(three.groupby("directions")):
            means = group.groupby("index")["count"].mean()
            row[3].bar(
                means.index + 0.4 * place - 0.2, means, 0.36, color=COLOURS[place], label=str(name)
            )
        row[3].set(xlabel="index of a critical point", ylabel="mean count")
        row[3].set_xticks(sorted(three["index"].unique()))
        # Room for the legend above the highest bar.
        row[3].margins(y=0.5)
        row[3].legend(title="directions", loc="upper center", ncols=2)
        row[0].set_title(label, loc="left", fontweight="bold")

# %%
caption = (
    "Slope, sharpness and critical points. The gradient's length as training proceeds, and the "
    "share of its square in the steepest directions; how far the loss rises within a distance of "
    "the trained weights, at worst, at worst with each weight's own scale, and on average; "
    "critical points off the border of three-dimensional grids around them, along Hessian "
    "eigenvectors and random directions. Lines and dots are seeds: "
    + ", ".join(f"{label} {dataset.sizes['seed']}" for label, dataset in found.items())
    + f". {shown.examples} A point that is critical in three directions need not be in all others."
    + shown.left_out
)
values = {
    label: table.drop(columns=["words", "run"]).to_dict("list") for label, table in cards.items()
}
publish(figure, output, title=title, caption=caption, values=values)
