"""Downloads from a small server on this machine: nothing here needs a network."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import pickle
import re
import socket
import subprocess
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pooch
import pytest
import requests

from embedlab import load_images
from embedlab.data import download as sources

NAME = "made-up"
FILES = {
    "MadeUp/raw/images.gz": np.random.default_rng(0).bytes(100_000),
    "MadeUp/raw/labels.gz": np.random.default_rng(1).bytes(3_000),
}
# Asked once, before a fixture points EMBEDLAB_DATA elsewhere.
REAL_HOME = sources.data_home()
REAL = [REAL_HOME / entry["path"] for entry in sources.manifest()["fashion-mnist"]["files"]]
needs_real = pytest.mark.skipif(
    not all(path.is_file() for path in REAL),
    reason="Fashion-MNIST is not there: run `embedlab fetch fashion-mnist`, or point EMBEDLAB_DATA "
    "at a folder that holds it",
)


class Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self):
        server, name = self.server, self.path.rpartition("/")[2]
        server.requested.append(name)
        time.sleep(server.delay)
        if name not in server.files:
            self.send_error(404)
            return
        body = server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.stop_half_way:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            server.half_sent.set()
            server.released.wait(20)
            return  # the connection closes before what was announced has come
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requested: list[str] = []
        self.delay = 0.0
        self.stop_half_way = False
        self.half_sent, self.released = threading.Event(), threading.Event()
        self.released.set()
        self.mend()

    def mend(self):
        """Serve every file whole and true."""
        self.files = {Path(path).name: body for path, body in FILES.items()}
        self.stop_half_way = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join(10)


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
def publish(tmp_path, monkeypatch, home):
    """A function that writes a manifest, of the made-up set or another, and has it read."""

    def write(*urls: str, name: str = NAME, files=FILES, algorithm: str = "sha256") -> Path:
        lines = [f"[{name}]", f"urls = {list(urls)}", "files = ["]
        for path, body in files.items():
            digest = hashlib.new(algorithm, body).hexdigest()
            lines.append(
                f'{{ path = "{path}", bytes = {len(body)}, hash = "{algorithm}:{digest}" }},'
            )
        manifest = tmp_path / f"manifest-{len(list(tmp_path.iterdir()))}.toml"
        manifest.write_text("\n".join([*lines, "]"]), encoding="utf-8")
        monkeypatch.setattr(sources, "MANIFEST", manifest)
        return manifest

    return write


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the lock."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def put_in(folder: Path, files: dict[str, bytes]) -> None:
    for path, body in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)


def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def assert_one_helpful_sentence(error: sources.DataUnavailable, home: Path) -> None:
    message = str(error)
    assert message.endswith(".")
    assert "\n" not in message
    assert not re.search(r"[.!?]\s", message)
    for part in (repr(NAME), str(home), f"`embedlab fetch {NAME}`", "EMBEDLAB_DATA"):
        assert part in message


def test_a_download_lands_whole(server, publish, home):
    publish(server.url)
    assert [e["path"] for e in sources.missing(NAME)] == list(FILES)
    assert sources.fetch(NAME) == [home / path for path in FILES]
    assert content(home) == FILES
    assert sources.missing(NAME) == []
    assert sources.fetch(NAME) == [home / path for path in FILES]
    assert server.requested == ["images.gz", "labels.gz"]  # the second call asked for nothing


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_download_can_be_read_by_whom_the_umask_lets(server, publish, home):
    """A teacher fetches onto a mount that a class reads."""
    publish(server.url)
    before = os.umask(0o022)
    try:
        paths = sources.fetch(NAME)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o644}


def cut_off(server):
    server.stop_half_way = True


def short(server):
    server.files["images.gz"] = server.files["images.gz"][:-1]


def altered(server):
    body = server.files["images.gz"]
    server.files["images.gz"] = body[:500] + bytes([body[500] ^ 1]) + body[501:]


def login_page(server):
    server.files["images.gz"] = b"<html>Accept our terms to use this wifi</html>"


@pytest.mark.parametrize("spoil", [cut_off, short, altered, login_page])
def test_a_bad_download_is_refused_and_the_next_call_fetches_anew(server, publish, home, spoil):
    publish(server.url)
    spoil(server)
    with pytest.raises(sources.DataUnavailable) as caught:
        sources.fetch(NAME)
    assert_one_helpful_sentence(caught.value, home)
    assert content(home) == {}
    server.mend()
    sources.fetch(NAME)
    assert content(home) == FILES


def test_a_good_file_beside_a_bad_one_is_kept(server, publish, home):
    publish(server.url)
    server.files["labels.gz"] = b"not these"
    with pytest.raises(sources.DataUnavailable, match="failed its checksum"):
        sources.fetch(NAME)
    assert content(home) == {"MadeUp/raw/images.gz": FILES["MadeUp/raw/images.gz"]}
    server.mend()
    sources.fetch(NAME)
    assert server.requested == ["images.gz", "labels.gz", "labels.gz"]


def test_an_altered_file_on_disk_is_replaced_with_a_warning(server, publish, home):
    publish(server.url)
    put_in(home, FILES | {"MadeUp/raw/labels.gz": FILES["MadeUp/raw/labels.gz"][:-7]})
    with pytest.warns(RuntimeWarning, match=r"labels\.gz fails its checksum") as caught:
        sources.fetch(NAME)
    assert len(caught) == 1
    assert content(home) == FILES
    assert server.requested == ["labels.gz"]


@pytest.mark.parametrize("first", ["nobody listens", "no such page", "wrong bytes"])
def test_the_second_source_serves_where_the_first_fails(server, publish, home, first):
    with Server() as other:
        threading.Thread(target=other.serve_forever, args=(0.01,), daemon=True).start()
        other.files = {} if first == "no such page" else dict.fromkeys(server.files, b"wrong")
        publish(closed_port() if first == "nobody listens" else other.url, server.url)
        sources.fetch(NAME)
        other.shutdown()
    assert content(home) == FILES
    assert server.requested == ["images.gz", "labels.gz"]
    assert len(other.requested) == (0 if first == "nobody listens" else 2)


def test_no_network(publish, home):
    publish(closed_port(), closed_port())
    with pytest.raises(sources.DataUnavailable) as caught:
        sources.fetch(NAME)
    assert_one_helpful_sentence(caught.value, home)
    assert str(caught.value).count("ConnectionError") == 2  # both sources were tried
    assert content(home) == {}


def test_a_full_disk_is_seen_before_the_download(server, publish, home, monkeypatch):
    publish(server.url)
    usage = type("Usage", (), {"free": 99_999})
    monkeypatch.setattr(sources.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(sources.DataUnavailable, match=r"100,000 bytes needed .* 99,999 free"):
        sources.fetch(NAME)
    assert server.requested == []


def test_offline_asks_nobody(server, publish, home, monkeypatch):
    publish(server.url)
    monkeypatch.setenv("EMBEDLAB_OFFLINE", "1")
    with pytest.raises(sources.DataUnavailable, match="EMBEDLAB_OFFLINE") as caught:
        sources.fetch(NAME)
    assert_one_helpful_sentence(caught.value, home)
    assert server.requested == []
    assert list(home.iterdir()) == []
    put_in(home, FILES)
    assert sources.fetch(NAME) == [home / path for path in FILES]
    assert server.requested == []
    (home / "MadeUp/raw/labels.gz").unlink()
    monkeypatch.setenv("EMBEDLAB_OFFLINE", "0")
    sources.fetch(NAME)
    assert server.requested == ["labels.gz"]


# Says when it is ready, and fetches when told: two of these start as one. It loads the module by
# its file, as the package would bring torch along: seconds that have nothing to do with the test.
CHILD = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
spec = spec_from_file_location("sources", sys.argv[1])
sources = module_from_spec(spec)
spec.loader.exec_module(sources)
sources.MANIFEST = Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
print(len(sources.fetch(sys.argv[3])), flush=True)
"""


