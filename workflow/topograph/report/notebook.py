"""Notebooks: a percent script is checked, executed in a kernel of its own, and shown by outputs."""

from __future__ import annotations

import ast
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from topograph.foundation.errors import TopographError, nearest
from topograph.foundation.storage import atomic, require
from topograph.report.figure import NothingToDraw

PARAMETERS_TAG = "parameters"
# A socket's path holds at most 103 bytes on macOS and 107 on Linux; the job appends about 30.
_LONGEST_TEMPORARY_FOLDER = 60


def run_notebook(source: Path, parameters: dict[str, Any], *, executed: Path, title: str) -> str:
    """Execute a jupytext percent script with parameters and return its outputs as HTML.

    The notebook with all its outputs is written to ``executed`` whether or not it succeeds;
    ``title`` is kept in its metadata. The HTML is a fragment without code, prompts, prose cells and
    messages to stderr. The kernel runs in the current directory.

    Raises TopographError when the parameters are not exactly those of the script's cell tagged
    ``parameters``, when a cell fails, or when the kernel dies; NothingToDraw when a cell does;
    DataError when the script is missing.
    """
    notebook = jupytext.read(require(source), fmt="py:percent")
    _check_parameters(notebook, source, parameters)
    notebook.metadata["title"] = title
    for number, cell in enumerate(notebook.cells, start=1):
        # jupytext draws random ids; pages would differ between two equal runs.
        cell["id"] = f"cell-{number}"
    with _job_folder() as folder:
        copy = folder / "notebook.ipynb"
        try:
            _execute(notebook, parameters, copy)
        except PapermillExecutionError as error:
            if error.ename == NothingToDraw.__name__:
                raise NothingToDraw(error.evalue) from error
            raise _cell_error(source, executed, error) from error
        except (RuntimeError, TimeoutError) as error:
            raise _kernel_error(source, executed, error) from error
        finally:
            if copy.is_file():
                _keep(copy, executed, source)
    return _outputs_as_html(nbformat.read(executed, as_version=4))


def _check_parameters(notebook: NotebookNode, source: Path, parameters: Mapping[str, Any]) -> None:
    tagged = [c for c in notebook.cells if PARAMETERS_TAG in c.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise TopographError(
            f"{source} has {len(tagged)} cells tagged '{PARAMETERS_TAG}'; exactly one is allowed. "
            f'Start the cell that assigns the parameters with: # %% tags=["{PARAMETERS_TAG}"]'
        )
    allowed = _assigned_names(tagged[0].source, source)
    listed = ", ".join(sorted(allowed)) or "none"
    for name in parameters:
        if name not in allowed:
            raise TopographError(
                f"{source} takes no parameter {name!r}{nearest(name, allowed)}; allowed: {listed}. "
                f"Correct the name, or assign it in the cell tagged '{PARAMETERS_TAG}'"
            )
    missing = sorted(allowed - set(parameters))
    if missing:
        raise TopographError(
            f"{source} was not given {', '.join(missing)}; received: "
            f"{', '.join(sorted(parameters)) or 'none'}; allowed: {listed}. Give every one"
            f"{nearest(missing[0], set(parameters) - allowed)}"
        )


def _assigned_names(code: str, source: Path) -> set[str]:
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        raise TopographError(
            f"{source}: the cell tagged '{PARAMETERS_TAG}' is not valid Python "
            f"({error.msg}: {(error.text or '').strip()!r}); it may hold only lines like name = 1"
        ) from error
    targets: list[ast.expr] = []
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets += statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets.append(statement.target)
    return {
        node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)
    }


@contextmanager
def _job_folder() -> Iterator[Path]:
    """Yield a short temporary folder that is the whole Jupyter world of the kernel.

    Parallel jobs lock the shared history of IPython and the font cache of matplotlib, and a
    person's own Jupyter settings and kernels must not change a result.
    """
    parent = tempfile.gettempdir()
    if len(parent) > _LONGEST_TEMPORARY_FOLDER:
        parent = "/tmp"
    with tempfile.TemporaryDirectory(prefix="tg-", dir=parent) as name:
        folder = Path(name)
        settings = {
            "IPYTHONDIR": folder / "ipython",
            "JUPYTER_CONFIG_DIR": folder / "config",
            "JUPYTER_DATA_DIR": folder / "data",
            "JUPYTER_RUNTIME_DIR": folder / "r",
            "MPLCONFIGDIR": folder / "matplotlib",
        }
        for path in settings.values():
            path.mkdir()
        # The page shows the published picture: the kernel must not print a second one.
        variables = {key: str(path) for key, path in settings.items()} | {"MPLBACKEND": "agg"}
        with _environment(variables):
            yield folder


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def _execute(notebook: NotebookNode, parameters: dict[str, Any], output: Path) -> None:
    config = Config()
    for manager in (config.KernelManager, config.AsyncKernelManager):
        # Kernels that start together race for the same TCP ports.
        manager.transport = "ipc"
        # The sockets are named after this file; unset, they would lie in the current directory,
        # where kernels that start together race for their names.
        manager.connection_file = str(output.parent / "r" / "kernel.json")
    papermill.execute_notebook(
        notebook,
        output,
        parameters=parameters,
        kernel_name="python3",
        # A percent script names no kernel, and papermill then asks for its language as well.
        language="python",
        progress_bar=False,
        cwd=Path.cwd(),
        config=config,
    )


def _keep(copy: Path, executed: Path, source: Path) -> None:
    notebook = nbformat.read(copy, as_version=4)
    # papermill saw an object in memory and a temporary name; the reader needs the real ones.
    notebook.metadata["papermill"]["input_path"] = str(source)
    notebook.metadata["papermill"]["output_path"] = str(executed)
    with atomic(executed) as temporary:
        nbformat.write(notebook, temporary)


def _cell_error(source: Path, executed: Path, error: PapermillExecutionError) -> TopographError:
    return TopographError(
        f"{source}: the cell In [{error.exec_count}] failed: {error.ename}: {error.evalue}\n"
        f"The traceback is in {executed}; mend the cause and run the same command again"
    )


def _kernel_error(source: Path, executed: Path, error: Exception) -> TopographError:
    return TopographError(
        f"{source}: the notebook's kernel stopped: {error}\n"
        f"What it had done is in {executed}; most often the memory ran out: "
        "run fewer jobs at a time, then the same command again"
    )


def _outputs_as_html(notebook: NotebookNode) -> str:
    """Render the cells that have outputs; the template 'basic' has no head, so loads no scripts."""
    shown = []
    for cell in notebook.cells:
        # Warnings name files of the machine; the executed notebook keeps them.
        outputs = [o for o in cell.get("outputs", []) if o.get("name") != "stderr"]
        if outputs:
            shown.append(NotebookNode(cell | {"outputs": outputs}))
    exporter = HTMLExporter(
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    body, _ = exporter.from_notebook_node(NotebookNode(notebook | {"cells": shown}))
    return str(body).strip()
