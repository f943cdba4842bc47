"""Image sets, all in one form: float32 in [0, 1], shape (N, C, 32, 32), with fixed splits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

SIDE = 32


@dataclass(frozen=True)
class Split:
    """Images with their labels.

    Attributes
    ----------
    x : ndarray of float32, shape (N, C, 32, 32)
        Pixels in [0, 1]; C is 1 or 3.
    y : ndarray of int64, shape (N,)
        Index into the set's ``class_names``.
    """

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index) -> Split:
        """The images at `index` (a slice, a mask or an array of positions)."""
        return Split(self.x[index], self.y[index])


@dataclass(frozen=True)
class Images:
    """A labelled image set with fixed splits: fit on `train`, choose on `val`, quote `test`.

    Attributes
    ----------
    name : str
        The name it was loaded by.
    class_names : tuple of str
        One name for each label.
    train, val, test : Split
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    val: Split
    test: Split

    def __repr__(self) -> str:
        sizes = ", ".join(f"{k} {len(getattr(self, k)):,}" for k in ("train", "val", "test"))
        shape = "x".join(map(str, self.train.x.shape[1:]))
        return f"Images({self.name!r}: {len(self.class_names)} classes, {shape}, {sizes})"


def hold_out(split: Split, share: float) -> tuple[Split, Split]:
    """Set a share of each class aside, the same images each time.

    Parameters
    ----------
    split : Split
    share : float
        Of each class, rounded; at least one image.

    Returns
    -------
    rest, held : Split
    """
    rng = np.random.default_rng(0)
    held = np.zeros(len(split), bool)
    for label in np.unique(split.y):
        index = rng.permutation(np.flatnonzero(split.y == label))
        held[index[: max(1, round(share * len(index)))]] = True
    return split[~held], split[held]


def as_tensor(x: np.ndarray) -> torch.Tensor:
    """`x` as a tensor, sharing its memory where torch can: it cannot where `x` is read-only.

    Parameters
    ----------
    x : ndarray

    Returns
    -------
    torch.Tensor
    """
    return torch.from_numpy(np.require(x, requirements=["C", "W"]))
