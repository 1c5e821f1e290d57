"""What the project never does: unpickle, run code from data, build shell commands."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

WORKFLOW = Path(__file__).resolve().parents[1] / "workflow"
SOURCES = sorted(WORKFLOW.rglob("*.py"))
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "os.system",
    "os.popen",
    "torch.load",
    "torch.save",
    "torch.hub.load",
    "np.load",
    "numpy.load",
    "pd.read_pickle",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
}


def calls(tree: ast.Module) -> list[tuple[str, ast.Call]]:
    """Return every call by its dotted name."""
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(WORKFLOW)))
def test_a_source_neither_unpickles_nor_runs_data(path):
    tree = ast.parse(path.read_text())
    assert not imports(tree) & FORBIDDEN_MODULES
    for name, call in calls(tree):
        assert name not in FORBIDDEN_CALLS, name
        assert not name.endswith("extractall"), "an archive could write outside its folder"
        for keyword in call.keywords:
            constant = getattr(keyword.value, "value", None)
            assert (keyword.arg, constant) not in {("shell", True), ("allow_pickle", True)}, name


def test_only_targets_are_imported_by_name():
    """A config can make nothing be imported but a declared target."""
    importing = {
        path.relative_to(WORKFLOW).as_posix()
        for path in SOURCES
        for name, _ in calls(ast.parse(path.read_text()))
        if name in {"importlib.import_module", "import_module", "__import__", "runpy.run_path"}
    }
    assert importing == {
        "topograph/__init__.py",  # public names, from a table in the file itself
        "topograph/families/build.py",  # targets
        "topograph/problems/through_deepxde.py",  # deepxde
    }


def test_every_rule_runs_a_script_and_no_shell():
    for path in [WORKFLOW.parent / "Snakefile", *WORKFLOW.glob("rules/*.smk")]:
        lines = {line.strip() for line in path.read_text().splitlines()}
        assert not {"shell:", "run:", "notebook:", "wrapper:"} & lines, path.name
