"""Keeps what jobs write to the terminal themselves apart from a display that redraws itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Thread

from rich.console import Console


class LinesAbove:
    """Takes the place of standard error: the display keeps the terminal, other lines go above it.

    A job inherits standard error. A traceback of an import that fails before the job has opened its
    log would otherwise be written into the display, and be lost when that is drawn again.
    """

    def __init__(self, console: Console, say: Callable[[str], None]) -> None:
        self._console, self._say = console, say
        self._terminal = os.dup(2)
        console.file = os.fdopen(os.dup(console.file.fileno()), "w")
        source, target = os.pipe()
        os.dup2(target, 2)
        os.close(target)
        self._reader = Thread(target=self._pass_on, args=(source,), daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Give standard error back when all that was written has been passed on."""
        os.dup2(self._terminal, 2)
        os.close(self._terminal)
        # A process that outlives its job may still hold the pipe.
        self._reader.join(timeout=1)

    def _pass_on(self, source: int) -> None:
        with os.fdopen(source, errors="replace") as lines:
            for line in lines:
                self._say(line.rstrip("\n"))
