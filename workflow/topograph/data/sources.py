"""Data files that must be downloaded: where they come from, where they lie, what their sum is."""

from __future__ import annotations

import csv
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from topograph.foundation.errors import DataError, unknown_name
from topograph.foundation.provenance import PACKAGE_ROOT

TABLE = PACKAGE_ROOT.parent / "data" / "datasets.csv"


class Source(NamedTuple):
    """One row of ``data/datasets.csv``."""

    dataset: str
    file: str
    version: str
    url: str
    md5: str
    licence: str

    @property
    def path(self) -> str:
        """Where the file lies, relative to the repository."""
        return f"data/{self.dataset}/{self.file}"


def sources() -> list[Source]:
    """Return every file of ``data/datasets.csv``."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [Source(**row) for row in csv.DictReader(file)]


def files_of(dataset: str) -> list[str]:
    """Return the files that a data set needs; none for one that ships with a package."""
    return [source.path for source in sources() if source.dataset == dataset]


def fetch(path: str | Path) -> None:
    """Download one file of the table to ``path`` and check its sum.

    Raises DataError, saying where to put the file by hand, when it cannot be had.
    """
    from torchvision.datasets.utils import download_url

    target = Path(path)
    known = {source.path: source for source in sources()}
    if target.as_posix() not in known:
        raise unknown_name("data file", target.as_posix(), known)
    source = known[target.as_posix()]
    try:
        download_url(source.url, str(target.parent), target.name, source.md5)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{source.path} cannot be downloaded from {source.url} ({error}); put the file there "
            f"yourself (md5 {source.md5}), or run `make study`, which needs no download"
        ) from error


def located(dataset: str) -> list[Path]:
    """Return the files of a data set, in the order of the table.

    Raises DataError when one is missing.
    """
    paths = [Path(path) for path in files_of(dataset)]
    for path in paths:
        if not path.is_file():
            raise DataError(f"{path} is missing; fetch it: make {path}")
    return paths


@contextmanager
def opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """Open an archive of ``located``; raise DataError when it turns out truncated or foreign."""
    try:
        with tarfile.open(archive) as tar:
            yield tar
    except (tarfile.TarError, zlib.error, EOFError, OSError, KeyError) as error:
        raise DataError(
            f"{archive} is truncated or not the archive expected ({error}); fetch it again: "
            f"rm {archive} && make {archive}"
        ) from error
