"""Progress of a long loop: a bar at a terminal, a plain line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 10.0


def track(
    items: Iterable[Item],
    description: str,
    total: int,
    *,
    step: int = 1,
    start: int = 0,
    unit: str = "",
) -> Iterator[Item]:
    """Yield the items, showing how many are done, how fast, and how long the rest will take.

    ``total`` counts what each item holds ``step`` of, the last one perhaps fewer: points, where the
    items are tiles of points; ``unit`` is their name. ``start`` of them were done before, by a run
    that this one goes on from: they count as done, not towards the speed.
    """
    show = _bar if sys.stderr.isatty() else _lines
    yield from show(items, description, total, step, start, unit)


def _bar(
    items: Iterable[Item], description: str, total: int, step: int, start: int, unit: str
) -> Iterator[Item]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(_speed(task.speed, unit) if task.speed else "")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Speed(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=total, completed=start)
        for done, item in _counted(items, total, step, start):
            yield item
            progress.update(task, completed=done)


def _lines(
    items: Iterable[Item], description: str, total: int, step: int, start: int, unit: str
) -> Iterator[Item]:
    began = shown = time.monotonic()
    for done, item in _counted(items, total, step, start):
        yield item
        now = time.monotonic()
        if now - shown >= SECONDS_BETWEEN_LINES or done == total:
            rate = (done - start) / max(now - began, 1e-9)
            left = (total - done) / rate if done < total else 0.0
            print(
                f"{description}: {done}/{total}, {_speed(rate, unit)}, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )
            shown = now


def _counted(
    items: Iterable[Item], total: int, step: int, start: int
) -> Iterator[tuple[int, Item]]:
    """Yield each item after the number that will be done with it."""
    for count, item in enumerate(items, start=1):
        yield min(start + count * step, total), item


def _speed(rate: float, unit: str) -> str:
    return f"{rate:.3g} {unit}".rstrip() + " per second"
