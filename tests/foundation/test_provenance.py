"""Digests that follow code and content and nothing else; manifests that can be checked."""

from __future__ import annotations

import hashlib
import json
import random
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topograph.foundation import provenance
from topograph.foundation.errors import TopographError
from topograph.foundation.provenance import (
    Code,
    Start,
    code_digest,
    digest,
    manifest_path,
    write_manifest,
)

# A package that would fail if anyone imported it; `top` reaches `deep` by a relative import of a
# module, a relative import of a name inside a function, and an absolute import.
TREE = {
    "__init__.py": "raise RuntimeError('imported')\n",
    "a/__init__.py": '"""Package a."""\n',
    "a/top.py": '''
        """Module."""
        import os
        import numpy as np
        from . import sibling

        def run(x):
            """Double."""
            from ..b.middle import value
            return 2 * x + value
    ''',
    "a/sibling.py": "import topograph.c.plain\nraise RuntimeError('imported')\n",
    "a/unused.py": "NOTHING = 0\n",
    "b/__init__.py": "",
    "b/middle.py": "from topograph.b.deep import value\n",
    "b/deep.py": "value = 1\nraise RuntimeError('imported')\n",
    "c/__init__.py": "from .inner import *\n",
    "c/inner.py": "INNER = 1\n",
    "c/plain.py": "PLAIN = 1\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    root = tmp_path / "topograph"
    for name, text in TREE.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    monkeypatch.setattr(provenance, "PACKAGE_ROOT", tmp_path)
    return root


ROOT = Path(__file__).resolve().parents[2]


def top_digest() -> str:
    return code_digest("topograph.a.top")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_comments_docstrings_and_formatting_change_nothing(package):
    before = top_digest()
    edit(package / "a/top.py", '"""Module."""', '"""Other words."""\n# a comment')
    edit(package / "a/top.py", '"""Double."""', "# no docstring any more")
    edit(package / "a/top.py", "2 * x + value", "(\n        2*x +\n        value  # twice\n    )")
    edit(package / "a/__init__.py", "Package a", "A package")
    assert top_digest() == before


@pytest.mark.parametrize(
    "file",
    ["a/top.py", "a/sibling.py", "b/middle.py", "b/deep.py", "c/plain.py", "c/inner.py"],
)
def test_an_edit_of_any_module_that_is_used_changes_the_digest(package, file):
    before = top_digest()
    with (package / file).open("a") as stream:
        stream.write("\nCHANGED = 1\n")
    assert top_digest() != before


@pytest.mark.parametrize("file", ["a/__init__.py", "b/__init__.py"])
def test_the_packages_above_a_module_count_as_used(package, file):
    before = top_digest()
    with (package / file).open("a") as stream:
        stream.write("\nCHANGED = 1\n")
    assert top_digest() != before


def test_the_list_of_public_names_and_the_config_models_do_not_count(package):
    (package / "config").mkdir()
    (package / "config/models.py").write_text("KEYS = 1\n")
    edit(package / "a/sibling.py", "import topograph.c.plain", "import topograph.config.models")
    before = top_digest()
    for file in ("__init__.py", "config/models.py"):
        with (package / file).open("a") as stream:
            stream.write("\nCHANGED = 1\n")
    assert top_digest() == before


def test_an_edit_elsewhere_changes_nothing(package):
    before = top_digest()
    edit(package / "a/unused.py", "0", "1")
    (package / "b/new.py").write_text("NEW = 1\n")
    assert top_digest() == before


def test_a_changed_number_deep_down_changes_the_digest_and_back(package):
    before = top_digest()
    edit(package / "b/deep.py", "value = 1", "value = 2")
    assert top_digest() != before
    edit(package / "b/deep.py", "value = 2", "value  =  1")
    assert top_digest() == before


def test_no_module_is_imported(package):
    before = set(sys.modules)
    top_digest()
    assert not {name for name in set(sys.modules) - before if name.startswith("topograph")}


def test_the_order_of_modules_does_not_matter(package):
    names = ["topograph.a.top", "topograph.a.unused", "topograph.c.plain"]
    assert code_digest(*names) == code_digest(*reversed(names))
    assert code_digest(*names) != code_digest(names[0])


def test_a_script_counts_with_all_that_it_imports(package, tmp_path):
    script = tmp_path / "job.py"
    script.write_text("from topograph.a.top import double\n")
    before = code_digest(scripts=[script])
    script.write_text("# a comment\nfrom topograph.a.top import double\n")
    assert code_digest(scripts=[script]) == before
    script.write_text("from topograph.a.top import double\n\ndouble(1)\n")
    assert code_digest(scripts=[script]) != before
    script.write_text("from topograph.a.top import double\n")
    assert code_digest(scripts=[script]) == before
    edit(package / "b/deep.py", "value = 1", "value = 2")
    assert code_digest(scripts=[script]) != before


def test_a_module_of_the_user_counts_by_its_file(package, tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/nets.py").write_text("WIDTH = 8\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_digest("topograph.a.top", "own.nets")
    assert before != top_digest()
    (tmp_path / "own/nets.py").write_text("WIDTH = 8  # narrow\n")
    assert code_digest("topograph.a.top", "own.nets") == before
    (tmp_path / "own/nets.py").write_text("WIDTH = 16\n")
    assert code_digest("topograph.a.top", "own.nets") != before
    with pytest.raises(ModuleNotFoundError, match="no module 'own.none'"):
        code_digest("own.none")


def test_a_package_of_the_user_is_followed_through_its_own_imports(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/__init__.py").write_text("from mine.nets import Net\n")
    (tmp_path / "mine/nets.py").write_text("from .blocks import Block\nclass Net(Block): ...\n")
    (tmp_path / "mine/blocks.py").write_text("import torch\nclass Block: width = 8\n")
    (tmp_path / "mine/aside.py").write_text("WIDTH = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_digest("mine")
    edit(tmp_path / "mine/aside.py", "1", "2")
    assert code_digest("mine") == before
    edit(tmp_path / "mine/blocks.py", "8", "16")
    assert code_digest("mine") != before


def test_an_installed_package_that_the_lock_does_not_fix_is_followed(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "mine"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from mine.nets import Net\n")
    (package / "nets.py").write_text("WIDTH = 8\n")
    monkeypatch.syspath_prepend(package.parent)
    before = code_digest("mine")
    edit(package / "nets.py", "8", "16")
    assert code_digest("mine") != before


def test_of_an_installed_package_of_the_lock_one_file_is_read(read):
    code_digest("torch.nn")
    assert read == ["__init__.py"]


def test_a_module_that_is_no_python_is_named_with_the_line(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("WIDTH = 8\nclass Net(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TopographError, match=r"broken\.py, line 2: no valid Python"):
        code_digest("broken")


def test_an_edit_while_a_job_runs_is_not_what_made_its_output(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text("WIDTH = 8\n")
    monkeypatch.syspath_prepend(tmp_path)
    start = Start.now(Code(("own",)))
    (tmp_path / "own.py").write_text("WIDTH = 16\n")
    (tmp_path / "a.txt").write_text("a")
    told = json.loads(
        write_manifest(
            [tmp_path / "a.txt"],
            rule="train",
            inputs=[],
            parameters={},
            start=start,
            command="make a.txt",
            device="cpu",
        ).read_text()
    )
    assert told["code"]["digest"] == start.digest != Code(("own",)).digest()
    assert told["started"] == start.time <= told["ended"]


@pytest.fixture
def read(monkeypatch):
    """The names of the files that a digest parses, filled while the test runs."""
    provenance._parsed.cache_clear()
    names = []
    original = provenance._tree_without_docstrings
    monkeypatch.setattr(
        provenance, "_tree_without_docstrings", lambda p: names.append(p.name) or original(p)
    )
    return names


def test_the_digest_of_the_real_training_reaches_the_foundation(read):
    assert len(code_digest("topograph.families.training")) == 12
    assert {"training.py", "seeds.py", "storage.py"} <= set(read)


def test_the_digest_of_a_figure_reaches_what_its_notebook_draws_with(read):
    folder = provenance.PACKAGE_ROOT
    code_digest(scripts=[folder / "scripts/figure.py", folder / "notebooks/jr-fig3a.py"])
    assert {"trajectory.py", "persistence.py", "results.py", "paired.py", "page.py"} <= set(read)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=10,
)


def shuffled(content, draw: random.Random):
    if isinstance(content, dict):
        keys = list(content)
        draw.shuffle(keys)
        return {key: shuffled(content[key], draw) for key in keys}
    return [shuffled(item, draw) for item in content] if isinstance(content, list) else content


@given(content=plain, draw=st.randoms(use_true_random=False))
def test_a_digest_does_not_depend_on_the_order_of_keys(content, draw):
    assert digest(shuffled(content, draw)) == digest(content)


@given(first=plain, second=plain)
def test_equal_digests_mean_equal_content(first, second):
    if digest(first) == digest(second):
        assert first == second


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_a_digest_survives_the_way_through_json(value):
    content = {"learning_rate": value, "kwargs": [value, "text"]}
    assert digest(json.loads(json.dumps(content))) == digest(content)


def test_a_digest_refuses_what_json_cannot_hold():
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"a": float("nan")})


def test_a_files_digest_is_its_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    assert provenance.file_digest(tmp_path / "a") == hashlib.sha256(b"content").hexdigest()


def test_a_manifest_lies_beside_its_output():
    assert manifest_path("results/a/train/r/weights.safetensors") == Path(
        "results/a/train/r/weights.manifest.json"
    )
    assert manifest_path("hessian-3d.profile.parquet") == Path("hessian-3d.profile.manifest.json")


def test_a_manifest_lists_files_with_digests_that_hold(tmp_path):
    outputs = [tmp_path / "weights.safetensors", tmp_path / "history.parquet"]
    inputs = [tmp_path / "data.tar.gz"]
    for path in [*outputs, *inputs]:
        path.write_bytes(path.name.encode() * 100)
    written = write_manifest(
        outputs,
        rule="train",
        inputs=inputs,
        parameters={"seeds": [0, 1], "loss": float("nan")},
        start=Start.now(Code(("topograph.models.mlp",), ("workflow/scripts/train.py",))),
        data={"digits": "abc"},
        command="make x",
        device="cpu",
    )
    assert written == tmp_path / "weights.manifest.json"
    manifest = json.loads(written.read_text())
    for listed, paths in ((manifest["outputs"], outputs), (manifest["inputs"], inputs)):
        assert listed == {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}
    assert manifest["parameters"] == {"seeds": [0, 1], "loss": None}
    assert (manifest["command"], manifest["device"]) == ("make x", "cpu")
    assert (manifest["rule"], manifest["data"]) == ("train", {"digits": "abc"})
    assert manifest["code"] == {
        "digest": code_digest("topograph.models.mlp", scripts=[ROOT / "workflow/scripts/train.py"]),
        "modules": ["topograph.models.mlp"],
        "scripts": ["workflow/scripts/train.py"],
    }
    assert manifest["started"] <= manifest["ended"]
    assert manifest["versions"]["torch"].split(".")[0].isdigit()
    assert manifest["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert {"commit", "lock", "machine"} <= manifest.keys()


def test_a_folder_outside_git_has_an_unknown_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.git_commit(tmp_path) == "unknown"


def test_a_machine_without_git_has_an_unknown_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git_commit(tmp_path) == "unknown"
