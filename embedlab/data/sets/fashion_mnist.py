"""``fashion-mnist``: 70,000 product photographs of clothes, downloaded once."""

import gzip

import numpy as np

from embedlab.data.download import fetch
from embedlab.data.images import SIDE, Images, Split, with_val

NAMES = tuple("T-shirt trouser pullover dress coat sandal shirt sneaker bag boot".split())


def load() -> Images:
    """28x28 greys in a black border of two pixels; the last 10,000 of train are val."""
    train_x, train_y, test_x, test_y = map(_idx, fetch("fashion-mnist"))
    train = Split(_pad28(train_x), train_y.astype(np.int64))
    test = Split(_pad28(test_x), test_y.astype(np.int64))
    return with_val("fashion-mnist", NAMES, train, test, 10_000)


def _idx(path) -> np.ndarray:
    """Read a gzipped IDX file of unsigned bytes (the MNIST family's format)."""
    with gzip.open(path) as file:
        magic = file.read(4)
        shape = np.frombuffer(file.read(4 * magic[3]), ">u4")
        return np.frombuffer(file.read(), np.uint8).reshape(shape)


def _pad28(x: np.ndarray) -> np.ndarray:
    """uint8 (N, 28, 28) to float32 (N, 1, 32, 32)."""
    out = np.zeros((len(x), 1, SIDE, SIDE), np.float32)
    np.divide(x, 255, out=out[:, 0, 2:30, 2:30])
    return out
