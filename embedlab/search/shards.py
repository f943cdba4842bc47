"""Vectors of files, kept in a folder of Parquet shards, and the nearest of them.

A row is a file: the sha256 of its content, its path, its vector. A content has one vector, however
many files hold it: the rows of the others have none. All vectors of a folder come from one model,
whose name and hash of weights each shard tells. Files change: of a path's rows the last counts.

A shard is written whole or not at all, and is never changed.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from embedlab.search.exact import normalize
from embedlab.settings import write_whole

ROWS = 1024  # of a shard, or a batch more: what a kill can lose


class Key(NamedTuple):
    """What vectors must have in common to be compared."""

    model: str
    weights: str  # sha256


class Match(NamedTuple):
    """A content that was found, and the files that hold it."""

    cosine: float
    paths: list[str]


class Writer:
    """Adds rows to a folder; :func:`writing` makes it.

    Attributes
    ----------
    current : dict
        The sha256 of each path, as last embedded.
    known : set
        The sha256 of every content that has a vector.
    """

    def __init__(self, folder: Path, key: Key):
        self.folder, self.key = folder, key
        self.current: dict[str, bytes] = {}
        self.known: set[bytes] = set()
        self._rows: list[tuple[bytes, str, np.ndarray | None]] = []
        self._number = self._dim = 0
        for path in shards(folder):
            self._number = int(path.stem)
            _refuse_other(folder, key, _key(path))
            self._dim = pq.read_schema(path).field("vector").type.list_size
            rows = _read(path, ["sha256", "path"])
            hashes = [bytes.fromhex(sha256) for sha256 in rows["sha256"].to_pylist()]
            self.current |= zip(rows["path"].to_pylist(), hashes, strict=True)
            self.known |= set(hashes[: _with_vector(path)])

    def add(self, sha256: bytes, path: str, vector: np.ndarray | None = None) -> None:
        """Record a file with its vector (D,); with none where its content has one already."""
        self.current[path] = sha256
        self.known.add(sha256)
        self._rows.append((sha256, path, vector))
        self._dim = self._dim if vector is None else len(vector)

    def flush(self, at_least: int = 1) -> None:
        """Write what has been added since the last shard, if it is so many rows."""
        if len(self._rows) < at_least:
            return
        rows = sorted(self._rows, key=lambda row: row[2] is None)  # those with a vector first
        path = self.folder / f"{self._number + 1:06d}.parquet"
        try:
            write_whole(path, _shard(rows, self.key, self._dim))
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        self._number += 1
        self._rows = []


@contextmanager
def writing(folder: str | Path, key: Key) -> Iterator[Writer]:
    """A writer for a folder, alone in it; what was added is written also where it is stopped.

    Raises
    ------
    BlockingIOError
        Where another process is writing there.
    OSError
        Where the folder cannot be written, as on a full disk. What it held is as it was.
    ValueError
        Where it holds another model's vectors, or a damaged shard.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock").acquire(timeout=0)  # gone with the process, if killed
    except Timeout:
        raise BlockingIOError(
            f"Another process is writing to {folder}: wait until it is done, or use another folder."
        ) from None
    except OSError as error:
        raise _unwritable(folder, error) from error
    with lock:
        for draft in folder.glob("*.part"):  # of a run that was killed
            draft.unlink()
        writer = Writer(folder, key)
        try:
            yield writer
        finally:
            writer.flush()


def shards(folder: str | Path) -> list[Path]:
    """The shards of a folder, oldest first."""
    return sorted(Path(folder).glob("*.parquet"))


def key_of(folder: str | Path) -> Key:
    """Which model a folder's vectors come from."""
    found = shards(folder)
    if not found:
        raise FileNotFoundError(
            f"{folder} holds no vectors: `embedlab embed 'photos/*.jpg' --out {folder}` makes them."
        )
    return _key(found[0])


