"""The command line: a mistake is one message on standard error and exit 1, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from topograph.cli.main import main
from topograph.config.schema import schema_text
from topograph.foundation.storage import write_dataset

CONFIG = Path(__file__).parents[1] / "config"


def test_check_lists_every_network_with_its_seeds(capsys):
    assert main(["check", "--quick", str(CONFIG / "smoke.yaml")]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    lines = shown.out.partition("\n\n")[0].splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("convection: beta 1.0, learning rate 1.0 -> convection-mlp-")
    assert lines[0].endswith(", seeds 0, 1")
    assert [line.split(" -> ")[0] for line in lines[2:]] == [
        "gallery: gallery",
        "brain: learning rate 0.01",
        "digits: good",
        "digits: bad",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dimensions: 3", "dimension: 3", "unknown key 'dimension' (did you mean 'dimensions'?)"),
        ("problem.kwargs.beta:", "problem.kwargs.bet:", "no axis 'problem.kwargs.bet'"),
    ],
)
def test_a_mistake_is_one_line_on_standard_error(tmp_path, capsys, old, new, message):
    path = tmp_path / "smoke.yaml"
    path.write_text((CONFIG / "smoke.yaml").read_text().replace(old, new))
    assert main(["check", str(path)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"{path}: experiments.convection")
    assert message in shown.err
    assert shown.err.count("\n") == 1


def test_the_installed_command_ends_with_1_and_without_a_traceback(tmp_path):
    command = "import sys; from topograph.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", command, "check", str(tmp_path / "none.yaml")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"{tmp_path / 'none.yaml'} does not exist; studies lie in config/\n"


def test_export_writes_a_landscape_for_paraview_and_prints_the_files(tmp_path, capsys):
    axes = {"alpha_1": [-1.0, 0.0, 1.0], "alpha_2": [0.0, 0.5]}
    loss = ("seed", *axes), np.arange(12.0).reshape(2, 3, 2)
    dataset = xr.Dataset({"loss": loss}, coords={"seed": [0, 1], **axes})
    write_dataset(tmp_path / "random-2d.nc", dataset)
    assert main(["export", str(tmp_path / "random-2d.nc"), "--vtk", str(tmp_path / "out")]) == 0
    files = [tmp_path / "out-seed-0.vti", tmp_path / "out-seed-1.vti"]
    assert capsys.readouterr().out.splitlines() == [str(path) for path in files]
    assert all(path.is_file() for path in files)


def test_an_output_that_cannot_be_written_is_one_line(tmp_path, capsys):
    axes = {"alpha_1": [0.0, 1.0], "alpha_2": [0.0, 0.5]}
    loss = ("seed", *axes), np.arange(4.0).reshape(1, 2, 2)
    landscape = tmp_path / "random-2d.nc"
    write_dataset(landscape, xr.Dataset({"loss": loss}, coords={"seed": [0], **axes}))
    assert main(["export", str(landscape), "--vtk", str(landscape / "out")]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        f"{landscape} cannot be read or written: File exists; correct the path, or what is there\n"
    )


def test_an_error_of_the_system_without_a_file_is_one_line(capsys, monkeypatch):
    def fail(_):
        raise OSError("no such device")

    monkeypatch.setattr("topograph.cli.studies._schema", fail)
    assert main(["schema"]) == 1
    assert capsys.readouterr().err == "no such device\n"


def test_control_c_ends_with_130_and_one_line(capsys, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("topograph.cli.studies._check", interrupt)
    assert main(["check", "config/smoke.yaml"]) == 130
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "interrupted\n")


def test_export_of_a_missing_landscape_is_one_line(tmp_path, capsys):
    missing = tmp_path / "none.nc"
    assert main(["export", str(missing), "--vtk", str(tmp_path / "out")]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"{missing} does not exist; make it: make {missing}\n"


@pytest.mark.parametrize("arguments", [[], ["chek"], ["check"], ["export", "landscape.nc"]])
def test_a_wrong_call_shows_the_usage(capsys, arguments):
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage: topograph" in capsys.readouterr().err


def test_schema_prints_what_the_schema_file_holds(capsys):
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == schema_text()
