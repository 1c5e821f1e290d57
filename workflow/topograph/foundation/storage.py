"""Files: every write is atomic, every read says which file is broken and how to remake it."""

from __future__ import annotations

import errno
import glob
import io
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from topograph.foundation.errors import DataError, TopographError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
HEADER = "topograph"
NOT_WRITABLE = {errno.EACCES, errno.EROFS, errno.EPERM}


@contextmanager
def atomic(path: str | Path, *, replace: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and rename it into place when the block succeeds.

    Without ``replace`` a file that is there by then stays: several processes agree on the first.
    Raises TopographError when the disk is full or the folder cannot be written; whatever stood at
    ``path`` before is then still there. What a process that was killed on this machine left of the
    same file is removed.
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        mine = f"{_prefix(target)}{os.getpid()}-"
        handle, name = tempfile.mkstemp(prefix=mine, dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        # mkstemp makes private files; results are meant to be read like any other file.
        temporary.chmod(0o644)
        if replace:
            os.replace(temporary, target)
        else:
            with suppress(FileExistsError):
                os.link(temporary, target)
    except OSError as error:
        raise _write_error(target, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _prefix(target: Path) -> str:
    return f".{target.name}.{platform.node()}-"


def _remove_leftovers(target: Path) -> None:
    prefix = _prefix(target)
    for path in target.parent.glob(f"{glob.escape(prefix)}*"):
        process = path.name.removeprefix(prefix).partition("-")[0]
        if process.isdigit() and not _is_alive(int(process)):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def remove_others(folder: Path) -> None:
    """Remove what stands beside a folder of work: it was left under another digest."""
    for other in folder.parent.glob("*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def _write_error(target: Path, error: OSError) -> Exception:
    if error.errno in NO_SPACE:
        return TopographError(
            f"the disk is full: {target} was not written and nothing else was lost; "
            "free some space and run the same command again"
        )
    if error.errno in NOT_WRITABLE:
        return TopographError(
            f"cannot write {target}: {error.strerror}; make its folder writable and run again"
        )
    return error


def _broken(path: str | Path, kind: str, error: Exception) -> DataError:
    # No rule makes a checkpoint: the job that left it there goes on without it.
    advice = f"rm {path}" if "scratch" in Path(path).parts else f"rm {path} && make {path}"
    return DataError(f"{path} is truncated or not a {kind} file ({error}); remake it: {advice}")


def require(path: str | Path) -> Path:
    """Return ``path`` if the file is there; raise DataError naming the command that makes it."""
    if not Path(path).is_file():
        raise DataError(f"{path} does not exist; make it: {_remedy(str(path))}")
    return Path(path)


def _remedy(path: str) -> str:
    stem = path.removesuffix(".manifest.json")
    # A manifest comes with the outputs of its job.
    return f"remove {stem}.* and make that again" if stem != path else f"make {path}"


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON with sorted keys; NaN becomes null, so that every reader accepts the file."""
    with atomic(path) as temporary:
        text = json.dumps(_without_nan(content), indent=1, sort_keys=True, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def _without_nan(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {str(key): _without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple | np.ndarray):
        return [_without_nan(value) for value in content]
    if isinstance(content, np.generic):
        content = content.item()
    if isinstance(content, float) and not np.isfinite(content):
        return None
    return content


def read_json(path: str | Path) -> Any:
    """Read JSON; raise DataError when the file is missing or broken."""
    try:
        return json.loads(require(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _broken(path, "JSON", error) from error


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a long-form table as Parquet."""
    with atomic(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a Parquet table; raise DataError when the file is missing or broken."""
    import pandas as pd

    try:
        return pd.read_parquet(require(path))
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise _broken(path, "Parquet", error) from error


def write_dataset(path: str | Path, dataset: xr.Dataset) -> None:
    """Write an xarray dataset as NetCDF4, floats compressed.

    The file is built in memory, because HDF5 ends the process when the disk fills under it.
    """
    encoding = {
        name: {"zlib": True, "complevel": 4}
        for name, variable in dataset.data_vars.items()
        if variable.dtype.kind == "f" and variable.ndim
    }
    content = io.BytesIO()
    dataset.to_netcdf(content, engine="h5netcdf", encoding=encoding)
    with atomic(path) as temporary:
        temporary.write_bytes(content.getvalue())


def read_dataset(path: str | Path) -> xr.Dataset:
    """Load a NetCDF4 file into memory; raise DataError when it is missing or broken."""
    import xarray as xr

    try:
        with xr.open_dataset(require(path), engine="h5netcdf") as dataset:
            return dataset.load()
    except (OSError, KeyError) as error:
        raise _broken(path, "NetCDF", error) from error


def write_weights(
    path: str | Path,
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, str],
    *,
    replace: bool = True,
) -> None:
    """Write arrays named ``seed/epoch/parameter`` as safetensors with a header of strings.

    Without ``replace`` a file that is there already stays.
    """
    from safetensors.numpy import save_file

    contiguous = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    with atomic(path, replace=replace) as temporary:
        try:
            # Several keys would be shuffled from run to run, and with them the file's digest.
            header = json.dumps(dict(metadata), sort_keys=True)
            save_file(contiguous, temporary, metadata={HEADER: header})
        except Exception as error:
            # safetensors reports the operating system's error as text of its own exception.
            if "No space left" in str(error):
                raise OSError(errno.ENOSPC, "no space left on device") from error
            raise


def read_weights(
    path: str | Path, prefix: str = ""
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read the arrays whose names start with ``prefix`` (taken off) and the header.

    Raises DataError when the file is missing, truncated, or holds no such name.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(require(path), framework="np") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]
            tensors = {name[len(prefix) :]: file.get_tensor(name) for name in names}
            metadata = json.loads((file.metadata() or {}).get(HEADER, "{}"))
    except SafetensorError as error:
        raise _broken(path, "safetensors", error) from error
    if not tensors:
        raise DataError(f"{path} holds no weights under {prefix!r}; remake it: make {path}")
    return tensors, metadata
