"""The spectrum analysis of a study: eigenvalues, trace and spectral density for each network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from topograph.config.models import Spectrum
from topograph.config.runs import Cell
from topograph.families.training import family_of
from topograph.foundation.provenance import digest
from topograph.foundation.seeds import derive_seed
from topograph.foundation.storage import read_dataset, remove_others, write_dataset, write_table
from topograph.landscape.analysis import epoch_number, state_at
from topograph.landscape.hessian import hessian_eigenpairs
from topograph.landscape.spectrum import GRID_POINTS, hessian_density, hessian_trace
from topograph.objective.objective import Objective


def write_spectra(
    cell: Cell,
    analysis: Spectrum,
    weights: str | Path,
    path: str | Path,
    *,
    quantities: str | Path,
    scratch: str | Path,
    code: str,
    device: str = "cpu",
) -> None:
    """Write the spectra of a cell to ``path`` and a row of numbers for each to ``quantities``.

    Each is kept in ``scratch`` under the digest of the analysis and of ``code`` until all are
    done, so a killed job goes on where it was.
    """
    work = Path(scratch) / digest([analysis.model_dump(), code, device])
    dataset = spectra(cell, analysis, weights, work=work, device=device)
    write_table(quantities, spectrum_quantities(dataset))
    write_dataset(path, dataset)
    remove_others(work)


def spectra(
    cell: Cell,
    analysis: Spectrum,
    weights: str | Path,
    *,
    work: Path | None = None,
    device: str = "cpu",
) -> xr.Dataset:
    """Return the Hessian spectrum of each seed and epoch of a cell.

    Over (seed, epoch): eigenvalue and residual (eigenvalue_index), largest |lambda| first; trace
    and its standard error; density with its standard error over grid (point), in 1 / eigenvalue;
    the loss.
    NaN where training diverged.
    """
    rows = []
    for seed in cell.seeds:
        row = []
        for epoch in analysis.epochs:
            state = state_at(cell, weights, seed, epoch)
            objective = family_of(cell.training).objective(cell.training, state, analysis)
            row.append(_kept(objective, analysis, seed, work, device))
        epochs = [epoch_number(cell, epoch) for epoch in analysis.epochs]
        rows.append(xr.concat(row, dim=xr.Variable("epoch", epochs), join="exact"))
    dataset = xr.concat(rows, dim=xr.Variable("seed", list(cell.seeds)), join="exact")
    dataset.attrs = {
        "run": cell.run,
        **analysis.model_dump(include={"objective", "batch_norm", "dtype"}),
        "examples": analysis.examples or "all",
    }
    return dataset


def spectrum_quantities(dataset: xr.Dataset) -> pd.DataFrame:
    """Return a row for each seed and epoch: extreme eigenvalues, trace, share of negative mass.

    ``top_eigenvalue`` is the largest by magnitude, with its sign, as power iteration finds it.
    """
    rows = []
    for seed in dataset["seed"].values:
        for epoch in dataset["epoch"].values:
            one = dataset.sel(seed=seed, epoch=epoch)
            values, density = one["eigenvalue"].values, one["density"].values
            mass = density.sum()
            rows.append(
                {
                    "run": dataset.attrs["run"],
                    "seed": int(seed),
                    "epoch": int(epoch),
                    "loss": float(one["loss"]),
                    "top_eigenvalue": float(values[0]),
                    "top_residual": float(one["residual"].values[0]),
                    "trace": float(one["trace"]),
                    "trace_error": float(one["trace_error"]),
                    "negative_mass": float(density[one["grid"].values < 0].sum() / mass),
                }
            )
    return pd.DataFrame(rows)


def _kept(
    objective: Objective, analysis: Spectrum, seed: int, work: Path | None, device: str
) -> xr.Dataset:
    """Return a spectrum, from disk where it is done."""
    file = work and work / f"{objective.digest}.nc"
    if file and file.is_file():
        return read_dataset(file)
    found = _spectrum(objective, analysis, seed, device)
    if file:
        write_dataset(file, found)
    return found


def _spectrum(objective: Objective, analysis: Spectrum, seed: int, device: str) -> xr.Dataset:
    drawn = derive_seed(analysis.seed, "spectrum", seed)
    loss = float(objective.loss(objective.center))
    if not np.isfinite(loss):
        return _diverged(analysis)
    options: dict[str, Any] = {"seed": drawn, "dtype": analysis.dtype, "device": device}
    pairs = hessian_eigenpairs(objective, analysis.eigenvalues, **options)
    trace = hessian_trace(objective, **options)
    density = hessian_density(objective, **options)
    return xr.Dataset(
        {
            "loss": loss,
            "eigenvalue": ("eigenvalue_index", pairs.values),
            "residual": ("eigenvalue_index", pairs.residuals),
            "trace": trace.value,
            "trace_error": trace.standard_error,
            "grid": ("point", density.grid),
            "density": ("point", density.density),
            "density_error": ("point", density.standard_error),
        }
    )


def _diverged(analysis: Spectrum) -> xr.Dataset:
    found = xr.Dataset(dict.fromkeys(("loss", "trace", "trace_error"), np.nan))
    for name in ("eigenvalue", "residual"):
        found[name] = ("eigenvalue_index", np.full(analysis.eigenvalues, np.nan))
    for name in ("grid", "density", "density_error"):
        found[name] = ("point", np.full(GRID_POINTS, np.nan))
    return found
