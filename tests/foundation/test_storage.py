"""Files are written whole or not at all, read back exactly, and named when they are broken."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from topograph.foundation import storage
from topograph.foundation.errors import DataError, TopographError

DATASET = xr.Dataset({"loss": (("seed", "alpha_1"), np.arange(200.0).reshape(2, 100))})
TABLE = pd.DataFrame({"run": ["a", "b"], "seed": [0, 1], "birth": [0.1, np.inf]})
WEIGHTS = {"0/2/layer": np.arange(200, dtype=np.float32).reshape(20, 10)}
# Name, what writes one, what reads it, and what its errors call the format.
FORMATS = [
    ("a.json", lambda p: storage.write_json(p, {"loss": [1.0] * 50}), storage.read_json, "JSON"),
    ("a.parquet", lambda p: storage.write_table(p, TABLE), storage.read_table, "Parquet"),
    ("a.nc", lambda p: storage.write_dataset(p, DATASET), storage.read_dataset, "NetCDF"),
    (
        "a.safetensors",
        lambda p: storage.write_weights(p, WEIGHTS, {"run": "a"}),
        storage.read_weights,
        "safetensors",
    ),
]
EACH_FORMAT = pytest.mark.parametrize(
    ("name", "write", "read", "kind"), FORMATS, ids=[name for name, *_ in FORMATS]
)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_with(number: int):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_write_makes_its_folders_and_an_ordinary_readable_file(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    with storage.atomic(path) as temporary:
        temporary.write_text("content")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "content"
    assert path.stat().st_mode & 0o777 == 0o644
    assert listing(path.parent) == ["a.txt"]


@pytest.mark.parametrize("mistake", [RuntimeError("a bug"), KeyboardInterrupt(), OSError("other")])
def test_an_exception_in_the_block_leaves_the_old_file_alone(tmp_path, mistake):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with storage.atomic(path) as temporary:
            temporary.write_text("half of the new")
            raise mistake

    with pytest.raises(type(mistake)) as raised:
        write()
    assert raised.value is mistake
    assert path.read_text() == "old"
    assert listing(tmp_path) == ["a.txt"]


def test_a_first_write_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        storage.write_json(tmp_path / "a.json", {"a": object()})
    assert listing(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_message_and_the_old_file_stays(tmp_path, monkeypatch, number):
    path = tmp_path / "a.json"
    storage.write_json(path, {"a": 1})
    monkeypatch.setattr(os, "replace", fail_with(number))
    with pytest.raises(TopographError, match="the disk is full") as raised:
        storage.write_json(path, {"a": 2})
    assert str(path) in str(raised.value)
    assert "free some space and run the same command again" in str(raised.value)
    assert storage.read_json(path) == {"a": 1}
    assert listing(tmp_path) == ["a.json"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch, number):
    path = tmp_path / "a.json"
    monkeypatch.setattr(tempfile, "mkstemp", fail_with(number))
    with pytest.raises(TopographError, match="make its folder writable") as raised:
        storage.write_json(path, {})
    assert str(path) in str(raised.value)
    assert os.strerror(number) in str(raised.value)


def test_other_failures_of_the_system_keep_their_own_error(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", fail_with(errno.EIO))
    with pytest.raises(OSError, match=r"\[Errno 5\]") as raised:
        storage.write_json(tmp_path / "a.json", {})
    assert not isinstance(raised.value, TopographError)
    assert listing(tmp_path) == []


# Run in a mount namespace of its own, with a file system of 64 kB and then a read-only one.
ON_A_SMALL_DISK = """
import json, subprocess, sys
from pathlib import Path
import numpy as np, pandas as pd, xarray as xr
from topograph.foundation import storage

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
big = np.random.default_rng(0).standard_normal(50_000)
cases = {
    "a.json": lambda p, v: storage.write_json(p, {"a": v}),
    "a.parquet": lambda p, v: storage.write_table(p, pd.DataFrame({"a": v})),
    "a.nc": lambda p, v: storage.write_dataset(p, xr.Dataset({"a": ("x", v)})),
    "a.safetensors": lambda p, v: storage.write_weights(p, {"a": v}, {}),
}
found = {}
for name, write in cases.items():
    path = folder / name
    write(path, big[:3])
    old = path.read_bytes()
    try:
        write(path, big)
    except Exception as error:
        found[name] = [type(error).__name__, str(error), path.read_bytes() == old]
    found[name].append([item.name for item in folder.iterdir()])
    path.unlink()
subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
try:
    storage.write_json(folder / "b.json", {})
except Exception as error:
    found["read-only"] = [type(error).__name__, str(error)]