def nearest(folder: str | Path, query: np.ndarray, k: int) -> list[Match]:
    """The k contents nearest to a vector (D,) by cosine, best first; one shard in memory at a time.

    Of equals the one embedded first comes first; fewer than k where there are fewer.
    """
    key, current = key_of(folder), {}
    for path in shards(folder):
        _refuse_other(folder, key, _key(path))
        rows = _read(path, ["sha256", "path"])
        current |= zip(rows["path"].to_pylist(), rows["sha256"].to_pylist(), strict=True)
    paths = defaultdict(list)
    for path, sha256 in current.items():
        paths[sha256].append(path)
    best: list[tuple[float, str]] = []
    for path in shards(folder):
        best = sorted([*best, *_cosines(path, query, paths)], key=lambda found: -found[0])[:k]
    return [Match(cosine, sorted(paths[sha256])) for cosine, sha256 in best]


def _cosines(path: Path, query: np.ndarray, wanted) -> list[tuple[float, str]]:
    """Cosine to `query` (D,) and sha256 of each content of a shard that is one of `wanted`."""
    rows = _read(path, ["sha256", "vector"]).slice(0, _with_vector(path))
    hashes = rows["sha256"].to_pylist()
    vectors = rows["vector"].combine_chunks().flatten().to_numpy().reshape(len(hashes), -1)
    if len(hashes) and vectors.shape[1] != len(query):
        raise ValueError(f"query has {len(query)} numbers, the vectors {vectors.shape[1]}.")
    cosine = (normalize(vectors) @ normalize(query[None])[0]).tolist() if len(hashes) else []
    return [found for found in zip(cosine, hashes, strict=True) if found[1] in wanted]


def _shard(rows: list[tuple[bytes, str, np.ndarray | None]], key: Key, dim: int) -> bytes:
    """A shard's bytes; of its rows those with a vector (D,), D = `dim`, come first."""
    hashes, paths, vectors = zip(*rows, strict=True)
    vectors = [vector for vector in vectors if vector is not None]
    about = {**key._asdict(), "with_vector": len(vectors)}
    numbers = pa.FixedSizeListArray.from_arrays(np.array(vectors, np.float32).ravel(), dim)
    absent = pa.nulls(len(rows) - len(vectors), numbers.type)
    table = pa.table(
        {
            "sha256": [sha256.hex() for sha256 in hashes],
            "path": paths,
            "vector": pa.chunked_array([numbers, absent]),
        },
        metadata={"embedlab": json.dumps(about)},
    )
    file = pa.BufferOutputStream()
    pq.write_table(table, file, write_page_checksum=True, use_dictionary=False, compression="NONE")
    return file.getvalue().to_pybytes()


def _read(path: Path, columns: list[str]) -> pa.Table:
    """Columns of a shard, their checksums verified."""
    with _named(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read(columns, use_threads=False)


def _about(path: Path) -> dict:
    with _named(path):
        return json.loads(pq.read_schema(path).metadata[b"embedlab"])


def _key(path: Path) -> Key:
    about = _about(path)
    return Key(about["model"], about["weights"])


def _with_vector(path: Path) -> int:
    """How many rows of a shard have a vector: these come first."""
    return _about(path)["with_vector"]


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name a shard that cannot be read."""
    try:
        yield
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged, or no shard of vectors. Remove it and run `embedlab embed` again: "
            "only what it held is embedded anew."
        ) from error


def _refuse_other(folder: str | Path, wanted: Key, found: Key) -> None:
    if found != wanted:
        other = " with other weights" if found.model == wanted.model else ""
        raise ValueError(
            f"{folder} holds vectors of {found.model}{other} (sha256 {found.weights[:12]}), which "
            f"cannot be compared with those of {wanted.model} (sha256 {wanted.weights[:12]}): use "
            "another folder."
        )


def _unwritable(folder: Path, error: OSError) -> OSError:
    """The one sentence for a folder that cannot be written, as on a full disk."""
    return OSError(
        f"{folder} cannot be written ({error.strerror or error}). What it holds is whole: put that "
        "right, and the same command goes on from there."
    )
