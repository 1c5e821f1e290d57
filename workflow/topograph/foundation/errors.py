"""Errors that tell a person what was wrong, what was received, what is allowed and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TopographError(ValueError):
    """A mistake that the user can mend; its message is all that the terminal shows."""


class ConfigError(TopographError):
    """A study file that cannot be used."""


class DataError(TopographError):
    """Data or a results file that is missing, truncated or foreign."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the closest allowed name, or an empty string."""
    matches = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return f" (did you mean '{matches[0]}'?)" if matches else ""


def unknown_name(kind: str, received: object, allowed: Iterable[str]) -> TopographError:
    """Build the error for a name outside a fixed set: what it was, what is allowed, the nearest."""
    names = sorted(allowed)
    return TopographError(
        f"unknown {kind} {received!r}{nearest(str(received), names)}; allowed: {', '.join(names)}"
    )