print(json.dumps(found))
"""


def can_mount() -> bool:
    command = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


@pytest.mark.skipif(shutil.which("unshare") is None or not can_mount(), reason="cannot mount")
def test_a_truly_full_disk_and_a_read_only_one(tmp_path):
    command = ["unshare", "--map-root-user", "--mount", sys.executable, "-c", ON_A_SMALL_DISK]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    kind, message = found.pop("read-only")
    assert kind == "TopographError"
    assert f"cannot write {tmp_path / 'b.json'}: Read-only file system" in message
    assert set(found) == {name for name, *_ in FORMATS}
    for name, (kind, message, unchanged, names) in found.items():
        assert kind == "TopographError"
        assert f"the disk is full: {tmp_path / name} was not written" in message
        assert unchanged
        assert names == [name]


@EACH_FORMAT
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_a_truncated_file_is_named_with_its_remedy(tmp_path, name, write, read, kind, share):
    path = tmp_path / name
    write(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError) as raised:
        read(path)
    assert f"{path} is truncated or not a {kind} file" in str(raised.value)
    assert f"rm {path} && make {path}" in str(raised.value)


@EACH_FORMAT
@pytest.mark.parametrize("content", [b"<html>not found</html>", b"\xff\xfe\x00\x01" * 100])
def test_a_foreign_file_is_named(tmp_path, name, write, read, kind, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"not a {kind} file"):
        read(path)


@EACH_FORMAT
def test_a_missing_file_is_named_with_the_command_that_makes_it(tmp_path, name, write, read, kind):
    path = tmp_path / name
    with pytest.raises(DataError) as raised:
        read(path)
    assert str(raised.value) == f"{path} does not exist; make it: make {path}"


def test_require_refuses_a_folder(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        storage.require(tmp_path)


def test_weights_return_by_prefix_with_their_header(tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = {
        "0/2/layer": np.arange(6, dtype=np.float32).reshape(2, 3),
        "0/10/layer": np.ones(3, dtype=np.float64),
        "1/2/layer": np.arange(6).reshape(2, 3).T,
        "1/2/count": np.array(7),
    }
    storage.write_weights(path, tensors, {"run": "a-1", "digest": "abc"})
    everything, header = storage.read_weights(path)
    assert header == {"run": "a-1", "digest": "abc"}
    assert everything.keys() == tensors.keys()
    for name, value in tensors.items():
        assert everything[name].dtype == value.dtype
        assert np.array_equal(everything[name], value)
    chosen, _ = storage.read_weights(path, "1/2/")
    assert set(chosen) == {"layer", "count"}
    assert np.array_equal(chosen["layer"], tensors["1/2/layer"])


def test_a_prefix_without_weights_is_an_error(tmp_path):
    path = tmp_path / "a.safetensors"
    storage.write_weights(path, WEIGHTS, {})
    with pytest.raises(DataError, match=r"holds no weights under '7/'; remake it: make "):
        storage.read_weights(path, "7/")


def test_a_dataset_returns_with_coordinates_attributes_and_infinities(tmp_path):
    dataset = xr.Dataset(
        {
            "loss": (("seed", "alpha_1"), [[1.0, np.nan], [np.inf, -np.inf]]),
            "center": ((), 0.5),
            "epoch": ("seed", [3, 4]),
        },
        coords={"seed": [0, 5], "alpha_1": [-1.0, 1.0]},
        attrs={"run": "a-1", "products": 12},
    )
    storage.write_dataset(tmp_path / "a.nc", dataset)
    found = storage.read_dataset(tmp_path / "a.nc")
    xr.testing.assert_identical(found, dataset)
    assert found["loss"].dtype == np.float64
    assert listing(tmp_path) == ["a.nc"]


def test_a_dataset_is_in_memory_after_reading(tmp_path):
    storage.write_dataset(tmp_path / "a.nc", DATASET)
    found = storage.read_dataset(tmp_path / "a.nc")
    (tmp_path / "a.nc").unlink()
    xr.testing.assert_equal(found, DATASET)


def test_floats_are_compressed(tmp_path):
    storage.write_dataset(tmp_path / "a.nc", xr.Dataset({"a": ("x", np.zeros(100_000))}))
    assert (tmp_path / "a.nc").stat().st_size < 100_000


def test_a_table_returns_with_its_types_and_without_an_index(tmp_path):
    storage.write_table(tmp_path / "a.parquet", TABLE.set_axis([7, 9]))
    pd.testing.assert_frame_equal(storage.read_table(tmp_path / "a.parquet"), TABLE)


def test_nan_and_infinity_become_null_in_json(tmp_path):
    content = {"a": np.array([1.0, np.nan]), "b": (np.float32("inf"), np.int64(3)), 4: float("nan")}
    storage.write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {
        "a": [1.0, None],
        "b": [None, 3],
        "4": None,
    }


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def without_infinities(value):
    if isinstance(value, list):
        return [without_infinities(item) for item in value]
    if isinstance(value, dict):
        return {key: without_infinities(item) for key, item in value.items()}
    return None if isinstance(value, float) and np.isinf(value) else value


@given(content=plain)
def test_json_returns_as_it_was_but_for_infinities(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.json"
    storage.write_json(path, content)
    assert storage.read_json(path) == without_infinities(content)


def test_the_first_of_several_writers_counts_where_none_may_replace(tmp_path):
    path = tmp_path / "a.txt"
    with storage.atomic(path, replace=False) as second:
        second.write_text("second")
        with storage.atomic(path, replace=False) as first:
            first.write_text("first")
    assert path.read_text() == "first"
    assert listing(tmp_path) == ["a.txt"]
    storage.write_weights(tmp_path / "w", {"x": np.zeros(1)}, {}, replace=False)
    storage.write_weights(tmp_path / "w", {"x": np.ones(1)}, {}, replace=False)
    assert storage.read_weights(tmp_path / "w")[0]["x"].tolist() == [0.0]


WRITE_FOR_EVER = """
import sys, time
from topograph.foundation.storage import atomic
with atomic(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print("begun", flush=True)
    time.sleep(600)
"""


def writer(path):
    command = [sys.executable, "-c", WRITE_FOR_EVER, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    return process


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path):
    path = tmp_path / "a.txt"
    killed, alive = writer(path), writer(path)
    killed.kill()
    killed.wait()
    assert len(listing(tmp_path)) == 2
    storage.write_json(path, [1])
    try:
        (kept,) = (name for name in listing(tmp_path) if name != "a.txt")
        assert f"-{alive.pid}-" in kept
    finally:
        alive.kill()
        alive.wait()
    storage.write_json(path, [2])
    assert listing(tmp_path) == ["a.txt"]
