"""``faces``: scikit-image's 100 faces and 100 patches without one."""

import numpy as np

from embedlab.data.images import Images, Split, enlarge, hold_out


def load() -> Images:
    """25x25 greys enlarged to 32x32; a fixed 30% of each class is test, 30% of the rest val."""
    from skimage.data import lfw_subset

    x = enlarge(lfw_subset().astype(np.float32))[:, None].clip(0, 1)
    y = np.repeat(np.array([1, 0]), 100)  # the file holds the faces first
    rest, test = hold_out(Split(x, y), 0.3)
    train, val = hold_out(rest, 0.3)
    return Images("faces", ("no face", "face"), train, val, test)
