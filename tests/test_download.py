"""Downloads from a small server on this machine: nothing here needs a network."""

import contextlib
import gzip
import hashlib
import io
import os
import pickle
import re
import socket
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import requests

from embedlab import load_images
from embedlab.data import download

NAME = "made-up"
IMAGES, LABELS = (np.random.default_rng(i).bytes(n) for i, n in enumerate((100_000, 3_000)))
FILES = {"MadeUp/raw/images.gz": IMAGES, "MadeUp/raw/labels.gz": LABELS}
# Asked once, before a fixture points EMBEDLAB_DATA elsewhere.
REAL_HOME = download.data_home()
REAL = [REAL_HOME / entry["path"] for entry in download.manifest()["fashion-mnist"]["files"]]


class Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        self.server.requested.append(name)
        body, announced = self.server.files[name]
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(announced))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body)  # the connection closes after it, whatever was announced

    def log_message(self, *args):
        pass


def serve_all(server) -> None:
    """Every file whole and true."""
    server.files = {"images.gz": (IMAGES, len(IMAGES)), "labels.gz": (LABELS, len(LABELS))}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty data folder, which EMBEDLAB_DATA points at."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("EMBEDLAB_DATA", str(folder))
    monkeypatch.delenv("EMBEDLAB_OFFLINE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder


@pytest.fixture
def publish(monkeypatch, home):
    """A function that puts the made-up set, or another, in the manifest's place."""

    def write(url: str, name: str = NAME, files=FILES, algorithm: str = "sha256") -> None:
        entries = []
        for path, body in files.items():
            known = f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"
            entries.append({"path": path, "bytes": len(body), "hash": known})
        monkeypatch.setattr(download, "manifest", lambda: {name: {"url": url, "files": entries}})

    return write


@pytest.fixture
def server(publish):
    """A server of the made-up set, which the manifest then names."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requested = []
        serve_all(server)
        publish(f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def put_in(folder: Path, files: dict[str, bytes]) -> None:
    for path, body in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)


def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def assert_unavailable(home: Path, reason: str) -> None:
    """The set is not to be had, and one sentence says why and what to do."""
    with pytest.raises(download.DataUnavailable, match=reason) as caught:
        download.fetch(NAME)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert not re.search(r"[.!?]\s", message)
    for part in (repr(NAME), str(home), f"`embedlab fetch {NAME}`", "EMBEDLAB_DATA"):
        assert part in message


def test_a_download_lands_whole(server, home):
    assert [e["path"] for e in download.missing(NAME)] == list(FILES)
    assert download.fetch(NAME) == [home / path for path in FILES]
    assert content(home) == FILES
    assert download.missing(NAME) == []
    assert download.fetch(NAME) == [home / path for path in FILES]
    assert server.requested == ["images.gz", "labels.gz"]  # the second call asked for nothing


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_download_can_be_read_by_whom_the_umask_lets(server):
    """A teacher fetches onto a mount that a class reads."""
    before = os.umask(0o022)
    try:
        paths = download.fetch(NAME)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o644}


@pytest.mark.parametrize(
    ("body", "announced", "reason"),
    [
        (IMAGES[:50_000], 100_000, "ChunkedEncodingError"),
        (IMAGES[:-1], 99_999, "failed its checksum"),
        (bytes([IMAGES[0] ^ 1]) + IMAGES[1:], 100_000, "failed its checksum"),
        (b"<html>Accept our terms to use this wifi</html>", 46, "failed its checksum"),
        (None, 0, "HTTPError"),
    ],
    ids=["cut off", "short", "altered", "a login page", "gone"],
)
def test_a_bad_download_is_refused_and_the_next_call_fetches_anew(
    server, home, body, announced, reason
):
    server.files["images.gz"] = body, announced
    assert_unavailable(home, reason)
    assert content(home) == {}
    serve_all(server)
    download.fetch(NAME)
    assert content(home) == FILES


def test_a_good_file_beside_a_bad_one_is_kept(server, home):
    server.files["labels.gz"] = b"not these", 9
    assert_unavailable(home, "failed its checksum")
    assert content(home) == {"MadeUp/raw/images.gz": IMAGES}
    serve_all(server)
    download.fetch(NAME)
    assert server.requested == ["images.gz", "labels.gz", "labels.gz"]


def test_an_altered_file_on_disk_is_replaced_with_a_warning(server, home):
    put_in(home, FILES | {"MadeUp/raw/labels.gz": LABELS[:-7]})
    with pytest.warns(RuntimeWarning, match=r"labels\.gz fails its checksum") as caught:
        download.fetch(NAME)
    assert len(caught) == 1
    assert content(home) == FILES
    assert server.requested == ["labels.gz"]


def test_no_network(publish, home):
    publish(closed_port())
    assert_unavailable(home, "ConnectionError")
    assert content(home) == {}


def test_offline_asks_nobody(server, home, monkeypatch):
    monkeypatch.setenv("EMBEDLAB_OFFLINE", "1")
    assert_unavailable(home, "EMBEDLAB_OFFLINE")
    assert list(home.iterdir()) == []
    put_in(home, FILES)
    assert download.fetch(NAME) == [home / path for path in FILES]
    assert server.requested == []
    (home / "MadeUp/raw/labels.gz").unlink()
    monkeypatch.setenv("EMBEDLAB_OFFLINE", "0")
    download.fetch(NAME)
    assert server.requested == ["labels.gz"]


def test_two_downloads_at_once_do_not_disturb_each_other(server, home, monkeypatch):
    real, both = download.missing, threading.Barrier(2)

    def missing(name):
        found = real(name)
        both.wait(20)  # for the other, which finds the files absent too
        return found

    monkeypatch.setattr(download, "missing", missing)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(download.fetch, [NAME] * 2))
    assert found == [[home / path for path in FILES]] * 2
    assert content(home) == FILES


def test_an_interrupted_download_leaves_nothing_half_written(server, home, monkeypatch):
    seen = []

    def half(self, chunk_size):
        yield self.raw.read(50_000)
        seen.append(content(home))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(requests.Response, "iter_content", half)
        with pytest.raises(KeyboardInterrupt):
            download.fetch(NAME)
    ((name, body),) = seen[0].items()  # it was interrupted in the middle indeed ...
    assert body == IMAGES[:50_000]
    assert name not in FILES
    assert content(home) == {}  # ... and tidied up
    download.fetch(NAME)
    assert content(home) == FILES


def make_read_only(home: Path) -> None:
    for path in (home, *home.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def test_a_read_only_folder_that_holds_the_set_is_left_as_it_is(server, home):
    put_in(home, FILES)
    make_read_only(home)
    paths = [home, *home.rglob("*")]
    before = [(path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    assert download.fetch(NAME) == [home / path for path in FILES]
    assert [home, *home.rglob("*")] == paths  # root may write anywhere: that it did not counts
    assert [(path.stat().st_size, path.stat().st_mtime_ns) for path in paths] == before
    assert server.requested == []


def refuse(*args, **kwargs):
    raise PermissionError(13, "Permission denied")


def test_a_read_only_folder_without_the_set(server, home, monkeypatch):
    make_read_only(home)
    if os.access(home, os.W_OK):  # root: the first thing written is refused by hand
        monkeypatch.setattr(Path, "mkdir", refuse)
    assert_unavailable(home, "Permission denied")
    assert server.requested == []


def test_a_file_where_the_folder_should_be(server, home):
    home.rmdir()
    home.write_text("a file")
    assert len(download.missing(NAME)) == 2
    assert_unavailable(home, "the folder cannot be read or written")


def test_a_file_that_may_not_be_read(server, home, monkeypatch):
    put_in(home, FILES)
    monkeypatch.setattr(hashlib, "file_digest", refuse)
    assert_unavailable(home, "Permission denied")


def test_a_file_that_vanishes_before_it_is_checked_is_missing(server, home, monkeypatch):
    """Another process may be replacing an altered file just now."""
    put_in(home, FILES)
    real = download._intact

    def vanish(path, known_hash):
        monkeypatch.setattr(download, "_intact", real)
        Path(path).unlink()
        return real(path, known_hash)

    monkeypatch.setattr(download, "_intact", vanish)
    download.fetch(NAME)
    assert content(home) == FILES
    assert server.requested == ["images.gz"]


def test_the_manifest_agrees_with_torchvision():
    from torchvision.datasets import CIFAR10, FashionMNIST

    fashion, cifar = (download.manifest()[name] for name in ("fashion-mnist", "cifar10"))
    assert [entry["path"] for entry in fashion["files"]] == [
        f"FashionMNIST/raw/{file}" for file, _ in FashionMNIST.resources
    ]
    assert FashionMNIST.mirrors[0] == fashion["url"]
    (entry,) = cifar["files"]
    assert entry["path"] == CIFAR10.filename
    assert entry["hash"] == f"md5:{CIFAR10.tgz_md5}"
    assert cifar["url"] + entry["path"] == CIFAR10.url


@pytest.mark.skipif(
    not all(path.is_file() for path in REAL),
    reason="Fashion-MNIST is not there: run `embedlab fetch fashion-mnist`, or point EMBEDLAB_DATA "
    "at a folder that holds it",
)
def test_fashion_mnist(tmp_path, monkeypatch):
    from torchvision.datasets import FashionMNIST, mnist

    unpacked = []
    for path, (_, md5) in zip(REAL, FashionMNIST.resources, strict=True):
        body = path.read_bytes()
        assert hashlib.md5(body).hexdigest() == md5
        unpacked.append(str(tmp_path / path.stem))
        Path(unpacked[-1]).write_bytes(gzip.decompress(body))

    monkeypatch.setenv("EMBEDLAB_DATA", str(REAL_HOME))
    monkeypatch.setenv("EMBEDLAB_OFFLINE", "1")
    images = load_images("fashion-mnist")
    assert len(images.class_names) == 10
    for split, n in ((images.train, 50_000), (images.val, 10_000), (images.test, 10_000)):
        assert split.x.shape == (n, 1, 32, 32)
        assert split.x.dtype == np.float32
        assert (split.x.min(), split.x.max()) == (0, 1)
        assert split.y.dtype == np.int64
        assert set(split.y) == set(range(10))
        border = np.ones((32, 32), bool)
        border[2:30, 2:30] = False
        assert not split.x[..., border].any()
    np.testing.assert_array_equal(
        np.round(images.test.x[:, 0, 2:30, 2:30] * 255), mnist.read_image_file(unpacked[2]).numpy()
    )
    np.testing.assert_array_equal(images.test.y, mnist.read_label_file(unpacked[3]).numpy())
    np.testing.assert_array_equal(
        np.concatenate([images.train.y, images.val.y]), mnist.read_label_file(unpacked[1]).numpy()
    )


def archive(batches: dict[str, object]) -> dict[str, bytes]:
    """The one file of CIFAR-10, holding these batches."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        for name, batch in batches.items():
            body = pickle.dumps(batch, protocol=2)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return {"cifar-10-python.tar.gz": packed.getvalue()}


def test_cifar10_from_an_archive_of_its_layout(publish, home, rng):
    """Few pictures, many times over: 5,000 of the training images become val."""
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    of = np.repeat(names, [1_002] * 5 + [7])
    x = rng.integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)[rng.integers(0, 3, len(of))]
    y = rng.integers(0, 10, len(of))
    batches = {"batches.meta": {b"num_cases_per_batch": 10_000}}
    for name in reversed(names):  # in no helpful order
        here = of == name
        batches[name] = {b"data": x[here].reshape(-1, 3_072), b"labels": y[here].tolist()}
    files = archive(batches)
    publish(closed_port(), name="cifar10", files=files, algorithm="md5")
    put_in(home, files)

    images = load_images("cifar10")
    assert images.class_names[3] == "cat"
    splits = (images.train, images.val, images.test)
    assert [len(split) for split in splits] == [10, 5_000, 7]
    for split in splits:
        assert split.x.dtype == np.float32
        assert split.x.shape[1:] == (3, 32, 32)
        assert split.y.dtype == np.int64
    np.testing.assert_allclose(np.concatenate([s.x for s in splits]) * 255, x, atol=1e-4)
    np.testing.assert_array_equal(np.concatenate([s.y for s in splits]), y)


def test_cifar10_is_not_unpickled_before_its_checksum(publish, home, tmp_path):
    """A pickle can run code: a forged archive must be refused unread."""

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    publish(closed_port(), name="cifar10", files={"cifar-10-python.tar.gz": b"the true one"})
    put_in(home, archive({"data_batch_1": Bomb()}))
    with (
        pytest.warns(RuntimeWarning, match="fails its checksum"),
        pytest.raises(download.DataUnavailable),
    ):
        load_images("cifar10")
    assert not (tmp_path / "ran").exists()
