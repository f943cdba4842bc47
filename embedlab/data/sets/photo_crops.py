"""``photo-crops``: 32x32 crops of ten photographs; the class is the photograph."""

import numpy as np
from PIL import Image

from embedlab.data.images import SIDE, Images, Split

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
# Crops of each photograph, and the groups of blocks they are cut from.
SHARE = {"train": (100, (0, 1, 2)), "val": (25, (3,)), "test": (50, (4, 5))}
BLOCK = 64  # pixels: a crop lies inside one block, and a block belongs to one split
PLACES = BLOCK - SIDE + 1  # where a crop can begin in its block, along each axis
FLAT = 0.03  # standard deviation below which a crop shows nothing: black, or empty sky


def load() -> Images:
    """Train, val and test crops come from different blocks of each photograph."""
    cut = [_crops(photo, seed=label) for label, photo in enumerate(PHOTOS)]
    splits = {}
    for key in SHARE:
        y = np.repeat(np.arange(len(cut)), [len(crops[key]) for crops in cut])
        splits[key] = Split(np.concatenate([crops[key] for crops in cut]), y)
    return Images("photo-crops", tuple(PHOTOS.values()), **splits)


def _crops(photo_name: str, seed: int) -> dict[str, np.ndarray]:
    """Crops of one photograph for each split, (n, 3, 32, 32)."""
    from skimage import data

    photo = Image.fromarray(getattr(data, photo_name)()).convert("RGB")
    scale = 6 * BLOCK / min(photo.size)
    photo = photo.resize([round(side * scale) for side in photo.size], Image.LANCZOS)
    pixels = np.asarray(photo, np.float32) / 255
    rows, cols = (side // BLOCK for side in pixels.shape[:2])
    row, col = np.divmod(np.arange(rows * cols), cols)
    group = (row + 2 * col) % 6  # a pattern that spreads each split over the whole photograph
    rng = np.random.default_rng(seed)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (SIDE, SIDE), (0, 1))
    found = {}
    for key, (n, groups) in SHARE.items():
        blocks = np.flatnonzero(np.isin(group, groups))
        # Twice as many as needed, all different; then the first that are not of one colour.
        drawn = rng.choice(len(blocks) * PLACES**2, 2 * n, replace=False)
        block, y, x = np.unravel_index(drawn, (len(blocks), PLACES, PLACES))
        block = blocks[block]
        crops = windows[row[block] * BLOCK + y, col[block] * BLOCK + x]
        found[key] = crops[crops.std(axis=(1, 2, 3)) >= FLAT][:n]
    return found
