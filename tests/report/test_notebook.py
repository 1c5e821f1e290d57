"""A notebook runs with exactly its parameters, leaves its record, and shows only its outputs."""

from __future__ import annotations

import html
import os
import tempfile
from pathlib import Path

import nbformat
import pytest

from topograph.foundation.errors import DataError, TopographError
from topograph.report.notebook import run_notebook

PARAMETERS = """# %% [markdown]
# Prose that belongs to the source, with a link to https://example.org

# %% tags=["parameters"]
study = ""
points: int = 0
paths = []

"""


def write(folder: Path, cells: str, parameters: str = PARAMETERS) -> Path:
    source = folder / "figure.py"
    source.write_text(parameters + cells)
    return source


def run(source: Path, **parameters: object) -> str:
    given = {"study": "007", "points": 21, "paths": ["a", "b"]} | parameters
    return run_notebook(source, given, executed=source.parent / "log" / "a.ipynb", title="A title")


def test_parameters_arrive_with_their_types_and_only_outputs_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    source = write(
        tmp_path,
        "# %%\nimport os, sys\nimport pandas as pd\nsecret_name = 1\n"
        "print('seen', repr((study, points, paths)), os.getcwd(), file=sys.stdout)\n"
        "print('a warning', file=sys.stderr)\n"
        "print(os.environ['IPYTHONDIR'] != '', os.environ['MPLCONFIGDIR'] != '')\n"
        "# %%\npd.DataFrame({'beta': [30.0]})\n",
    )
    body = run(source)
    assert f"seen ('007', 21, ['a', 'b']) {tmp_path}" in html.unescape(body)
    assert "<td>30.0</td>" in body
    for absent in ("secret_name", "prompt", "In&nbsp;", "a warning", "Prose", "<script", "http"):
        assert absent not in body
    executed = nbformat.read(tmp_path / "log" / "a.ipynb", as_version=4)
    assert executed.metadata["title"] == "A title"
    assert executed.metadata["papermill"]["parameters"]["study"] == "007"
    assert executed.metadata["papermill"]["input_path"] == str(source)
    assert dict(os.environ) == before


def test_an_unknown_parameter_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        TopographError, match=r"figure.py takes no parameter 'point' \(did you m"
    ) as e:
        run(write(tmp_path, ""), point=3)
    assert "'points'?" in str(e.value)
    assert "allowed: paths, points, study" in str(e.value)


def test_a_parameter_that_was_not_given_is_named(tmp_path: Path) -> None:
    source = write(tmp_path, "")
    with pytest.raises(TopographError, match="was not given paths, points; received: study"):
        run_notebook(source, {"study": "a"}, executed=tmp_path / "a.ipynb", title="")


@pytest.mark.parametrize(("cells", "count"), [("# %%\nstudy = 1\n", 0), (PARAMETERS * 2, 2)])
def test_there_must_be_one_parameters_cell(tmp_path: Path, cells: str, count: int) -> None:
    with pytest.raises(TopographError, match=f"has {count} cells tagged 'parameters'"):
        run(write(tmp_path, cells, parameters=""))


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"figure\.py does not exist"):
        run(tmp_path / "figure.py")


def test_a_failing_cell_keeps_the_notebook_and_names_the_cause(tmp_path: Path) -> None:
    source = write(tmp_path, "# %%\nprint('reached')\n# %%\n{}['beta']\n# %%\nprint('never')\n")
    with pytest.raises(TopographError, match="KeyError: 'beta'") as raised:
        run(source)
    executed = tmp_path / "log" / "a.ipynb"
    assert str(executed) in str(raised.value)
    assert "run the same command again" in str(raised.value)
    text = executed.read_text()
    assert "reached" in text
    assert "KeyError" in text


def test_a_dead_kernel_keeps_the_notebook(tmp_path: Path) -> None:
    source = write(tmp_path, "# %%\nprint('reached')\n# %%\nimport os\nos._exit(1)\n")
    with pytest.raises(TopographError, match="the notebook's kernel stopped"):
        run(source)
    assert "reached" in (tmp_path / "log" / "a.ipynb").read_text()


def test_the_kernel_talks_through_sockets_outside_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 25)))
    source = write(
        tmp_path,
        "# %%\nimport json, os, ipykernel\n"
        "info = json.load(open(ipykernel.get_connection_file()))\n"
        "print(info['transport'], os.path.exists(info['ip'] + '-1'), 'and', os.listdir('.'))\n",
    )
    assert "ipc True and ['figure.py']" in html.unescape(run(source))
