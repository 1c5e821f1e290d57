"""A published figure is three files, the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib import pyplot as plt

from topograph.foundation.errors import DataError
from topograph.foundation.storage import read_json, write_json
from topograph.report.figure import publish, read_published


def draw(output: Path) -> None:
    figure, axes = plt.subplots(figsize=(2, 2))
    axes.scatter([1, 2], [3, 4], label="loss", clip_on=True)
    axes.fill_between([1, 2], [3, 4], hatch="/")
    publish(figure, output, title="T", caption="C", values={"a": float("nan"), "b": [1, 2]})


def test_two_publishes_give_identical_bytes_and_close_the_figure(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        draw(tmp_path / folder / "jr-fig1.a")
    assert plt.get_fignums() == []
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["jr-fig1.a.pdf", "jr-fig1.a.svg", "jr-fig1.a.values.json"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_values_are_kept_with_title_and_caption(tmp_path: Path) -> None:
    draw(tmp_path / "tlp-fig3")
    content = {"title": "T", "caption": "C", "values": {"a": None, "b": [1, 2]}}
    assert read_json(tmp_path / "tlp-fig3.values.json") == content
    assert read_published(tmp_path / "tlp-fig3") == content


def test_values_without_a_caption_are_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "a.values.json", {"title": "T"})
    with pytest.raises(DataError, match="does not hold title, caption and values; remake it"):
        read_published(tmp_path / "a")
