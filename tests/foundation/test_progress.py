"""Progress: every item comes through; a log gets plain lines, a terminal a bar."""

from __future__ import annotations

import io
import re
import sys

import pytest

from topograph.foundation import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_every_item_is_yielded_in_order_and_the_last_line_is_complete(capsys):
    assert list(progress.track(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.fullmatch(r"letters: 3/3, \S+ per second, 0 s left\n", shown.err)


def test_a_log_has_no_control_characters_and_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    list(progress.track(range(4), "steps", 4))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"steps: {n}/4" for n in (1, 2, 3, 4)]
    assert all(character.isprintable() for line in lines for character in line)


def test_items_are_drawn_only_when_asked_for():
    drawn = []
    source = (drawn.append(item) or item for item in range(5))
    tracked = progress.track(source, "steps", 5)
    assert next(tracked) == 0
    assert drawn == [0]


def test_nothing_to_do_prints_nothing(capsys):
    assert list(progress.track([], "steps", 0)) == []
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("total", [3, 5])
def test_a_terminal_yields_the_same_items(monkeypatch, total):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(progress.track(range(total), "steps", total)) == list(range(total))
