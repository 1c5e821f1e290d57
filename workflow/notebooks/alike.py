# ---
# jupyter:
#   topograph:
#     kind: similarity
#     others: {second: similarity, third: similarity}
# ---

# %% [markdown]
# How alike trained networks of different seeds are: representations, predictions, weights, and the
# loss between them.

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
from matplotlib.colors import Normalize

from topograph.plotting.field import draw_heat_map
from topograph.plotting.style import figure_style
from topograph.report.figure import publish
from topograph.report.networks import networks
from topograph.report.results import captioned, spread

MEASURES = {
    "cka": "CKA of the last hidden layer",
    "disagreement": "disagreement",
    "output_distance": "distance of outputs",
    "distance": "distance of weights",
    "barrier": "barrier",
}
shown = networks(results, analysis, runs, others, kind="similarity", needed="cka")
found = shown.datasets


# %%
def pairs(matrix):
    """Return the values above the diagonal."""
    return matrix.values[np.triu_indices(matrix.sizes["model"], 1)]


rows = {
    label: {
        words: spread(pd.Series(pairs(dataset[name])))
        for name, words in MEASURES.items()
        if dataset[name].notnull().any()
    }
    for label, dataset in found.items()
}
captioned(
    pd.DataFrame.from_dict(rows, orient="index").fillna("none"),
    "Pairs of seeds: mean and range. CKA is 1 for representations that differ by rotation and "
    "scale alone; disagreement is a share of predictions, which networks without classes do not "
    "have; the barrier is that of the training loss on the curve asked for.",
)

# %%
COLUMNS = 4
with figure_style():
    figure, panels = plt.subplots(
        len(found), COLUMNS, figsize=(3 * COLUMNS, 0.3 + 2.9 * len(found)), squeeze=False
    )
    for row, (label, dataset) in zip(panels, found.items(), strict=True):
        has_classes = bool(dataset["disagreement"].notnull().any())
        predicted = "disagreement" if has_classes else "output_distance"
        for axes, name in zip(row, ("cka", predicted, "distance", "barrier"), strict=True):
            frame = dataset[name].to_pandas()
            top = 1.0 if name == "cka" else float(np.nanmax(frame.to_numpy())) or 1.0
            size = 5 if len(frame) > 5 else None
            image = draw_heat_map(axes, frame, norm=Normalize(0, top), size=size)
            figure.colorbar(image, ax=axes, format="%.2g", shrink=0.8)
            axes.set_title(MEASURES[name])
            axes.set(xlabel="seed", aspect="equal")
        row[0].set_ylabel(f"{label}\nseed", fontweight="bold")

# %%
caption = (
    "Trained networks of one setting that differ in their seed, each against each: "
    + ", ".join(f"{label} {dataset.sizes['model']}" for label, dataset in found.items())
    + ". Left to right: alignment of their last hidden representations (unbiased CKA), how often "
    "their predictions differ (or, without classes, how far outputs lie apart), the distance "
    "between their weights, and the barrier of the training loss between them. Units of a layer "
    "can be permuted without any change to the network: distance and barrier count that, CKA and "
    f"predictions do not. {shown.examples}{shown.left_out}"
)
values = {
    label: {name: pairs(dataset[name]).tolist() for name in MEASURES}
    for label, dataset in found.items()
}
publish(figure, output, title=title, caption=caption, values=values)
