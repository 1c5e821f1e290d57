"""The log of a job: its latest progress and its last words."""

from __future__ import annotations

import sys

from topograph.foundation.logs import BYTES_AT_THE_END, read_cause, read_progress, write_cause
from topograph.foundation.progress import track


def test_progress_that_a_loop_writes_is_read_back(tmp_path, monkeypatch):
    log = tmp_path / "log"
    with log.open("w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        list(track(range(3), "training brain: seed 1", 3, unit="epochs"))
        file.write("a warning of a library\n")
    numbers = read_progress(log)
    assert numbers is not None
    assert numbers.startswith("3/3, ") and numbers.endswith(" epochs per second, 0 s left")


def test_only_the_latest_progress_counts_and_only_the_end_is_read(tmp_path):
    log = tmp_path / "log"
    log.write_text("a: 1/3, 1 per second, 2 s left\n" + "a: 2/3, 1 per second, 1 s left\n")
    assert read_progress(log) == "2/3, 1 per second, 1 s left"
    log.write_text(log.read_text() + "x" * BYTES_AT_THE_END + "\n")
    assert read_progress(log) is None


def test_a_cause_of_many_lines_is_read_back(tmp_path):
    log = tmp_path / "log"
    with log.open("w") as file:
        file.write("Traceback (most recent call last):\nKeyError: 'x'\n")
        write_cause(file, "no x in the table\nmake it again with make table")
    assert read_cause(log) == "no x in the table\nmake it again with make table"
    assert log.read_text().startswith("Traceback")


def test_a_log_that_says_nothing_or_is_not_there_has_no_cause(tmp_path):
    log = tmp_path / "log"
    assert read_cause(log) is None
    assert read_progress(log) is None
    log.write_bytes(b"\xff\xfe no text at all")
    assert read_cause(log) is None
