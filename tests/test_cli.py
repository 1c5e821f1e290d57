"""The command line: a mistake is one message on standard error and exit 1, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from topograph.cli import main
from topograph.config.schema import schema_text

CONFIG = Path(__file__).parents[1] / "config"


def test_check_lists_every_network_with_its_seeds(capsys):
    assert main(["check", str(CONFIG / "smoke.yaml")]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    lines = shown.out.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("convection: beta 1.0 -> convection-mlp-")
    assert lines[0].endswith(", seeds 0, 1")
    assert [line.split(" -> ")[0] for line in lines[2:]] == [
        "brain: default",
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
    command = "import sys; from topograph.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", command, "check", str(tmp_path / "none.yaml")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"{tmp_path / 'none.yaml'} does not exist; studies lie in config/\n"


@pytest.mark.parametrize("arguments", [[], ["chek"], ["check"]])
def test_a_wrong_call_shows_the_usage(capsys, arguments):
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage: topograph" in capsys.readouterr().err


def test_schema_prints_what_the_schema_file_holds(capsys):
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == schema_text()
