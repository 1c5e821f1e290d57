# ---
# jupyter:
#   topograph:
#     kind: interpolation
#     others: {second: interpolation, third: interpolation}
# ---

# %% [markdown]
# Straight lines, Bezier curves and nudged elastic bands between the same pairs of solutions
# (Garipov et al. 2018; Draxler et al. 2018).

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

from topograph.plotting.lines import draw_mean_and_range, over
from topograph.plotting.numbers import draw_numbers, scale_widely
from topograph.plotting.style import COLOURS, figure_style
from topograph.report.figure import publish
from topograph.report.networks import networks
from topograph.report.results import captioned, number_of

shown = networks(results, analysis, runs, others, kind="interpolation", needed="between_loss")
found = shown.datasets
names = {"line": "straight line", "bezier": "Bezier", "nudged_elastic_band": "elastic band"}

# %%
tables = {
    label: dataset["between_barrier"].to_pandas().rename(columns=names)
    for label, dataset in found.items()
}
captioned(
    pd.concat(tables, names=["network", "pair"]),
    "The barrier of each curve between each pair of seeds: the highest loss on it above the line "
    "between the losses at both ends. The curve found is never worse than the straight line.",
)

# %%
PANELS = (("loss", "training loss"), ("test_loss", "test loss"))
with figure_style():
    figure, panels = plt.subplots(
        len(found), 3, figsize=(10, 0.4 + 2.2 * len(found)), squeeze=False
    )
    for row, (label, dataset) in zip(panels, found.items(), strict=True):
        for axes, (name, words) in zip(row, PANELS, strict=False):
            if f"between_{name}" not in dataset:
                axes.set_axis_off()
                axes.text(0.5, 0.5, "no test set", ha="center", transform=axes.transAxes)
                continue
            losses = dataset[f"between_{name}"]
            for curve, colour in zip(dataset["curve"].values, COLOURS, strict=False):
                draw_mean_and_range(
                    axes,
                    dataset["t"],
                    over(losses.sel(curve=curve), "t"),
                    colour=colour,
                    label=names[str(curve)],
                )
            scale_widely(axes, losses.values.ravel())
            axes.set(xlabel="t, from seed to seed", ylabel=words)
        draw_numbers(row[2], {name: list(column) for name, column in tables[label].items()})
        row[2].set_ylabel("barrier")
        row[0].set_title(label, loc="left", fontweight="bold")
    figure.legend(
        *panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names)
    )

# %%
caption = (
    "Curves between trained networks of different seeds: the mean and range of the loss over "
    + ", ".join(
        f"{number_of(data.sizes['pair'], 'pair')} ({label})" for label, data in found.items()
    )
    + ", and right the barrier of each pair, a dot, with their mean. Curves were lowered on the "
    "training loss alone. A low curve proves that two solutions are joined; a high one proves "
    "nothing, for its training may have stopped too early. Pairs share seeds, so their spread is "
    f"no confidence interval. {shown.examples}{shown.left_out}"
)
values = {label: table.to_dict("list") for label, table in tables.items()}
publish(figure, output, title=title, caption=caption, values=values)
