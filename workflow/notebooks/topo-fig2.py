# ---
# jupyter:
#   topograph:
#     kind: landscape
#     family: pinn
#     dimensions: [2]
#     others:
#       random: landscape
#       spectrum: spectrum
# ---

# %% [markdown]
# Physics-informed networks as the equation gets harder, one column a setting: loss surfaces along
# Hessian eigenvectors and random directions, merge tree, persistence diagram, spectral density and
# solution (Xie et al. 2024, Figure 2).

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

from topograph.plotting.density import draw_density
from topograph.plotting.field import draw_solution
from topograph.plotting.landscape import draw_contour
from topograph.plotting.numbers import short_labels
from topograph.plotting.persistence import draw_persistence
from topograph.plotting.style import figure_style
from topograph.plotting.tree import draw_tree
from topograph.report.figure import publish
from topograph.report.results import (
    Results,
    captioned,
    connectivity_in_words,
    number_of,
    sampling_in_words,
    spread,
)

BETA = "problem.kwargs.beta"
PUBLISHED = (1.0, 3.0, 5.0, 7.0, 9.0)

data = Results(results, analysis, runs)
settings = [run["run"] for run in data.runs if run["parameters"].get(BETA) in PUBLISHED]
if len(settings) < len(PUBLISHED):
    at = np.linspace(0, len(data.runs) - 1, min(len(data.runs), len(PUBLISHED)))
    settings = [data.runs[i]["run"] for i in at.round().astype(int)]
labels = short_labels(data.runs, BETA)
beside = {name: Results(results, **source) for name, source in others.items()}
beside = {name: some for name, some in beside.items() if set(settings) <= set(some.labels)}

quantities, metrics = data.table("topology", "quantities"), data.training("metrics")
grid = quantities[quantities["points"] == quantities["points"].max()]
pairs, trees, marks = (data.table("topology", name) for name in ("pairs", "tree", "marks"))
seed, epoch = int(grid["seed"].iloc[0]), int(grid["epoch"].max())

# %%
shown = ["minima_resolved", "saddles_resolved", "mean_persistence_with_global", "loss_range"]
numbers = grid[grid["epoch"] == epoch].groupby("run", sort=False)[shown].agg(spread)
numbers = numbers.join(metrics.groupby("run")[["absolute_error", "relative_error"]].agg(spread))
captioned(
    numbers.rename(index=data.labels).rename_axis(None),
    "All settings: mean and range over seeds; the picture shows the first seed.",
)

# %%
data.minima_on_subgrids(quantities)

# %%
one = {"seed": seed, "epoch": epoch}
rows = ["Hessian surface", "random surface", "merge tree", "persistence diagram"]
rows += ["spectral density", "prediction u(x, t)"]
absent = {"random": "random surface", "spectrum": "spectral density"}
rows = [row for row in rows if row not in {absent[name] for name in absent if name not in beside}]
loss = {run: data.dataset("landscape", run)["loss"].sel(one) for run in settings}
alive = {run: bool(np.isfinite(values).any()) for run, values in loss.items()}
query = "run == @run and seed == @seed and epoch == @epoch"

