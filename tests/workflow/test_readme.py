"""The commands of every README, run at smoke size; those that take minutes as dry runs."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READMES = sorted(
    path.relative_to(ROOT)
    for pattern in ("README.md", "*/README.md", "workflow/*/README.md")
    for path in ROOT.glob(pattern)
    if not path.relative_to(ROOT).parts[0].startswith(".")
)
# The smoke study has no such files.
NOT_IN_SMOKE = ("/paper/", "study/figures/tlp-fig2", "study/figures/topo-fig5")
LONG = {"study", "paper", "test", "smoke", "gallery", "gpu", "bench", "conformance"}


def commands(readme: Path) -> list[str]:
    """Return the lines of the shell blocks and the commands of the figure table."""
    text = (ROOT / readme).read_text()
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    tabled = re.findall(r"\| `(make [^`]+)` \|", text)
    return [line for line in [*lines, *tabled] if line]


FIRST: dict[str, Path] = {}
# What several READMEs say is run for the first of them.
CASES = [
    (readme, command)
    for readme in READMES
    for command in commands(readme)
    if FIRST.setdefault(command, readme) == readme
]


def test_the_main_readme_has_its_commands():
    assert "make study" in commands(Path("README.md"))
    assert "make test" in commands(Path("README.md"))
    assert len([c for c in commands(Path("README.md")) if "/figures/" in c]) >= 5


@pytest.fixture(scope="module")
def finished(untouched, tmp_path_factory):
    """A copy of the finished smoke study that commands may change."""
    target = tmp_path_factory.mktemp("readme") / "topograph"
    shutil.copytree(untouched.path, target, symlinks=True)
    return untouched._replace(path=target)


@pytest.mark.workflow
@pytest.mark.parametrize(("readme", "command"), CASES, ids=[f"{r}: {c}" for r, c in CASES])
def test_a_command_does_what_it_says(finished, readme, command):
    words = shlex.split(command)
    long = LONG & set(words) or any(part in command for part in NOT_IN_SMOKE)
    dry = words[0] == "make" and long
    if dry:
        flag = "--dry-run" if "test" in words else "ARGS=--dry-run"
        done = finished.run(*words, flag)
    else:
        done = finished.run(*shlex.split(command.replace("/study/", "/smoke/")))
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("readme", READMES, ids=str)
def test_links_lead_somewhere(readme):
    text = (ROOT / readme).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / readme.parent / target).exists(), target


@pytest.mark.parametrize("readme", READMES, ids=str)
def test_yaml_examples_are_valid(readme):
    import yaml

    from topograph.config.load import parse_study
    from topograph.config.runs import members

    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / readme).read_text(), flags=re.DOTALL)
    example: dict[str, object] = {}
    for block in blocks:
        content = yaml.safe_load(block)
        if "figures" in content:  # of the experiments in the block before
            content = {"experiments": example, **content}
        elif "experiments" not in content:
            content = {"experiments": content}
        example = content["experiments"]
        assert members(parse_study({"study": "example", **content}, str(readme)), str(readme))


def run_python(readme):
    """Run all Python blocks of a README, one after another, and return their names."""
    import matplotlib.pyplot as plt
    import torch

    blocks = re.findall(r"```python\n(.*?)```", (ROOT / readme).read_text(), re.DOTALL)
    names: dict[str, object] = {}
    with torch.random.fork_rng():
        for block in blocks:
            exec(compile(block, readme, "exec"), names)
    plt.close("all")
    return names


def test_the_library_guide_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run_python("workflow/topograph/README.md")
    assert names["landscape"]["loss"].shape == (11, 11, 5)
    assert names["part"].attrs["evaluated"] == 729
    assert {path.name for path in tmp_path.iterdir()} == {"landscape.nc", "shared.nc"}


def test_the_lines_of_python_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run_python("README.md")
    assert names["landscape"]["loss"].shape == (21, 21)
    assert names["profile"].table()["y"].min() == names["landscape"]["loss"].values.min()
    assert (tmp_path / "profile.svg").stat().st_size > 1000
