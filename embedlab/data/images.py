"""Image sets, all in one form: float32 in [0, 1], shape (N, C, 32, 32), with fixed splits."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

SIDE = 32


@dataclass(frozen=True)
class Split:
    """Images with their labels."""

    x: np.ndarray  # float32 in [0, 1], (N, C, 32, 32), C is 1 or 3
    y: np.ndarray  # int64, (N,): index into the set's `class_names`

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index) -> "Split":
        """The images at `index` (a slice, a mask or an array of positions)."""
        return Split(self.x[index], self.y[index])


@dataclass(frozen=True)
class Images:
    """A labelled image set with fixed splits: fit on `train`, choose on `val`, quote `test`."""

    name: str  # that it was loaded by
    class_names: tuple[str, ...]
    train: Split
    val: Split
    test: Split

    def __repr__(self) -> str:
        sizes = ", ".join(f"{k} {len(getattr(self, k)):,}" for k in ("train", "val", "test"))
        shape = "x".join(map(str, self.train.x.shape[1:]))
        return f"Images({self.name!r}: {len(self.class_names)} classes, {shape}, {sizes})"


def hold_out(split: Split, share: float) -> tuple[Split, Split]:
    """The rest, and a share of each class (rounded, at least one image), the same each time."""
    rng = np.random.default_rng(0)
    held = np.zeros(len(split), bool)
    for label in np.unique(split.y):
        index = rng.permutation(np.flatnonzero(split.y == label))
        held[index[: max(1, round(share * len(index)))]] = True
    return split[~held], split[held]


def with_val(name: str, names: tuple[str, ...], train: Split, test: Split, n_val: int) -> Images:
    """The last `n_val` training images become val: the authors' own test set stays whole."""
    cut = len(train) - n_val
    return Images(name, names, train[:cut], train[cut:], test)


def enlarge(small: np.ndarray) -> np.ndarray:
    """Bilinear enlargement of float images, (N, h, w) to (N, 32, 32), as Pillow does it."""
    return np.stack(
        [np.asarray(Image.fromarray(s).resize((SIDE, SIDE), Image.BILINEAR)) for s in small]
    )


def as_tensor(x: np.ndarray) -> torch.Tensor:
    """`x` as a tensor, sharing its memory where torch can: it cannot where `x` is read-only."""
    return torch.from_numpy(np.require(x, requirements=["C", "W"]))
