"""The image sets, by name."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from embedlab.data import download as sources
from embedlab.data.images import SIDE, Images, Split, hold_out

# load_digits() lists one person's handwriting after another's. The boundaries are those that the
# scikit-learn MOOC found; UCI's own note speaks of 13 writers where they see 14 blocks.
# fmt: off
WRITER_BOUNDS = (
    0, 130, 256, 386, 516, 646, 776, 915, 1029, 1157, 1287, 1415, 1545, 1667, 1797,
)
# fmt: on


def load_images(name: str = "digits", limit: tuple[int, int, int] | None = None) -> Images:
    """Load an image set by name.

    Parameters
    ----------
    name : str
        ``"digits"``, ``"photo-crops"`` or ``"faces"`` (embedded, no network needed);
        ``"fashion-mnist"`` or ``"cifar10"`` (downloaded once); or ``"folder:PATH"``, your own
        images, one sub-folder a class.
    limit : (int, int, int), optional
        At most so many images of train, val and test: a fixed random choice, the same each time.

    Returns
    -------
    Images

    Raises
    ------
    ValueError
        For an unknown name, or a limit that is not three positive integers.
    embedlab.data.download.DataUnavailable
        For a set that is not on disk and cannot be downloaded.
    """
    if name.startswith("folder:"):
        from embedlab.data.folder import load_folder

        images = load_folder(name)
    elif name in LOADERS:
        images = LOADERS[name]()
    else:
        known = ", ".join(map(repr, LOADERS))
        raise ValueError(f"name={name!r} is not an image set: use {known} or 'folder:PATH'.")
    return images if limit is None else _limited(images, limit)


def _limited(images: Images, limit: tuple[int, int, int]) -> Images:
    if len(limit) != 3 or any(not isinstance(n, int | np.integer) or n < 1 for n in limit):
        raise ValueError(f"limit={limit!r} must be three positive integers: (train, val, test).")
    kept = {}
    for key, n in zip(("train", "val", "test"), limit, strict=True):
        split = getattr(images, key)
        order = np.random.default_rng(0).permutation(len(split))
        kept[key] = split[np.sort(order[:n])]
    return replace(images, **kept)


def writer_of_digit() -> np.ndarray:
    """Which of the 14 blocks of handwriting each of scikit-learn's digits belongs to.

    Returns
    -------
    ndarray of int64, shape (1797,)
    """
    return np.repeat(np.arange(14), np.diff(WRITER_BOUNDS))


def all_digits() -> Split:
    """Scikit-learn's 1,797 digits in the file's order, each 8x8 scan enlarged to 32x32."""
    from sklearn.datasets import load_digits

    scans = load_digits()
    small = (scans.images / 16.0).astype(np.float32)
    return Split(_enlarge(small)[:, None], scans.target.astype(np.int64))


def _enlarge(small: np.ndarray) -> np.ndarray:
    """Bilinear enlargement of (N, h, w) float images to (N, 32, 32), as Pillow does it."""
    return np.stack(
        [np.asarray(Image.fromarray(s).resize((SIDE, SIDE), Image.BILINEAR)) for s in small]
    )


def _digits() -> Images:
    """Blocks of writers 0-7 train, 8-9 val, 10-13 test: nobody's hand is in two splits."""
    digits, writer = all_digits(), writer_of_digit()
    return Images(
        "digits",
        tuple("0123456789"),
        digits[writer < 8],
        digits[(writer >= 8) & (writer < 10)],
        digits[writer >= 10],
    )


# Names of scikit-image's bundled photographs, and the class name each gets here.
PHOTOS = {
    "astronaut": "astronaut",
    "cat": "cat",
    "coffee": "coffee",
    "rocket": "rocket",
    "hubble_deep_field": "galaxies",
    "immunohistochemistry": "tissue",
    "retina": "retina",
    "brick": "brick",
    "grass": "grass",
    "gravel": "gravel",
}


_BLOCK = 64  # pixels: a crop lies inside one block, and a block belongs to one split


_PLACES = _BLOCK - SIDE + 1  # where a crop can begin in its block, along each axis


_FLAT = 0.03  # standard deviation below which a crop shows nothing: black, or empty sky


