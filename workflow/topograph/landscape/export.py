"""Landscapes as VTK image data, which ParaView opens."""

from __future__ import annotations

import base64
import itertools
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

import numpy as np

from topograph.foundation.errors import DataError, TopographError
from topograph.foundation.storage import atomic, read_dataset

if TYPE_CHECKING:
    import xarray as xr

MEMBERS = ("center", "seed", "epoch")
BYTE_ORDER = {"little": "LittleEndian", "big": "BigEndian"}


def export_vtk(landscape: str | Path, out: str | Path) -> list[Path]:
    """Write a 2-D or 3-D landscape as VTK XML image data and return the files.

    Each variable over all alpha axes becomes point data, float64, alpha_1 along x; one value a
    class becomes one component each. Where the landscape has centres, seeds or epochs, each gets a
    file of its own: ``OUT-seed-0-epoch-1.vti``, otherwise there is one ``OUT.vti``. Raises
    TopographError for a file that is missing or no landscape, for other dimensions, a list of
    points, or points that are not equally spaced.
    """
    dataset = read_dataset(landscape)
    alphas = _alphas(dataset, landscape)
    origin, spacing = zip(*(_axis(dataset, name, landscape) for name in alphas), strict=True)
    members = [name for name in MEMBERS if name in dataset["loss"].dims]
    stem = str(out).removesuffix(".vti")
    written = []
    for chosen in itertools.product(*(range(dataset.sizes[name]) for name in members)):
        one = dataset.isel(dict(zip(members, chosen, strict=True)))
        labels = "".join(
            f"-{name}-{dataset[name].values[i]}" for name, i in zip(members, chosen, strict=True)
        )
        written.append(Path(f"{stem}{labels}.vti"))
        with atomic(written[-1]) as temporary:
            temporary.write_text(_image(one, alphas, origin, spacing), encoding="utf-8")
    return written


def _alphas(dataset: xr.Dataset, path: str | Path) -> list[str]:
    if "loss" not in dataset:
        raise DataError(f"{path} holds no loss, so it is no landscape; give a file of landscape/")
    alphas = sorted(
        (str(name) for name in dataset["loss"].dims if re.fullmatch(r"alpha_\d+", str(name))),
        key=lambda name: int(name.removeprefix("alpha_")),
    )
    if not alphas:
        raise TopographError(
            f"{path} lies over {', '.join(map(str, dataset['loss'].dims))}, not over a grid of "
            "alphas; VTK images need a grid of 2 or 3 dimensions: sample one with a number of "
            "points for each axis"
        )
    if len(alphas) not in (2, 3):
        raise TopographError(
            f"{path} has {len(alphas)} dimensions ({', '.join(alphas)}); VTK images have 2 or 3: "
            "sample one of these, or take a slice"
        )
    return alphas


def _axis(dataset: xr.Dataset, name: str, path: str | Path) -> tuple[float, float]:
    """Return where an axis starts and its step."""
    values = dataset[name].values
    steps = np.diff(values)
    if not (len(steps) and steps.min() > 0 and np.ptp(steps) <= 1e-6 * steps.mean()):
        raise TopographError(
            f"{name} in {path} is not equally spaced and increasing (its steps: "
            f"{', '.join(f'{step:.6g}' for step in steps[:4]) or 'none'}); VTK images need equal "
            "steps above 0: sample with a number of points, which spaces them so"
        )
    return float(values[0]), float((values[-1] - values[0]) / len(steps))


def _image(
    dataset: xr.Dataset, alphas: list[str], origin: tuple[float, ...], spacing: tuple[float, ...]
) -> str:
    # VTK has three axes: a plane is one layer thick.
    layers = 3 - len(alphas)
    extent = " ".join(f"0 {dataset.sizes[name] - 1}" for name in alphas) + " 0 0" * layers
    arrays = [
        _array(str(name), variable, alphas)
        for name, variable in dataset.data_vars.items()
        if set(alphas) <= set(variable.dims)
    ]
    return (
        f'<VTKFile type="ImageData" version="1.0" byte_order="{BYTE_ORDER[sys.byteorder]}" '
        'header_type="UInt64">\n'
        f'<ImageData WholeExtent="{extent}" Origin="{_numbers((*origin, *[0.0] * layers))}" '
        f'Spacing="{_numbers((*spacing, *[1.0] * layers))}">\n'
        f'<Piece Extent="{extent}">\n<PointData Scalars="loss">\n{"".join(arrays)}'
        "</PointData>\n</Piece>\n</ImageData>\n</VTKFile>\n"
    )


def _array(name: str, variable: xr.DataArray, alphas: list[str]) -> str:
    """Return the values, components fastest and then x, after their length in bytes, in base64."""
    values = variable.transpose(..., *alphas).values.astype(np.float64)
    components = values.size // np.prod(values.shape[-len(alphas) :])
    content = values.tobytes(order="F")
    encoded = base64.b64encode(np.uint64(len(content)).tobytes() + content).decode("ascii")
    return (
        f'<DataArray type="Float64" Name={quoteattr(name)} NumberOfComponents="{components}" '
        f'format="binary">\n{encoded}\n</DataArray>\n'
    )


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(repr(value) for value in values)
