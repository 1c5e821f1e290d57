# ---
# jupyter:
#   topograph:
#     kind: spectrum
#     others: {two: landscape, three: landscape, four: landscape}
# ---

# %% [markdown]
# From a network to its topological landscape profile: the spectrum of its Hessian, the surface
# along its top eigenvectors, the merge tree, and profiles in two, three and four dimensions
# (Geniesse et al. 2024, Figure 1).

# %% tags=["parameters"]
results = ""
analysis = ""
runs = []
others = {}
title = ""
output = ""

# %%
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib.colors import LogNorm

from topograph.foundation.errors import TopographError
from topograph.plotting.density import draw_density
from topograph.plotting.eigenvalues import draw_eigenvalues
from topograph.plotting.landscape import draw_contour
from topograph.plotting.profile import as_share, draw_profile
from topograph.plotting.style import figure_style, stacked
from topograph.plotting.tree import draw_tree
from topograph.report.figure import publish
from topograph.report.results import (
    Results,
    captioned,
    connectivity_in_words,
    extent_in_words,
    finest,
    number_of,
    sampling_in_words,
)

DIMENSIONS = {"two": 2, "three": 3, "four": 4}
AT = "seed == @seed and epoch == @epoch"

data = Results(results, analysis, runs[:1])
run, label = next(iter(data.described().items()))
spectrum = data.dataset("spectrum", run).isel(seed=0, epoch=-1)
seed, epoch = int(spectrum["seed"]), int(spectrum["epoch"])
# The landscapes are those of the same network, where their experiments have it.
sources = {
    name: Results(results, **others[name]).only(run)
    for name in DIMENSIONS
    if any(entry["run"] == run for entry in others.get(name, {"runs": []})["runs"])
}
tables = {
    name: {kind: source.table("topology", kind).query(AT) for kind in ("profile", "marks", "tree")}
    for name, source in sources.items()
}
numbers = {name: finest(s.table("topology", "quantities")).query(AT) for name, s in sources.items()}
drawn = {name: DIMENSIONS[name] for name in sources if len(tables[name]["profile"])}

# %%
shown = ["points", "vertices", "minima", "minima_resolved", "saddles", "mean_persistence"]
shown += ["mean_log_persistence", "loss_minimum", "loss_range", "width_slope"]
if numbers:
    table = pd.concat({f"{DIMENSIONS[name]}-D": rows[shown].T for name, rows in numbers.items()})
    table = table.iloc[:, 0].unstack(level=0)[[f"{DIMENSIONS[name]}-D" for name in numbers]]
    words = f"The landscapes of the network pictured, seed {seed}; points along each axis."
    display(captioned(table.loc[shown], words))

# %%
curvature = pd.DataFrame(
    {"eigenvalue": spectrum["eigenvalue"].values, "residual": spectrum["residual"].values},
    index=range(1, spectrum.sizes["eigenvalue_index"] + 1),
)
captioned(
    curvature,
    f"Eigenvalues of the Hessian by magnitude, seed {seed}; its trace is "
    f"{float(spectrum['trace']):.4g} with a standard error of "
    f"{float(spectrum['trace_error']):.2g}.",
)

# %%
if not np.isfinite(spectrum["eigenvalue"]).any() and not drawn:
    raise TopographError(
        f"the training of {label} ({run}), seed {seed}, diverged: it has neither a spectrum nor "
        "a landscape to draw. Choose an experiment whose first setting trains"
    )
with figure_style():
    figure, blocks = stacked({"top": 2.6} | ({"profiles": 3.0} if drawn else {}), width=9)
    bars, density, surface = blocks["top"].subplots(1, 3)
    if np.isfinite(spectrum["eigenvalue"]).any():
        used = {f"{count}-D": count for count in drawn.values()}
        draw_eigenvalues(bars, spectrum["eigenvalue"].values, used)
        draw_density(density, spectrum)
        density.set_ylim(top=100 * density.get_ylim()[1])  # room for the legend
        density.legend(loc="upper right")
    bars.set_title("a   top eigenvalues", loc="left")
    density.set_title("b   spectral density", loc="left")
    surface.set_axis_off()
    if "two" in drawn:
        surface.set_axis_on()
        loss = sources["two"].dataset("landscape", run)["loss"].sel(seed=seed, epoch=epoch)
        contour = draw_contour(surface, loss, tables["two"]["marks"])
        blocks["top"].colorbar(contour, ax=surface, format="%.2g", label="loss")
        surface.set_title("c   surface in 2-D", loc="left")
    if drawn:
        panels = blocks["profiles"].subplots(1, 1 + len(drawn), sharey=True)
        means = pd.concat([tables[name]["profile"]["mean_loss"] for name in drawn])
        norm = LogNorm(means.min(), means.max())
        for axes, name, letter in zip(panels[1:], drawn, "efg", strict=False):
            both = as_share(tables[name]["profile"], tables[name]["marks"])
            draw_profile(axes, *both, norm=norm, log=True)
            axes.set(xlabel="share of grid points", ylabel="")
            axes.set_title(f"{letter}   profile in {drawn[name]}-D", loc="left")
        panels[0].set_axis_off()
        if "two" in drawn:
            panels[0].set_axis_on()
            draw_tree(panels[0], tables["two"]["tree"])
            panels[0].set(xlim=(0, loss.size), xlabel="grid points", ylabel="loss")
            panels[0].set_title("d   merge tree in 2-D", loc="left")

# %%
sampled = "; ".join(
    f"{numbers[name]['points'].iloc[0]:.0f} points along each of "
    f"{sampling_in_words(landscape)}, {extent_in_words(landscape)}"
    for name, landscape in ((n, sources[n].any_dataset("landscape")) for n in drawn)
)
caption = (
    f"From a network to its profiles: {label}, seed {seed}, the first of "
    f"{number_of(len(runs[0]['seeds']), 'seed')}"
    + (f", the first of {len(runs)} settings" if len(runs) > 1 else "")
    + ". (a) The eigenvalues of the Hessian of the training loss of largest magnitude; brackets "
    "show which of their eigenvectors span the landscapes. (b) Its spectral density by stochastic "
    "Lanczos, with a band of one standard error, for eigenvalues above and below 0; in the shaded "
    "part the method does not tell them from 0. "
)
if "two" in drawn:
    caption += (
        "(c) The loss along the first two, dots minima, diamonds saddles; (d) the merge tree of "
        "the same grid. "
    )
if drawn:
    caption += (
        "From (e) on profiles; tree and profiles share one logarithmic loss axis; colour is the "
        "mean loss of a basin, red dots are minima, orange dots saddles, grey is what the "
        "arithmetic does not resolve; width is the share of a grid's points, because the grids "
        f"differ in their number ({connectivity_in_words(numbers[next(iter(drawn))])}). "
        f"Grids: {sampled}. "
        "Trees and profiles show the 500 most persistent minima at most. "
    )
caption += "One network is an example: how other seeds differ is in the figures of the grids."
values = {
    "eigenvalues": spectrum["eigenvalue"].values.tolist(),
    "trace": float(spectrum["trace"]),
    "minima": {f"{DIMENSIONS[n]}-D": table["minima"].tolist() for n, table in numbers.items()},
    "seeds": 1,
}
publish(figure, output, title=title, caption=caption, values=values)