def start_child(manifest: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, sources.__file__, str(manifest), NAME],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_share_one_download(server, publish, home):
    manifest = publish(server.url)
    server.delay = 1.0  # long enough for the other to come and find the files absent
    children = [start_child(manifest) for _ in range(2)]
    try:
        for child in children:
            assert child.stdout.readline() == "ready\n"
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        for child in children:
            out, err = child.communicate(timeout=60)
            assert (child.returncode, out) == (0, "2\n"), err
    finally:
        for child in children:
            child.kill()
            child.wait(10)
    assert sorted(server.requested) == ["images.gz", "labels.gz"]
    assert content(home) == FILES


def test_a_killed_download_leaves_nothing_for_long(server, publish, home):
    """A killed kernel cannot tidy up: the next call does, and its lock holds nobody up."""
    manifest = publish(server.url)
    server.stop_half_way = True
    server.released.clear()
    child = start_child(manifest)
    try:
        child.stdin.write("go\n")
        child.stdin.flush()
        assert server.half_sent.wait(60)
        deadline = time.monotonic() + 20
        while not any(content(home).values()) and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        child.kill()
        child.communicate(timeout=10)
    (half,) = content(home).items()
    assert half[0] not in FILES
    assert 0 < len(half[1]) < 100_000
    server.released.set()
    server.mend()
    sources.fetch(NAME)
    assert content(home) == FILES


