# ---
# jupyter:
#   topograph:
#     kind: jump-retrain
#     family: supervised
# ---

# %% [markdown]
# Does total persistence order networks by how they generalise, and what carries it (Horoi et al.
# 2022, Figure 3B)?

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
title = ""
output = ""

# %%
import matplotlib.pyplot as plt
import pandas as pd

from topograph.claims.statistics import spearman
from topograph.comparison.networks import DECAY
from topograph.plotting.style import COLOURS, figure_style
from topograph.report.figure import publish
from topograph.report.results import Results, captioned, number_of

SHOWN = {
    "total_persistence_published": "total persistence, as published",
    "loss_range_squared": "squared range of the losses",
    "total_persistence_finite": "total persistence without essential classes",
    "finite_over_range": "the same over the squared range",
}

data = Results(results, analysis, runs)
metrics, homology = data.training("metrics"), data.table("homology", "statistics")
decay = {entry["run"]: entry["parameters"].get(DECAY) for entry in data.runs}
table = homology.merge(metrics[["run", "seed", "test_loss"]], on=["run", "seed"])
table = table.assign(
    decay=table["run"].map(decay),
    finite_over_range=table["total_persistence_finite"] / table["loss_range_squared"],
)
text = table[table["mode"] == "paper-text"]
shown = text[text["filtration"] == "test loss"]

# %%
compared = {**SHOWN, "max_jump_loss": "largest loss after a jump", "components": "components"}
rows = []
for (mode, filtration), group in table.groupby(["mode", "filtration"], sort=False):
    means = group.groupby("run").mean(numeric_only=True)
    row = {"mode": mode, "filtration": filtration, "networks": len(group), "settings": len(means)}
    for column, words in compared.items():
        row[words] = spearman(means["test_loss"], means[column])
    rows.append(row)
captioned(
    pd.DataFrame(rows).set_index(["mode", "filtration"]),
    "Spearman's rho with the test loss at the trained weights, over means of the seeds of each "
    "setting. Intervals, p and verdicts stand on the page of claims.",
)

# %%
within = []
for value, group in shown.groupby("decay"):
    means = group.groupby("run").mean(numeric_only=True)
    numbers = {words: spearman(means["test_loss"], means[c]) for c, words in compared.items()}
    within.append({"weight decay": value, "settings": len(means), **numbers})
captioned(
    pd.DataFrame(within).set_index("weight decay") if within else pd.DataFrame(),
    "The same among networks of equal weight decay.",
)

# %%
null = [name for name in shown if name.startswith(("within_", "freely_"))]
captioned(
    shown.set_index(["run", "seed"]).rename(index=data.labels)[
        ["components", "saturation", "t", *SHOWN, "max_jump_loss", *null]
    ],
    "Every network: what the totals hang on, and the totals of losses permuted among the points, "
    "within equal steps and epochs and freely.",
)

# %%
values_of_decay = sorted(shown["decay"].dropna().unique())
with figure_style():
    figure, panels = plt.subplots(1, len(SHOWN), figsize=(11, 3.2))
    for axes, (column, words) in zip(panels, SHOWN.items(), strict=True):
        for value, colour in zip(values_of_decay, COLOURS, strict=False):
            group = shown[shown["decay"] == value]
            axes.scatter(group["test_loss"], group[column], s=16, color=colour, label=f"{value:g}")
        axes.set_yscale("log")
        axes.set_xlabel("test loss at the trained weights")
        axes.set_title(words)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        title="weight decay",
    )

# %%
share = shown["loss_range_squared"] * shown["components"] / shown["total_persistence_published"]
caption = (
    f"{number_of(len(shown), 'network')}, {number_of(shown['run'].nunique(), 'setting')} with "
    f"their training seeds: totals of the graph of {shown['neighbours'].iloc[0]} nearest "
    "neighbours by potential against the test loss at the trained weights. The published total "
    "ends the class of each component at the largest loss, so it is about the number of components "
    f"times the squared range: that product is {share.min():.2f} to {share.max():.2f} of it here. "
    "Third and fourth: what is left without these classes, and over the range. A dot is a network; "
    "seeds of one setting are no independent settings, so rank correlations are over means of "
    "settings."
)
values = {
    "spearman": {f"{r['mode']}, {r['filtration']}": {w: r[w] for w in compared.values()}
                 for r in rows},
    "networks": shown[["run", "seed", "decay", "test_loss", *SHOWN]].to_dict("records"),
}  # fmt: skip
publish(figure, output, title=title, caption=caption, values=values)