with figure_style():
    count = len(settings)
    figure, panels = plt.subplots(
        len(rows), count, figsize=(1.85 * count + 0.3, 1.65 * len(rows)), squeeze=False
    )
    for column, run in enumerate(settings):
        place = dict(zip(rows, panels[:, column], strict=True))
        dead = [] if alive[run] else [row for row in rows if row != "prediction u(x, t)"]
        for row in dead:
            place[row].text(0.5, 0.5, "diverged", ha="center", transform=place[row].transAxes)
        if not dead:
            values, dots, own = loss[run], marks.query(query), pairs.query(query)
            surfaces = {"Hessian surface": (values, dots)}
            if "random" in beside:
                dataset = beside["random"].dataset("landscape", run)
                found = beside["random"].table("topology", "marks").query(query)
                surfaces["random surface"] = (dataset["loss"].sel(one), found)
            for row, (surface, found) in surfaces.items():
                draw_contour(place[row], surface, found)
                place[row].locator_params(nbins=3)
                place[row].set_title(f"{float(surface.min()):.2g} … {float(surface.max()):.3g}")
            lines = draw_tree(place["merge tree"], trees.query(query)).get_segments()
            across = np.concatenate(lines)[:, 0]
            margin = max(0.1 * np.ptp(across), 0.02 * values.size)
            low, high = float(values.min()), float(values.max())
            place["merge tree"].set(xlabel="grid points", ylabel="loss")
            place["merge tree"].set_xlim(across.min() - margin, across.max() + margin)
            place["merge tree"].locator_params(axis="x", nbins=3)
            if low > 0:
                place["merge tree"].set(yscale="log", ylim=(0.8 * low, 1.25 * high))
            draw_persistence(place["persistence diagram"], own, high)
            if "spectrum" in beside:
                spectrum = beside["spectrum"].dataset("spectrum", run).sel(seed=seed)
                draw_density(place["spectral density"], spectrum.isel(epoch=-1))
        u = data.predictions(run, "exact", "x", "t")["predicted"].sel(seed=seed)
        mesh = draw_solution(place["prediction u(x, t)"], u)
        beta = labels[run] != data.labels[run]
        head = f"beta = {labels[run]}" if beta else labels[run]
        place[rows[0]].set_title(f"{head}\n{place[rows[0]].get_title()}")
        for row in rows:
            axes = place[row]
            axes.tick_params(labelsize=7)
            axes.set_ylabel("" if column else f"{row}\n{axes.get_ylabel()}")
    figure.colorbar(mesh, ax=list(panels[-1]), label="u", location="bottom", shrink=0.4, aspect=30)
    handles = {}
    for axes in panels.flat:
        for handle, word in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(word, handle)
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=4)

# %%
landscape = data.dataset("landscape", settings[0])
reach = f"from {landscape['alpha_1'].values[0]:g} to {landscape['alpha_1'].values[-1]:g}"
told = [
    f"Physics-informed networks, {len(settings)} of {number_of(len(data.runs), 'setting')}, seed "
    f"{seed} of {grid['seed'].nunique()}. The Hessian surface is the loss of the trained network "
    f"on {grid['points'].max()} points {reach} along each of {sampling_in_words(landscape)}; "
]
if "random" in beside:
    other = beside["random"].dataset("landscape", settings[0])
    told += [
        f"the random surface that on {other.sizes['alpha_1']} points from "
        f"{other['alpha_1'].values[0]:g} to {other['alpha_1'].values[-1]:g} along "
        f"{sampling_in_words(other)}; directions of other lengths: the two are not to one scale. "
    ]
told += [
    "Colours are logarithmic from the lowest loss of a panel (dark) to its highest, both printed "
    "above it; discs are minima and diamonds saddles, "
    "grey where the arithmetic does not resolve them. The merge tree and the persistence diagram "
    f"(birth and persistence = death - birth) are those of the Hessian surface "
    f"({connectivity_in_words(grid)}); the triangle is the pair of global minimum and maximum, "
    "whose persistence is the range of the losses, which the published diagrams contain. "
]
if "spectrum" in beside:
    told += [
        "The spectral density of the whole Hessian is that of the absolute eigenvalue on "
        "logarithmic axes, those above and below 0 apart, with a band of one standard error. The "
        "estimate makes a bump of every eigenvalue, 0.6 % of the spectrum wide; grey is how far "
        "that at 0 reaches, where small eigenvalues of either sign are not told apart: a line that "
        "ends there shows none. "
    ]
told += [
    "At the bottom the solution that the network predicts. One network a setting: the picture "
    "cannot show what varies between seeds, and axes differ from column to column; numbers over "
    "all seeds are in the table. Whether they rise with beta is tested on the claims page."
]
values = {
    "settings": [data.labels[run] for run in settings],
    "seed": seed,
    **{name: data.by_label(grid, name) for name in shown},
    "absolute_error": data.by_label(metrics, "absolute_error"),
}
publish(figure, output, title=title, caption="".join(told), values=values)