def test_an_interrupted_download_leaves_nothing_half_written(server, publish, home, monkeypatch):
    publish(server.url)
    seen = []

    def half(self, chunk_size):
        yield self.raw.read(1_000)
        seen.append(content(home))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(requests.Response, "iter_content", half)
        with pytest.raises(KeyboardInterrupt):
            sources.fetch(NAME)
    ((name, body),) = seen[0].items()  # it was interrupted in the middle indeed ...
    assert body == FILES["MadeUp/raw/images.gz"][:1_000]
    assert name not in FILES
    assert content(home) == {}  # ... and tidied up
    sources.fetch(NAME)
    assert content(home) == FILES


def states(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of the last change of a folder and of all that it holds."""
    paths = [folder, *folder.rglob("*")]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


@pytest.fixture
def read_only(home):
    """A function that takes away the permission to write, until the test is over."""
    changed = []

    def forbid():
        for path in (home, *home.rglob("*")):
            changed.append((path, path.stat().st_mode))
            path.chmod(0o555 if path.is_dir() else 0o444)

    yield forbid
    for path, mode in changed:
        path.chmod(mode)


def test_a_read_only_folder_that_holds_the_set_works(server, publish, home, read_only, monkeypatch):
    publish(server.url)
    put_in(home, FILES)
    before = states(home)
    read_only()

    def no_lock(*args, **kwargs):
        raise AssertionError("a complete set must not be locked")

    monkeypatch.setattr(sources.filelock, "FileLock", no_lock)
    assert sources.fetch(NAME) == [home / path for path in FILES]
    assert states(home) == before  # root may write anywhere: that it did not is what counts
    assert server.requested == []


def test_a_read_only_folder_without_the_set(server, publish, home, read_only, monkeypatch):
    publish(server.url)
    read_only()
    if os.access(home, os.W_OK):  # root: the lock, the first thing written, is refused by hand

        def refused(*args, **kwargs):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(sources.filelock, "FileLock", refused)
    with pytest.raises(sources.DataUnavailable, match="Permission denied") as caught:
        sources.fetch(NAME)
    assert_one_helpful_sentence(caught.value, home)
    assert server.requested == []


def test_a_file_where_the_folder_should_be(server, publish, home):
    publish(server.url)
    home.rmdir()
    home.write_text("a file")
    with pytest.raises(sources.DataUnavailable) as caught:
        sources.fetch(NAME)
    assert_one_helpful_sentence(caught.value, home)


def test_a_file_that_may_not_be_read(server, publish, home, monkeypatch):
    publish(server.url)
    put_in(home, FILES)

    def refused(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pooch, "file_hash", refused)
    with pytest.raises(sources.DataUnavailable, match="Permission denied"):
        sources.fetch(NAME)


def test_a_file_that_vanishes_while_it_is_checked_is_missing(server, publish, home, monkeypatch):
    """Another process may be replacing an altered file just now."""
    publish(server.url)
    put_in(home, FILES)
    real = pooch.file_hash

    def vanish(path, alg):
        monkeypatch.setattr(pooch, "file_hash", real)
        Path(path).unlink()
        return real(path, alg=alg)

    monkeypatch.setattr(pooch, "file_hash", vanish)
    sources.fetch(NAME)
    assert content(home) == FILES
    assert server.requested == ["images.gz"]


def test_the_manifest_agrees_with_torchvision():
    from torchvision.datasets import CIFAR10, FashionMNIST

    fashion, cifar = (sources.manifest()[name] for name in ("fashion-mnist", "cifar10"))
    assert [entry["path"] for entry in fashion["files"]] == [
        f"FashionMNIST/raw/{file}" for file, _ in FashionMNIST.resources
    ]
    assert FashionMNIST.mirrors[0] in fashion["urls"]
    (entry,) = cifar["files"]
    assert entry["path"] == CIFAR10.filename
    assert entry["hash"] == f"md5:{CIFAR10.tgz_md5}"
    assert cifar["urls"][0] + entry["path"] == CIFAR10.url


@needs_real
def test_the_real_files_have_torchvisions_checksums():
    from torchvision.datasets import FashionMNIST

    entries = sources.manifest()["fashion-mnist"]["files"]
    for path, entry, (_, md5) in zip(REAL, entries, FashionMNIST.resources, strict=True):
        body = path.read_bytes()
        assert hashlib.md5(body).hexdigest() == md5
        assert f"sha256:{hashlib.sha256(body).hexdigest()}" == entry["hash"]
        assert len(body) == entry["bytes"]


@needs_real
def test_fashion_mnist(tmp_path, monkeypatch):
    from torchvision.datasets import mnist

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

    def unpacked(path: Path) -> str:
        target = tmp_path / path.stem
        target.write_bytes(gzip.decompress(path.read_bytes()))
        return str(target)

    _, train_labels, test_images, test_labels = map(unpacked, REAL)
    np.testing.assert_array_equal(
        np.round(images.test.x[:, 0, 2:30, 2:30] * 255), mnist.read_image_file(test_images).numpy()
    )
    np.testing.assert_array_equal(images.test.y, mnist.read_label_file(test_labels).numpy())
    np.testing.assert_array_equal(
        np.concatenate([images.train.y, images.val.y]), mnist.read_label_file(train_labels).numpy()
    )


def test_cifar10_from_an_archive_of_its_layout(publish, home, rng):
    """Few pictures, many times over: 5,000 of the training images become val."""
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    sizes = [1_002] * 5 + [7]
    pictures, labels, packed = {}, {}, io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:

        def add(name: str, stuff) -> None:
            body = pickle.dumps(stuff, protocol=2)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))

        add("batches.meta", {b"num_cases_per_batch": 10_000})
        for name, n in sorted(zip(names, sizes, strict=True), reverse=True):  # in no helpful order
            few = rng.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)  # as one looks at them
            pictures[name] = few[rng.integers(0, 3, n)]
            labels[name] = rng.integers(0, 10, n)
            planes = pictures[name].transpose(0, 3, 1, 2).reshape(n, 3_072)
            add(name, {b"data": planes, b"labels": labels[name].tolist()})
    files = {"cifar-10-python.tar.gz": packed.getvalue()}
    publish(closed_port(), name="cifar10", files=files, algorithm="md5")
    put_in(home, files)

    images = load_images("cifar10")
    assert images.class_names[3] == "cat"
    assert [len(s) for s in (images.train, images.val, images.test)] == [10, 5_000, 7]
    for split in (images.train, images.val, images.test):
        assert split.x.dtype == np.float32
        assert split.x.shape[1:] == (3, 32, 32)
        assert split.y.dtype == np.int64
    x = np.concatenate([images.train.x, images.val.x, images.test.x]).transpose(0, 2, 3, 1)
    y = np.concatenate([images.train.y, images.val.y, images.test.y])
    np.testing.assert_allclose(x * 255, np.concatenate([pictures[n] for n in names]), atol=1e-4)
    np.testing.assert_array_equal(y, np.concatenate([labels[n] for n in names]))


def test_cifar10_is_not_unpickled_before_its_checksum(publish, home, tmp_path):
    """A pickle can run code: a forged archive must be refused unread."""

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        body = pickle.dumps(Bomb())
        info = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        info.size = len(body)
        tar.addfile(info, io.BytesIO(body))
    publish(closed_port(), name="cifar10", files={"cifar-10-python.tar.gz": b"the true one"})
    put_in(home, {"cifar-10-python.tar.gz": packed.getvalue()})
    with (
        pytest.warns(RuntimeWarning, match="fails its checksum"),
        pytest.raises(sources.DataUnavailable),
    ):
        load_images("cifar10")
    assert not (tmp_path / "ran").exists()
