"""Many picture files embedded: read and decoded beside the computing, a batch in memory at a time.

Each worker is a thread that takes a batch of files through all steps. On a CPU it computes with a
copy of the network of its own, the weights shared, on one thread: workers side by side are faster
than one network on several threads, which wait for each other at every layer. On a GPU one
computes while the others decode.
"""

import hashlib
import io
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from tqdm import tqdm

from embedlab.data.pictures import open_picture
from embedlab.embedders.base import Embedder
from embedlab.embedders.pretrained import Pretrained
from embedlab.search.shards import ROWS, Writer
from embedlab.training.device import own_threads, pick_device

BATCH_SIZE = 32


class Done(NamedTuple):
    """What became of a batch of things."""

    rows: list[int]  # positions of those that were embedded
    vectors: np.ndarray  # float32, (len(rows), D)
    failed: dict[int, str]  # why, by position


def default_workers() -> int:
    """One a core that this process may use, eight at most."""
    here = getattr(os, "sched_getaffinity", None)  # on Linux: fewer in a container, say
    return min(8, len(here(0)) if here else os.cpu_count() or 1)


def embed_pictures(
    things: Sequence,
    read: Callable[[object], Image.Image | None],
    embedder: Embedder,
    workers: int | None = None,
    batch_size: int = BATCH_SIZE,
) -> Iterator[Done]:
    """Embed what `read` makes pictures of, in order, batch after batch.

    Where `read` gives None a thing is left out; where it raises, the thing has failed.
    """
    workers = workers or default_workers()
    with _own_copies(embedder, workers) as mine, ThreadPoolExecutor(workers) as pool:
        waiting = deque()
        try:
            for start in range(0, len(things), batch_size):
                batch = range(start, min(start + batch_size, len(things)))
                waiting.append(pool.submit(lambda b: _embed(b, things, read, *mine()), batch))
                if len(waiting) > 2 * workers:  # what is done waits in memory: not too much of it
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _embed(batch: range, things: Sequence, read, embedder: Embedder, alone) -> Done:
    """The pictures of a batch of `things`, embedded under the lock `alone`."""
    prepare, compute = _steps(embedder)
    ready, failed = {}, {}
    for i in batch:
        try:
            picture = read(things[i])
            if picture is not None:
                ready[i] = prepare(picture)
        except Exception as error:  # damaged files make decoders raise nearly anything
            failed[i] = str(error) or type(error).__name__
    if not ready:
        return Done([], np.empty((0, 0), np.float32), failed)
    with alone:
        return Done(list(ready), compute(list(ready.values())), failed)


def _steps(embedder: Embedder) -> tuple[Callable, Callable]:
    """From a picture to what can be stacked, and from a list of these to vectors (N, D)."""
    if isinstance(embedder, Pretrained):
        device = next(embedder.network_.parameters()).device

        def compute(ready: list[torch.Tensor]) -> np.ndarray:
            return embedder.embed_tensors(torch.stack(ready).to(device)).float().cpu().numpy()

        return embedder.preprocess_, compute
    channels, *side = embedder.image_shape_

    def prepare(picture: Image.Image) -> np.ndarray:
        small = ImageOps.fit(picture, side[::-1], Image.LANCZOS).convert("RGB")
        pixels = np.asarray(small if channels == 3 else small.convert("L"), np.float32) / 255
        return pixels.reshape(*side, channels).transpose(2, 0, 1)

    return prepare, lambda ready: embedder.transform(np.stack(ready))


@contextmanager
def _own_copies(embedder: Embedder, workers: int) -> Iterator[Callable]:
    """What gives a worker its embedder, and the lock under which it computes."""
    device, local = pick_device(), threading.local()
    network = getattr(embedder, "network_", None)
    tensors = [*network.parameters(), *network.buffers()] if network is not None else []
    shared = {id(tensor): tensor for tensor in tensors}
    alone = nullcontext() if device.type == "cpu" else threading.Lock()

    def mine() -> tuple[Embedder, object]:
        if not hasattr(local, "embedder"):
            local.embedder = deepcopy(embedder, dict(shared))
        return local.embedder, alone

    on_device = isinstance(embedder, Pretrained) and device.type != "cpu"
    with own_threads():
        if on_device:
            network.to(device)
        try:
            yield mine
        finally:
            if on_device:
                network.cpu()


# --- into a folder ----------------------------------------------------------------------------


class Summary(NamedTuple):
    """What a run has done."""

    embedded: int
    known: int  # not embedded, as their content was
    failed: dict[str, str]  # why, by path


def embed_into(
    writer: Writer,
    paths: Sequence[Path],
    embedder: Embedder,
    workers: int | None = None,
    batch_size: int = BATCH_SIZE,
    report: Callable[[str], None] = lambda line: None,
    shard_rows: int = ROWS,
) -> Summary:
    """Embed the files whose content has no vector yet; `report` is told of each that fails."""
    names = list(dict.fromkeys(str(Path(os.path.abspath(path)).as_posix()) for path in paths))
    hashes: dict[str, bytes] = {}  # of those read and not yet recorded
    claimed, lock = set(writer.known), threading.Lock()
    copies: dict[str, bytes] = {}  # of a content that is embedded already, or is being so
    failed: dict[str, str] = {}
    embedded = 0

    def read(name: str) -> Image.Image | None:
        _check_name(name)
        content = Path(name).read_bytes()
        sha256 = hashlib.sha256(content).digest()
        with lock:
            new = sha256 not in claimed
            claimed.add(sha256)
            if new:
                hashes[name] = sha256
            elif writer.current.get(name) != sha256:
                copies[name] = sha256
        return open_picture(io.BytesIO(content), name=name) if new else None

    def fail(name: str, why: str) -> None:
        failed[name] = why
        report(why)

    with tqdm(total=len(names), desc="embedding", unit="file", delay=1) as bar:
        for done in embed_pictures(names, read, embedder, workers, batch_size):
            for i, vector in zip(done.rows, done.vectors, strict=True):
                writer.add(hashes.pop(names[i]), names[i], vector)
            for i, why in done.failed.items():
                hashes.pop(names[i], None)
                fail(names[i], why)
            # Whole batches: a picture's last digits depend on how many it is computed with, and
            # a run that goes on from here finds the same batches.
            writer.flush(shard_rows)
            embedded += len(done.rows)
            bar.update(min(batch_size, len(names) - bar.n))
    for name, sha256 in copies.items():
        if sha256 in writer.known:
            writer.add(sha256, name)
        else:
            fail(name, f"{name} has the content of a file that failed.")
    return Summary(embedded, len(names) - embedded - len(failed), failed)


def _check_name(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{path!r} is no text, as a stored name must be: rename it.") from None
