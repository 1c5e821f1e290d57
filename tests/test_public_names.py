"""Reading a study stays cheap, and every public name leads to something."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import topograph

CONFIG = Path(__file__).parents[1] / "config"
LOADED_BY = """
import json, sys
{imports}
print(json.dumps(sorted(sys.modules)))
"""


def modules_after(imports: str) -> set[str]:
    command = [sys.executable, "-c", LOADED_BY.format(imports=imports)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return set(json.loads(done.stdout))


def test_reading_a_study_loads_neither_torch_nor_deepxde():
    loaded = modules_after(
        "import topograph, topograph.cli\n"
        "from topograph.config import load, models, runs, schema, targets\n"
        "from topograph.data import sources\n"
        "from topograph.foundation import errors, progress, provenance, seeds, storage\n"
        "sources.files_of('cifar10')\n"
        "provenance.code_digest('topograph.families.training')\n"
        f"study = load.load_study({str(CONFIG / 'paper.yaml')!r})\n"
        "runs.members(study, 'paper')\n"
    )
    assert "topograph.config.runs" in loaded
    heavy = {"torch", "deepxde", "torchvision", "tensorflow", "matplotlib", "sklearn", "pandas"}
    assert not loaded & heavy


def test_the_name_alone_loads_no_module_of_the_library():
    loaded = modules_after("import topograph")
    assert {name for name in loaded if name.startswith("topograph")} == {"topograph"}


@pytest.mark.parametrize("name", topograph.__all__)
def test_a_public_name_leads_to_a_documented_function_or_class(name):
    found = getattr(topograph, name)
    assert found.__name__ == name
    assert inspect.getdoc(found)
    assert found.__module__.startswith("topograph.")


def test_dir_lists_the_public_names_in_order():
    assert dir(topograph) == topograph.__all__ == sorted(topograph.__all__)


def test_an_unknown_name_is_the_usual_error():
    with pytest.raises(AttributeError) as raised:
        _ = topograph.no_such_name
    assert str(raised.value) == "module 'topograph' has no attribute 'no_such_name'"
    assert not hasattr(topograph, "landscapes")
