"""``digits``: scikit-learn's 1,797 handwritten digits, split by the hand that wrote them."""

import numpy as np

from embedlab.data.images import Images, Split, enlarge

# load_digits() lists one person's handwriting after another's. The boundaries are those that the
# scikit-learn MOOC found; UCI's own note speaks of 13 writers where they see 14 blocks.
# fmt: off
WRITER_BOUNDS = (
    0, 130, 256, 386, 516, 646, 776, 915, 1029, 1157, 1287, 1415, 1545, 1667, 1797,
)
# fmt: on


def writer_of_digit() -> np.ndarray:
    """Which of the 14 blocks of handwriting each digit belongs to: ndarray of int64, (1797,)."""
    return np.repeat(np.arange(14), np.diff(WRITER_BOUNDS))


def all_digits() -> Split:
    """The digits in the file's order, each 8x8 scan enlarged to 32x32: x is (1797, 1, 32, 32)."""
    from sklearn.datasets import load_digits

    scans = load_digits()
    small = (scans.images / 16.0).astype(np.float32)
    return Split(enlarge(small)[:, None], scans.target.astype(np.int64))


def load() -> Images:
    """Blocks of writers 0-7 train, 8-9 val, 10-13 test: nobody's hand is in two splits."""
    digits, writer = all_digits(), writer_of_digit()
    return Images(
        "digits",
        tuple("0123456789"),
        digits[writer < 8],
        digits[(writer >= 8) & (writer < 10)],
        digits[writer >= 10],
    )
