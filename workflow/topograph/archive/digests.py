"""Digests of code kept between starts of the workflow: to parse every module takes seconds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from topograph.foundation.errors import DataError
from topograph.foundation.provenance import (
    PACKAGE_ROOT,
    Code,
    canonical_json,
    code_digest,
    digest,
)
from topograph.foundation.storage import read_json, write_json

SOURCES = ("topograph/**/*.py", "scripts/*.py", "notebooks/*.py")
# Checkouts that one user works in at a time, and states of them between which they go.
STATES_KEPT = 16


class KnownDigests:
    """What ``code_digest`` returns, from a file where the same sources were digested before.

    The file is told by the content of all sources, so it can only ever be missing; a broken one, or
    a folder that cannot be written, costs time alone. By default it lies in the user's cache.
    """

    def __init__(self, folder: Path | None = None) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._folder = folder or cache / "topograph" / "digests"
        self._outside: dict[str, str] = {}

    def of(self, code: Code) -> str:
        """Return the digest of a job's code as it is today; raises as ``code_digest`` does."""
        return self.code_digest(*code.modules, scripts=code.scripts)

    def code_digest(self, *modules: str, scripts: Iterable[str | Path] = ()) -> str:
        """Return the digest, scripts relative to the repository; raises as the function does."""
        root = PACKAGE_ROOT.parent
        scripts = [root / script for script in scripts]
        asked = canonical_json([modules, [os.path.relpath(script, root) for script in scripts]])
        # Modules of the user's own lie elsewhere: the file would not see an edit of them.
        own = any(name.split(".")[0] != "topograph" for name in modules)
        known = self._outside if own else self._known
        if asked not in known:
            known[asked] = code_digest(*modules, scripts=scripts)
            if not own:
                self._keep()
        return known[asked]

    @cached_property
    def _file(self) -> Path:
        files = sorted(path for pattern in SOURCES for path in PACKAGE_ROOT.glob(pattern))
        state = [
            (str(path.relative_to(PACKAGE_ROOT)), hashlib.sha256(path.read_bytes()).hexdigest())
            for path in files
        ]
        return self._folder / f"{digest(state, 16)}.json"

    @cached_property
    def _known(self) -> dict[str, str]:
        try:
            found = read_json(self._file)
        except (DataError, OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _keep(self) -> None:
        with suppress(OSError):
            write_json(self._file, self._known)
            by_age = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
            for old in by_age[:-STATES_KEPT]:
                old.unlink(missing_ok=True)
