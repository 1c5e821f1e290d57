"""Progress: every item comes through; a log gets plain lines, a terminal a bar."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios

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


def lines_of(capsys, monkeypatch, *arguments, **options):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    list(progress.track(*arguments, **options))
    return capsys.readouterr().err.splitlines()


def test_items_that_hold_several_points_count_points_and_never_more_than_all(capsys, monkeypatch):
    lines = lines_of(capsys, monkeypatch, range(3), "sampling", 150, step=64, unit="points")
    assert [line.split(",")[0] for line in lines] == [
        f"sampling: {done}/150" for done in (64, 128, 150)
    ]
    assert all(re.search(r", \S+ points per second, \d+ s left$", line) for line in lines)


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_points_done_before_count_as_done_but_not_towards_the_speed(capsys, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)

    def work():
        for item in range(4):
            clock.now += 0.5
            yield item

    lines = lines_of(capsys, monkeypatch, work(), "sampling", 1000, step=50, start=800)
    assert lines[0] == "sampling: 850/1000, 100 per second, 2 s left"
    assert lines[-1] == "sampling: 1000/1000, 100 per second, 0 s left"


def test_nothing_left_of_a_finished_run_prints_nothing(capsys):
    assert list(progress.track([], "sampling", 100, step=64, start=100)) == []
    assert capsys.readouterr().err == ""


LOOP = """
import time
from topograph.foundation.progress import track
for _ in track(range(8), "sampling", 1000, step=64, start=500, unit="points"):
    time.sleep(0.15)
print("after")
"""


def shown_at_a_terminal(code: str) -> str:
    """What a program writes to standard error where that is a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    environment = {**os.environ, "TERM": "xterm"}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.PIPE, env=environment) as run:
        os.close(theirs)
        content = b""
        # Linux ends a terminal whose other side has closed by an error.
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:
                break
            if not piece:
                break
            content += piece
        assert run.stdout is not None
        assert run.stdout.read() == b"after\n"
    os.close(ours)
    assert run.returncode == 0
    return content.decode()


def test_a_terminal_shows_a_bar_with_the_speed_and_the_time_left():
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown_at_a_terminal(LOOP))
    assert "sampling" in shown and "━" in shown
    done = [int(number) for number in re.findall(r"(\d+)/1000", shown)]
    assert done[0] == 500
    assert done == sorted(done)
    assert max(done) == 1000
    # 64 points in 0.15 s, of which the 500 at the start are none.
    speeds = [float(number) for number in re.findall(r"(\S+) points per second", shown)]
    assert speeds and all(150 < speed < 500 for speed in speeds)
    assert re.search(r"0:00:0[0-9]", shown)
