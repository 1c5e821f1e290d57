"""Digests that are kept are those that would be computed, and never outlive their sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from topograph.archive import digests
from topograph.archive.digests import STATES_KEPT, KnownDigests
from topograph.foundation import provenance
from topograph.foundation.provenance import PACKAGE_ROOT

SCRIPT = PACKAGE_ROOT / "scripts" / "train.py"
MODULE = "topograph.models.mlp"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    calls: list[tuple[str, ...]] = []

    def code_digest(*modules: str, scripts: list[str]) -> str:
        calls.append(modules)
        return provenance.code_digest(*modules, scripts=scripts)

    monkeypatch.setattr(digests, "code_digest", code_digest)
    return calls


def test_a_digest_is_computed_once_for_all_starts(
    tmp_path: Path, counted: list[tuple[str, ...]]
) -> None:
    expected = provenance.code_digest(MODULE, scripts=[SCRIPT])
    for _ in range(3):
        assert KnownDigests(tmp_path).code_digest(MODULE, scripts=[SCRIPT]) == expected
    assert counted == [(MODULE,)]
    other = SCRIPT.with_name("spectrum.py")
    assert KnownDigests(tmp_path).code_digest(scripts=[other]) != expected
    assert counted == [(MODULE,), ()]


def test_the_code_of_a_job_has_the_digest_of_its_manifest_from_any_folder(
    tmp_path: Path, counted: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = provenance.Code((MODULE,), ("workflow/scripts/train.py",))
    assert KnownDigests(tmp_path).of(code) == code.digest()
    monkeypatch.chdir(tmp_path)
    assert KnownDigests(tmp_path).of(code) == code.digest()
    assert counted == [(MODULE,)]


def test_an_edit_of_any_source_is_seen(
    tmp_path: Path, counted: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "workflow"
    (root / "scripts").mkdir(parents=True)
    script = root / "scripts" / "own.py"
    script.write_text("x = 1\n")
    monkeypatch.setattr(digests, "PACKAGE_ROOT", root)
    found = []
    for text in ("x = 1\n", "x = 2\n", "x = 1\n"):
        script.write_text(text)
        found.append(KnownDigests(tmp_path / "kept").code_digest(scripts=[script]))
    assert found[0] == found[2] != found[1]
    assert len(counted) == 2


def test_what_lies_outside_is_digested_once_at_each_start(
    tmp_path: Path, counted: list[tuple[str, ...]]
) -> None:
    for _ in range(2):
        start = KnownDigests(tmp_path)
        for _ in range(3):
            start.code_digest("yaml", scripts=[SCRIPT])
    assert counted == [("yaml",)] * 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "\0"])
def test_a_broken_file_is_made_again(
    tmp_path: Path, counted: list[tuple[str, ...]], content: str
) -> None:
    expected = KnownDigests(tmp_path).code_digest(scripts=[SCRIPT])
    (file,) = tmp_path.iterdir()
    file.write_text(content)
    for _ in range(2):
        assert KnownDigests(tmp_path).code_digest(scripts=[SCRIPT]) == expected
    assert len(counted) == 2


def test_a_folder_that_cannot_be_written_costs_only_time(
    tmp_path: Path, counted: list[tuple[str, ...]]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    for _ in range(2):
        KnownDigests(blocked).code_digest(scripts=[SCRIPT])
    assert len(counted) == 2


def test_few_states_are_kept(tmp_path: Path) -> None:
    for index in range(STATES_KEPT + 3):
        (tmp_path / f"{index}.json").write_text("{}")
    KnownDigests(tmp_path).code_digest(scripts=[SCRIPT])
    assert len(list(tmp_path.iterdir())) == STATES_KEPT
