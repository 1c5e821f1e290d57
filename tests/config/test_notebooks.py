"""A notebook says in its header what it can draw, and is taken at its word."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import jupytext
import pytest

from topograph.config.load import parse_study
from topograph.config.notebooks import NOTEBOOKS, Kind, header, notebook_problem, notebooks
from topograph.config.targets import SHORT_NAMES
from topograph.foundation.errors import ConfigError


def study(**experiment):
    content = {
        "family": "pinn",
        "problem": {"target": "topograph.problems.convection:Convection", "kwargs": {"beta": 1.0}},
        "model": {"target": "topograph.models.mlp:MLP", "kwargs": {}},
        "optimiser": {"name": "lbfgs"},
        "seeds": [0],
    }
    content["model"]["kwargs"] = {"inputs": 2, "outputs": 1, "width": 3, "depth": 1}
    content["analyses"] = {
        f"random-{n}d": {
            "kind": "landscape",
            "directions": "random",
            "dimensions": n,
            "points": 3,
            "distance": 1.0,
        }
        for n in (1, 2, 3, 4)
    }
    return parse_study({"study": "s", "experiments": {"e": {**content, **experiment}}}, "s.yaml")


@pytest.mark.parametrize("name", notebooks())
def test_every_notebook_says_what_it_can_draw(name):
    path = NOTEBOOKS / f"{name}.py"
    found = header(path)
    assert found.kind in get_args(Kind)
    for target in found.targets or []:
        assert target in {**SHORT_NAMES["data"], **SHORT_NAMES["problem"]}
    # The header is where jupytext keeps what belongs to a notebook, and no cell of it.
    read = jupytext.read(path, fmt="py:percent")
    assert read.metadata["topograph"]["kind"] == found.kind
    assert read.cells[0].cell_type == "markdown"


def test_profiles_draws_landscapes_of_every_dimension_and_of_any_problem():
    experiment = study().experiments["e"]
    for analysis in experiment.analyses.values():
        assert notebook_problem("profiles", experiment, analysis) is None


def test_what_a_dotted_path_leads_to_is_not_known_before_it_runs():
    experiment = study().experiments["e"]
    assert notebook_problem("tlp-fig3", experiment, experiment.analyses["random-1d"]) is None
    named = study(problem={"target": "convection", "kwargs": {"beta": 1.0}}).experiments["e"]
    assert notebook_problem("tlp-fig3", named, named.analyses["random-1d"]) is None
    problem = notebook_problem("tlp-fig2", named, named.analyses["random-4d"])
    assert problem is not None
    assert problem.endswith("in 2 dimensions, received 4; allowed: profiles, tlp-a5, tlp-fig3")


@pytest.mark.parametrize(
    "text",
    [
        "# %% [markdown]\n# No header\n",
        "# ---\n# jupyter:\n#   topograph:\n#     kind: pie\n# ---\n",
        "# ---\n# jupyter:\n#   topograph:\n#     kind: landscape\n#     colour: red\n# ---\n",
        "# ---\n# jupyter: {topograph: [\n# ---\n",
        "# ---\n# jupyter:\n#   topograph: !!python/object/apply:os.system ['false']\n# ---\n",
        "# ---\n",
        "",
    ],
)
def test_a_notebook_without_a_valid_header_is_named(tmp_path: Path, text: str):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.py must begin with a header .*kind: landscape"):
        header(path)
