"""The command `topograph`: its groups of commands, and one message for a mistake."""

from __future__ import annotations

import argparse
import os
import sys

from topograph.cli import results, stages, studies
from topograph.foundation.errors import TopographError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a mistake is one message on standard error and exit 1, Ctrl-C exit 130."""
    about = "Train networks, sample their loss landscapes, analyse and publish them."
    parser = argparse.ArgumentParser(prog="topograph", description=about)
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
    except OSError as error:
        print(_reason(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _reason(error: OSError) -> str:
    """Say which file could not be read or written and why; the second of two is the one meant."""
    path = error.filename2 or error.filename
    if path is None:
        return str(error)
    return f"{path} cannot be read or written: {error.strerror}; correct the path, or what is there"
