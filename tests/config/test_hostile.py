"""A study file is data: nothing in it runs, and no name in it leads out of its folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from topograph.config.load import load_study
from topograph.config.runs import Cell, members, run_id
from topograph.config.targets import resolve
from topograph.foundation.errors import ConfigError

STUDY = {
    "study": "s",
    "experiments": {
        "e": {
            "family": "supervised",
            "data": {"target": "digits"},
            "model": {"target": "wide-resnet", "kwargs": {"depth": 10, "width": 1}},
            "optimiser": {"name": "sgd", "learning_rate": 0.1},
            "schedule": {"epochs": 1, "batch": 8},
            "seeds": [0],
        }
    },
}


def refused(tmp_path: Path, text: str) -> str:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        members(load_study(path), str(path))
    return str(raised.value)


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch {mark}']",
        "!!python/object/apply:subprocess.check_output [['touch', '{mark}']]",
        "!!python/object/new:os.system ['touch {mark}']",
        "!!python/name:os.system",
        "!!python/module:os",
    ],
)
def test_tags_that_would_make_objects_are_no_yaml(tmp_path, tag):
    mark = tmp_path / "mark"
    message = refused(tmp_path, f"study: s\nexperiments: {tag.format(mark=mark)}\n")
    assert "is not valid YAML" in message
    assert not mark.exists()


@pytest.mark.parametrize(
    "target",
    [
        "__import__('os').system('true'):x",
        "os:system('true')",
        "os.path:join;true",
        "../../etc/passwd",
        "/etc/passwd:x",
        "..:x",
        ".module:Name",
        "a/b:c",
        "a b:c",
        "a:b:c",
        "a.b:c d",
        "a:b\nc",
        "data:$(true)",
        "lambda: 0",
        "",
        ":",
    ],
)
@pytest.mark.parametrize("kind", ["data", "model", "loss", "problem"])
def test_a_target_is_dotted_identifiers_and_nothing_else(kind, target):
    with pytest.raises(ConfigError, match="or a dotted path like"):
        resolve(kind, target)


@pytest.mark.parametrize("name", ["../s", "a/b", "/tmp/x", "a\\b", "~", "a b", "a;b", "$(x)", "."])
@pytest.mark.parametrize("place", ["experiment", "analysis", "variant", "figure", "notebook"])
def test_a_name_is_letters_digits_and_hyphens(tmp_path, place, name):
    content = yaml.safe_load(yaml.safe_dump(STUDY))
    experiment = content["experiments"]["e"]
    jumps = {"kind": "jump-retrain", "seeds": [0], "steps": [1.0], "epochs": 1}
    figure = {"title": "T", "experiment": "e", "analysis": "jumps"}
    experiment["analyses"] = {"jumps": jumps}
    if place == "experiment":
        content["experiments"] = {name: experiment}
    elif place == "analysis":
        experiment["analyses"] = {name: jumps}
    elif place == "variant":
        experiment["variants"] = {name: {"schedule.batch": 4}}
    elif place == "figure":
        content["figures"] = {name: figure}
    else:
        content["figures"] = {"jr-fig3a": {**figure, "notebook": name}}
    assert "String should match pattern" in refused(tmp_path, yaml.safe_dump(content))


def test_a_run_id_is_one_name_whatever_the_targets_are():
    parts = {"data": {"target": "a.b:../../x"}, "model": {"target": "/etc/passwd:$(true)"}}
    assert re.fullmatch(r"[a-z][a-z0-9-]+", run_id(parts))


def test_no_module_of_a_target_is_imported_while_a_study_is_read(tmp_path, monkeypatch):
    (tmp_path / "boobytrap.py").write_text("raise SystemExit('imported')\nclass Net: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    content = yaml.safe_load(yaml.safe_dump(STUDY))
    content["experiments"]["e"]["model"] = {"target": "boobytrap:Net"}
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(content))
    (member,) = members(load_study(path), str(path))
    assert Cell.from_dict(member.cell.to_dict()) == member.cell


def test_an_entity_that_refers_to_itself_is_refused(tmp_path):
    message = refused(tmp_path, "study: s\nexperiments: &a {e: *a}\n")
    assert message.startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b"x = 1\nclass Net(\n", 2, "'(' was never closed"),
        (b"x = 1\n\ny = '\xff'\n", 3, "can't decode byte 0xff"),
        (b"def f(a):\n    global a\n", 2, "name 'a' is parameter and global"),
    ],
)
@pytest.mark.parametrize("imported", [False, True])
def test_a_module_that_is_no_python_is_named_with_its_line(
    tmp_path, monkeypatch, content, line, reason, imported
):
    # Python remembers what lies in a folder: each case has modules of its own.
    name = f"broken_{line}_{imported}_{len(content)}"
    broken = tmp_path / f"{name}.py"
    broken.write_bytes(content)
    (tmp_path / f"{name}_user.py").write_text(f"from {name} import Net\n")
    monkeypatch.syspath_prepend(tmp_path)
    study = yaml.safe_load(yaml.safe_dump(STUDY))
    target = f"{name}_user:Net" if imported else f"{name}:Net"
    study["experiments"]["e"]["model"] = {"target": target}
    message = refused(tmp_path, yaml.safe_dump(study))
    assert f"experiments.e.model.target: {broken}, line {line}: no valid Python: " in message
    assert reason in message
    assert message.count("\n") == 0


def test_a_module_in_another_encoding_is_read_as_python_reads_it(tmp_path, monkeypatch):
    text = "# -*- coding: latin-1 -*-\nNAME = 'é'\nclass Net: ...\n"
    (tmp_path / "latin_one.py").write_bytes(text.encode("latin-1"))
    monkeypatch.syspath_prepend(tmp_path)
    study = yaml.safe_load(yaml.safe_dump(STUDY))
    study["experiments"]["e"]["model"] = {"target": "latin_one:Nat"}
    message = refused(tmp_path, yaml.safe_dump(study))
    assert "latin_one defines no 'Nat' (did you mean 'Net'?)" in message
