"""Downloads: listed with their sums, refused in one message without network, named when missing."""

from __future__ import annotations

import hashlib
import re
import tarfile
import threading
import urllib.error
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from topograph.config.targets import SHORT_NAMES
from topograph.data import sources
from topograph.foundation.errors import DataError, TopographError


def test_every_file_has_an_address_a_sum_and_a_licence():
    listed = sources.sources()
    for source in listed:
        assert source.dataset in SHORT_NAMES["data"]
        assert re.fullmatch(r"[0-9a-f]{32}", source.md5)
        assert source.url.startswith("https://")
        assert source.url.endswith("/" + source.file)
        assert source.version
        assert source.licence
    assert len({source.path for source in listed}) == len(listed)
    assert len({source.md5 for source in listed}) == len(listed)


def test_files_lie_under_their_data_set():
    assert sources.files_of("cifar10") == ["data/cifar10/cifar-10-binary.tar.gz"]
    assert sources.files_of("oxford-pet") == [
        "data/oxford-pet/images.tar.gz",
        "data/oxford-pet/annotations.tar.gz",
    ]


@pytest.mark.parametrize("dataset", ["digits", "brain", "own_package.module:data"])
def test_data_that_ship_with_a_package_need_no_file(dataset):
    assert sources.files_of(dataset) == []
    assert sources.located(dataset) == []


@pytest.mark.parametrize(
    "cause",
    [
        urllib.error.URLError("Name or service not known"),
        RuntimeError("File not found or corrupted."),
        TimeoutError("timed out"),
    ],
)
def test_without_network_one_message_says_what_to_do(monkeypatch, tmp_path, cause):
    def refuse(*_, **__):
        raise cause

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torchvision.datasets.utils.download_url", refuse)
    source = sources.sources()[0]
    with pytest.raises(DataError) as raised:
        sources.fetch(source.path)
    message = str(raised.value)
    for part in (source.path, source.url, source.md5, str(cause), "`make study`"):
        assert part in message
    assert "\n" not in message


def test_a_download_asks_for_the_listed_file_and_sum(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("torchvision.datasets.utils.download_url", lambda *a: asked.append(a))
    monkeypatch.chdir(tmp_path)
    source = sources.sources()[1]
    sources.fetch(source.path)
    assert asked == [(source.url, f"data/{source.dataset}", source.file, source.md5)]


@pytest.fixture
def served(tmp_path, monkeypatch):
    """The address of a server on this machine with one file, ``a.tar.gz``."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "a.tar.gz").write_bytes(b"content")
    monkeypatch.setenv("no_proxy", "*")
    handler = partial(SilentHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


def test_a_file_is_taken_only_when_it_fits_its_sum(monkeypatch, tmp_path, served):
    monkeypatch.chdir(tmp_path)
    table = tmp_path / "datasets.csv"
    monkeypatch.setattr(sources, "TABLE", table)

    def list_with(md5: str) -> None:
        header = "dataset,file,version,url,md5,licence"
        table.write_text(f"{header}\nset,a.tar.gz,1,{served}/a.tar.gz,{md5},none\n")

    list_with("0" * 32)
    with pytest.raises(DataError, match=r"cannot be downloaded .*corrupted"):
        sources.fetch("data/set/a.tar.gz")
    list_with(hashlib.md5(b"content").hexdigest())
    sources.fetch("data/set/a.tar.gz")
    (located,) = sources.located("set")
    assert located.read_bytes() == b"content"


def test_a_file_outside_the_table_is_refused():
    with pytest.raises(TopographError, match=r"did you mean 'data/cifar10/cifar-10-binary.tar.gz'"):
        sources.fetch("data/cifar10/cifar-10-python.tar.gz")


def test_a_missing_file_is_named_with_the_command_that_fetches_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    images, annotations = sources.files_of("oxford-pet")
    with pytest.raises(DataError, match=f"^{images} is missing; fetch it: make {images}$"):
        sources.located("oxford-pet")
    (tmp_path / images).parent.mkdir(parents=True)
    (tmp_path / images).touch()
    with pytest.raises(DataError, match=f"{annotations} is missing"):
        sources.located("oxford-pet")
    (tmp_path / annotations).touch()
    assert [path.as_posix() for path in sources.located("oxford-pet")] == [images, annotations]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_archive_is_named(tmp_path, share):
    path = tmp_path / "a.tar.gz"
    (tmp_path / "content").write_bytes(bytes(range(256)) * 400)
    with tarfile.open(path, "w:gz") as tar:
        tar.add(tmp_path / "content", "content")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match="is truncated or not the archive expected") as raised:
        read_all(path)
    assert f"rm {path} && make {path}" in str(raised.value)


def read_all(path):
    with sources.opened(path) as tar:
        return [tar.extractfile(member).read() for member in tar]


def test_a_web_page_in_place_of_an_archive_is_named(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_text("<html>log in first</html>")
    with pytest.raises(DataError, match="not the archive expected"):
        read_all(path)
