"""VTK files hold every value at the place where it was sampled."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from topograph.foundation.errors import DataError, TopographError
from topograph.foundation.storage import write_dataset
from topograph.landscape.export import export_vtk

AXES = {
    "alpha_1": np.linspace(-1.0, 1.0, 3),
    "alpha_2": np.linspace(-0.5, 1.5, 5),
    "alpha_3": np.linspace(0.0, 9.0, 4),
}


def lopsided(*names: str) -> xr.Dataset:
    """f = 1000 alpha_1 + 10 alpha_2 + 0.1 alpha_3 and its square: no two axes can be swapped."""
    coordinates = {name: AXES[name] for name in names}
    grids = np.meshgrid(*coordinates.values(), indexing="ij")
    loss = sum(factor * grid for factor, grid in zip((1000, 10, 0.1), grids, strict=False))
    variables = {"loss": (names, loss), "accuracy": (names, loss**2)}
    return xr.Dataset({**variables, "norm": ("direction", np.ones(len(names)))}, coords=coordinates)


def written(dataset: xr.Dataset, folder: Path) -> Path:
    write_dataset(folder / "landscape.nc", dataset)
    return folder / "landscape.nc"


def parsed(path: Path) -> tuple[ElementTree.Element, dict[str, np.ndarray]]:
    """The image element, and each array as [z, y, x]."""
    root = ElementTree.parse(path).getroot()
    assert root.attrib["type"] == "ImageData"
    assert root.attrib["byte_order"] == "LittleEndian"
    assert root.attrib["header_type"] == "UInt64"
    image, piece = root.find("ImageData"), root.find("ImageData/Piece")
    assert image is not None and piece is not None
    extent = [int(number) for number in image.attrib["WholeExtent"].split()]
    assert piece.attrib["Extent"] == image.attrib["WholeExtent"]
    assert extent[::2] == [0, 0, 0]
    shape = [end + 1 for end in extent[1::2]]
    arrays = {}
    for array in piece.findall("PointData/DataArray"):
        assert (array.attrib["type"], array.attrib["format"]) == ("Float64", "binary")
        content = base64.b64decode(array.text or "", validate=False)
        assert np.frombuffer(content[:8], "<u8")[0] == len(content) - 8
        components = int(array.attrib["NumberOfComponents"])
        values = np.frombuffer(content[8:], "<f8").reshape(*shape[::-1], components)
        arrays[array.attrib["Name"]] = values[..., 0] if components == 1 else values
    return image, arrays


def numbers(image: ElementTree.Element, name: str) -> list[float]:
    return [float(number) for number in image.attrib[name].split()]


def test_a_volume_has_alpha_1_along_x_and_every_value_in_its_place(tmp_path: Path) -> None:
    path = written(lopsided("alpha_1", "alpha_2", "alpha_3"), tmp_path)
    assert export_vtk(path, tmp_path / "out") == [tmp_path / "out.vti"]
    image, arrays = parsed(tmp_path / "out.vti")
    assert image.attrib["WholeExtent"] == "0 2 0 4 0 3"
    assert numbers(image, "Origin") == [-1, -0.5, 0]
    assert numbers(image, "Spacing") == [1, 0.5, 3]
    assert list(arrays) == ["loss", "accuracy"]
    origin, spacing = numbers(image, "Origin"), numbers(image, "Spacing")
    for z, y, x in np.ndindex(4, 5, 3):
        place = [o + s * i for o, s, i in zip(origin, spacing, (x, y, z), strict=True)]
        expected = 1000 * place[0] + 10 * place[1] + 0.1 * place[2]
        assert arrays["loss"][z, y, x] == pytest.approx(expected)
        assert arrays["accuracy"][z, y, x] == pytest.approx(expected**2)


def test_a_plane_is_one_layer(tmp_path: Path) -> None:
    dataset = lopsided("alpha_1", "alpha_2")
    export_vtk(written(dataset, tmp_path), tmp_path / "plane.vti")
    image, arrays = parsed(tmp_path / "plane.vti")
    assert image.attrib["WholeExtent"] == "0 2 0 4 0 0"
    assert numbers(image, "Spacing") == [1, 0.5, 1]
    np.testing.assert_array_equal(arrays["loss"][0], dataset["loss"].values.T)


def test_the_order_in_which_a_file_holds_its_axes_changes_nothing(tmp_path: Path) -> None:
    dataset = lopsided("alpha_1", "alpha_2", "alpha_3")
    export_vtk(written(dataset, tmp_path), tmp_path / "one")
    export_vtk(
        written(dataset.transpose("alpha_3", "direction", "alpha_1", "alpha_2"), tmp_path),
        tmp_path / "other",
    )
    assert (tmp_path / "one.vti").read_bytes() == (tmp_path / "other.vti").read_bytes()


def test_each_seed_and_epoch_has_a_file_of_its_own(tmp_path: Path) -> None:
    one = lopsided("alpha_1", "alpha_2")
    seeds = xr.concat([one, one + 5], dim=xr.Variable("seed", [0, 7]))
    dataset = xr.concat([seeds, seeds * 2], dim=xr.Variable("epoch", [1, 30]))
    files = export_vtk(written(dataset, tmp_path), tmp_path / "vtk" / "brain")
    assert [path.name for path in files] == [
        f"brain-seed-{seed}-epoch-{epoch}.vti" for seed in (0, 7) for epoch in (1, 30)
    ]
    _, arrays = parsed(tmp_path / "vtk" / "brain-seed-7-epoch-30.vti")
    np.testing.assert_array_equal(arrays["loss"][0], 2 * (one["loss"].values.T + 5))


def test_a_landscape_of_seeds_alone_is_named_by_them(tmp_path: Path) -> None:
    dataset = lopsided("alpha_1", "alpha_2").expand_dims(seed=[3])
    files = export_vtk(written(dataset, tmp_path), tmp_path / "out")
    assert [path.name for path in files] == ["out-seed-3.vti"]


def test_centres_without_names_are_numbered(tmp_path: Path) -> None:
    one = lopsided("alpha_1", "alpha_2")
    dataset = xr.concat([one, one + 5], dim="center")
    files = export_vtk(written(dataset, tmp_path), tmp_path / "out")
    assert [path.name for path in files] == ["out-center-0.vti", "out-center-1.vti"]
    _, arrays = parsed(files[1])
    np.testing.assert_array_equal(arrays["loss"][0], one["loss"].values.T + 5)


def test_a_value_per_class_is_one_component_each(tmp_path: Path) -> None:
    dataset = lopsided("alpha_1", "alpha_2", "alpha_3")
    dataset["overlap"] = dataset["loss"] * xr.DataArray([1.0, -2.0, 5.0], dims="overlap_class")
    export_vtk(written(dataset, tmp_path), tmp_path / "out")
    _, arrays = parsed(tmp_path / "out.vti")
    for component, factor in enumerate((1, -2, 5)):
        np.testing.assert_array_equal(arrays["overlap"][..., component], factor * arrays["loss"])


def test_values_that_are_not_finite_are_kept(tmp_path: Path) -> None:
    dataset = lopsided("alpha_1", "alpha_2")
    dataset["loss"][0, 0], dataset["loss"][1, 2] = np.nan, np.inf
    export_vtk(written(dataset, tmp_path), tmp_path / "out")
    found = parsed(tmp_path / "out.vti")[1]["loss"][0]
    np.testing.assert_array_equal(found, dataset["loss"].values.T)


@pytest.mark.parametrize("points", [21, 41, 64])
def test_the_axes_of_landscapes_are_equally_spaced_to_rounding(tmp_path: Path, points: int) -> None:
    axis = np.arange(1 - points, points, 2) / (points - 1) * 0.3
    dataset = lopsided("alpha_1", "alpha_2").interp(alpha_1=axis)
    export_vtk(written(dataset, tmp_path), tmp_path / "out")
    image, _ = parsed(tmp_path / "out.vti")
    assert numbers(image, "Spacing")[0] * (points - 1) == pytest.approx(0.6, rel=1e-15)


@pytest.mark.parametrize(
    ("values", "steps"),
    [([-1, 0, 2], "1, 2"), ([1, 0, -1], "-1, -1"), ([0, 0, 0], "0, 0"), ([np.nan, 0, 1], "nan, 1")],
)
def test_unequal_steps_are_refused_with_the_axis(
    tmp_path: Path, values: list[float], steps: str
) -> None:
    dataset = lopsided("alpha_1", "alpha_2").assign_coords(alpha_1=np.array(values, dtype=float))
    path = written(dataset, tmp_path)
    with pytest.raises(TopographError) as raised:
        export_vtk(path, tmp_path / "out")
    expected = f"alpha_1 in {path} is not equally spaced and increasing (its steps: {steps})"
    assert str(raised.value).startswith(expected)
    assert not list(tmp_path.glob("*.vti"))


def test_one_layer_of_points_is_refused(tmp_path: Path) -> None:
    path = written(lopsided("alpha_1", "alpha_2").isel(alpha_2=[0]), tmp_path)
    with pytest.raises(TopographError, match=r"alpha_2 in .* \(its steps: none\)"):
        export_vtk(path, tmp_path / "out")


def test_a_line_and_four_dimensions_are_refused(tmp_path: Path) -> None:
    line = written(lopsided("alpha_1"), tmp_path)
    with pytest.raises(TopographError, match=r"has 1 dimensions \(alpha_1\); .* have 2 or 3"):
        export_vtk(line, tmp_path / "out")
    four = lopsided("alpha_1", "alpha_2", "alpha_3").expand_dims(alpha_4=[0.0, 1.0])
    with pytest.raises(TopographError, match=r"has 4 dimensions \(alpha_1, .*, alpha_4\)"):
        export_vtk(written(four, tmp_path), tmp_path / "out")


def test_a_list_of_points_is_refused(tmp_path: Path) -> None:
    points = {"alpha_1": ("point", [0.0, 1.0]), "alpha_2": ("point", [2.0, 2.0])}
    dataset = xr.Dataset({"loss": ("point", [1.0, 2.0])}, coords=points)
    with pytest.raises(TopographError, match="lies over point, not over a grid of alphas"):
        export_vtk(written(dataset, tmp_path), tmp_path / "out")


def test_missing_truncated_and_foreign_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.nc does not exist"):
        export_vtk(tmp_path / "none.nc", tmp_path / "out")
    path = written(lopsided("alpha_1", "alpha_2"), tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"landscape\.nc is truncated or not a NetCDF file"):
        export_vtk(path, tmp_path / "out")
    with pytest.raises(DataError, match="holds no loss, so it is no landscape"):
        export_vtk(written(xr.Dataset({"gram": ("seed", [1.0])}), tmp_path), tmp_path / "out")
