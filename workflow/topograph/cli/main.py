"""The command `topograph`: its groups of commands, and one message for a mistake."""

from __future__ import annotations

import argparse
import os
import sys

from topograph.cli import results, stages, studies
from topograph.foundation.errors import TopographError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a mistake is one message on standard error and exit 1."""
    parser = argparse.ArgumentParser(prog="topograph", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for group in (studies, stages, results):
        group.add_commands(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except TopographError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader, such as head, has seen enough; Python would complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
