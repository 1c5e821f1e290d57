"""Progress of a long loop: a bar at a terminal, a plain line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 10.0


def track(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Yield the items, showing how many are done, how fast, and how long the rest will take."""
    if sys.stderr.isatty():
        yield from _bar(items, description, total)
    else:
        yield from _lines(items, description, total)


def _bar(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    from rich.console import Console
    from rich.progress import track as rich_track

    yield from rich_track(items, description, total, console=Console(stderr=True), transient=True)


def _lines(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    start = shown = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - shown >= SECONDS_BETWEEN_LINES or done == total:
            rate = done / max(now - start, 1e-9)
            left = (total - done) / rate
            print(
                f"{description}: {done}/{total}, {rate:.3g} per second, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )
            shown = now