def _photo_crops() -> Images:
    """Crops of ten photographs; train, val and test crops come from different blocks of each."""
    from skimage import data

    share = {"train": (100, (0, 1, 2)), "val": (25, (3,)), "test": (50, (4, 5))}
    parts: dict[str, list[Split]] = {key: [] for key in share}
    for label, photo_name in enumerate(PHOTOS):
        photo = Image.fromarray(getattr(data, photo_name)()).convert("RGB")
        scale = 6 * _BLOCK / min(photo.size)
        photo = photo.resize([round(side * scale) for side in photo.size], Image.LANCZOS)
        pixels = np.asarray(photo, np.float32) / 255
        rows, cols = (side // _BLOCK for side in pixels.shape[:2])
        row, col = np.divmod(np.arange(rows * cols), cols)
        group = (row + 2 * col) % 6  # a pattern that spreads each split over the whole photograph
        rng = np.random.default_rng(label)
        windows = np.lib.stride_tricks.sliding_window_view(pixels, (SIDE, SIDE), (0, 1))
        for key, (n, groups) in share.items():
            blocks = np.flatnonzero(np.isin(group, groups))
            # Twice as many as needed, all different; then the first that are not of one colour.
            drawn = rng.choice(len(blocks) * _PLACES**2, 2 * n, replace=False)
            block, y, x = np.unravel_index(drawn, (len(blocks), _PLACES, _PLACES))
            block = blocks[block]
            crops = windows[row[block] * _BLOCK + y, col[block] * _BLOCK + x]
            crops = crops[crops.std(axis=(1, 2, 3)) >= _FLAT][:n]
            parts[key].append(Split(crops, np.full(len(crops), label)))
    return Images("photo-crops", tuple(PHOTOS.values()), **{k: _joined(parts[k]) for k in parts})


def _joined(parts: list[Split]) -> Split:
    return Split(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]))


def _faces() -> Images:
    """Scikit-image's 100 faces and 100 patches without one, 25x25 enlarged to 32x32."""
    from skimage.data import lfw_subset

    x = _enlarge(lfw_subset().astype(np.float32))[:, None].clip(0, 1)
    y = np.repeat(np.array([1, 0]), 100)  # the file holds the faces first
    rest, test = hold_out(Split(x, y), 0.3)
    train, val = hold_out(rest, 0.3)
    return Images("faces", ("no face", "face"), train, val, test)


def _pad28(x: np.ndarray) -> np.ndarray:
    """uint8 (N, 28, 28) to float32 (N, 1, 32, 32), a black border of two pixels round it."""
    out = np.zeros((len(x), 1, SIDE, SIDE), np.float32)
    np.divide(x, 255, out=out[:, 0, 2:30, 2:30])
    return out


def _idx(path) -> np.ndarray:
    """Read a gzipped IDX file of unsigned bytes (the MNIST family's format)."""
    with gzip.open(path) as file:
        magic = file.read(4)
        shape = np.frombuffer(file.read(4 * magic[3]), ">u4")
        return np.frombuffer(file.read(), np.uint8).reshape(shape)


def _with_val(name: str, names: tuple[str, ...], train: Split, test: Split, n_val: int) -> Images:
    """The last `n_val` training images become val: the authors' own test set stays whole."""
    cut = len(train) - n_val
    return Images(name, names, train[:cut], train[cut:], test)


def _fashion_mnist() -> Images:
    names = "T-shirt trouser pullover dress coat sandal shirt sneaker bag boot".split()
    train_x, train_y, test_x, test_y = map(_idx, sources.fetch("fashion-mnist"))
    train = Split(_pad28(train_x), train_y.astype(np.int64))
    test = Split(_pad28(test_x), test_y.astype(np.int64))
    return _with_val("fashion-mnist", tuple(names), train, test, 10_000)


def _cifar10() -> Images:
    names = "airplane automobile bird cat deer dog frog horse ship truck".split()
    (archive,) = sources.fetch("cifar10")
    batches = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and "_batch" in member.name:
                stream = io.BytesIO(tar.extractfile(member).read())
                # Safe to unpickle: the archive has just passed its checksum.
                batches[member.name.rpartition("/")[2]] = pickle.load(stream, encoding="bytes")

    def split(keys: list[str]) -> Split:
        x = np.concatenate([batches[key][b"data"] for key in keys]).reshape(-1, 3, SIDE, SIDE)
        y = np.concatenate([batches[key][b"labels"] for key in keys])
        return Split(x.astype(np.float32) / 255, y.astype(np.int64))

    train = split([f"data_batch_{i}" for i in range(1, 6)])
    return _with_val("cifar10", tuple(names), train, split(["test_batch"]), 5_000)


LOADERS: dict[str, Callable[[], Images]] = {
    "digits": _digits,
    "photo-crops": _photo_crops,
    "faces": _faces,
    "fashion-mnist": _fashion_mnist,
    "cifar10": _cifar10,
}


EMBEDDED = ("digits", "photo-crops", "faces")
