# ---
# jupyter:
#   topograph:
#     kind: jump-retrain
#     family: supervised
#     reads: [classifiers]
# ---

# %% [markdown]
# What do losses around a network tell of it? Classifiers on equal folds (Horoi et al. 2022, Table
# 1), with the controls that the paper has not.

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
title = ""
output = ""

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from topograph.claims.jumps import TABLE_1
from topograph.comparison.networks import (
    AT_MINIMUM,
    CONTINUED,
    GRID,
    JUMPS,
    JUMPS_ALONE,
    LAST_EPOCH,
    RAYS,
)
from topograph.plotting.style import COLOURS, figure_style
from topograph.report.figure import publish
from topograph.report.results import Results, captioned, number_of

ORDER = ["scrambled", GRID, RAYS, JUMPS, AT_MINIMUM, JUMPS_ALONE, LAST_EPOCH]
DRAWS = 2000

data = Results(results, analysis, runs)
told = data.of_study("claims/classifiers")
main = told[~told["label"].str.endswith(", continued")]
labels = list(main["label"].unique())


def interval(right):
    """Return mean and 95 % interval over settings, drawn again, of what is right by network."""
    cells = right.groupby("run").mean()
    draws = np.random.default_rng(0).choice(cells.to_numpy(), (DRAWS, len(cells))).mean(axis=1)
    return cells.mean(), *np.quantile(draws, [0.025, 0.975])


# %%
rows = []
for (label, name), group in told.groupby(["label", "features"], sort=False):
    by_classifier = group.groupby("classifier")["right"].mean()
    mean, low, high = interval(group.groupby(["run", "seed"])["right"].mean())
    published = TABLE_1.get(label, {}).get(name)
    rows.append(
        {
            "label": label,
            "features": name,
            "accuracy, %": 100 * mean,
            "95 % over settings": f"{100 * low:.0f} to {100 * high:.0f}",
            "s.e. over classifiers": 100 * by_classifier.sem(),
            "published, %": f"{published[0]} ± {published[1]}" if published else "",
        }
    )
table = pd.DataFrame(rows).set_index(["label", "features"])
captioned(
    table,
    "Accuracy of 11 classifiers on networks that they were not trained on; the seeds of a setting "
    "are never on both sides. The published error is over classifiers, which says nothing of other "
    "networks; the interval is over settings. Scrambled: rows of jump and retrain, exchanged.",
)

# %%
best = told.groupby(["label", "features", "classifier"])["right"].mean().unstack()
captioned(100 * best, "Accuracy by classifier, %.")

# %%
with figure_style():
    figure, panels = plt.subplots(1, max(len(labels), 1), figsize=(10, 3.4), squeeze=False)
    for axes, label in zip(panels[0], labels, strict=False):
        for place, name in enumerate(ORDER):
            group = main[(main["label"] == label) & (main["features"] == name)]
            if not len(group):
                continue
            mean, low, high = interval(group.groupby(["run", "seed"])["right"].mean())
            axes.errorbar(
                mean, -place, xerr=[[mean - low], [high - mean]], fmt="o", color=COLOURS[0]
            )
            if name in TABLE_1.get(label, {}):
                value, error = TABLE_1[label][name]
                axes.errorbar(
                    value / 100, -place - 0.25, xerr=error / 100, fmt="D", mfc="none", ms=4,
                    color=COLOURS[5],
                )  # fmt: skip
        axes.set_title(label)
        axes.set_xlim(0, 1)
        axes.set_xlabel("share told right")
        axes.set_yticks(-np.arange(len(ORDER)), ORDER if axes is panels[0, 0] else [])

# %%
networks = main[["run", "seed"]].drop_duplicates()
classes = "terciles" if len(networks) < 100 else "quintiles"
continued = ", ".join(
    f"{label.removesuffix(', continued')} {table.loc[(label, JUMPS), 'accuracy, %']:.0f} against "
    f"{table.loc[(label, CONTINUED), 'accuracy, %']:.0f} %"
    for label in told["label"].unique()
    if label.endswith(", continued")
)
caption = (
    f"How often 11 classifiers tell {classes} of the test loss, weight decay and augmentation of "
    f"{number_of(len(networks), 'network')} ({number_of(networks['run'].nunique(), 'setting')}) "
    "from train loss and accuracy at 640 points each. Dots: mean and 95 % interval over settings; "
    "diamonds: published, on 108 networks and other classes, with its error over classifiers. "
    "Below, what needs no retraining: the trained weights alone, and the points right after the "
    "jumps; then the last epoch alone. Retraining uses each network's own decay and augmentation, "
    "so that these labels enter the features. Where few settings are balanced, the label of one "
    "held out is rarer on the training side, so that features which say nothing of it fall below "
    "chance. "
    + (f"As many epochs without a jump, first seeds only: {continued}." if continued else "")
)
values = {
    label: {name: row.to_dict() for (_, name), row in group.iterrows()}
    for label, group in table.groupby(level="label")
}
publish(figure, output, title=title, caption=caption, values=values)
