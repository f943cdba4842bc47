"""``cifar10``: 60,000 colour photographs, downloaded once."""

import pickle
import tarfile

import numpy as np

from embedlab.data.download import fetch
from embedlab.data.images import SIDE, Images, Split, with_val

NAMES = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())


def load() -> Images:
    """The last 5,000 of the authors' training images are val."""
    (archive,) = fetch("cifar10")
    batches = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and "_batch" in member.name:
                # Safe to unpickle: the archive has just passed its checksum.
                batch = pickle.load(tar.extractfile(member), encoding="bytes")
                batches[member.name.rpartition("/")[2]] = batch

    def split(*keys: str) -> Split:
        x = np.concatenate([batches[key][b"data"] for key in keys]).reshape(-1, 3, SIDE, SIDE)
        y = np.concatenate([batches[key][b"labels"] for key in keys])
        return Split(x.astype(np.float32) / 255, y.astype(np.int64))

    train = split(*(f"data_batch_{i}" for i in range(1, 6)))
    return with_val("cifar10", NAMES, train, split("test_batch"), 5_000)
