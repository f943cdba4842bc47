"""The image sets, by name: each has its file in ``sets/``, your own pictures are ``folder.py``."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from embedlab.data.folder import load_folder
from embedlab.data.images import Images
from embedlab.data.sets import cifar10, digits, faces, fashion_mnist, photo_crops

LOADERS: dict[str, Callable[[], Images]] = {
    "digits": digits.load,
    "photo-crops": photo_crops.load,
    "faces": faces.load,
    "fashion-mnist": fashion_mnist.load,
    "cifar10": cifar10.load,
}
EMBEDDED = ("digits", "photo-crops", "faces")


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
        With splits `train`, `val` and `test`; of each, `x` is float32 in [0, 1], (N, C, 32, 32),
        and `y` int64, (N,). C is 1 for greys, which a folder holds if every picture in it is grey.

    Raises
    ------
    ValueError
        For an unknown name, or a limit that is not three positive integers.
    embedlab.data.download.DataUnavailable
        For a set that is not on disk and cannot be downloaded.
    """
    if name.startswith("folder:"):
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
