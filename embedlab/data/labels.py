"""How labels go wrong: at random, and systematically."""

from __future__ import annotations

import numpy as np


def random_mistakes(y: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Give a share of the images a label that is not theirs, any other class equally likely.

    Parameters
    ----------
    y : ndarray of int, shape (N,)
    share : float
        From 0 to 1, of all labels, to the nearest image.
    seed : int

    Returns
    -------
    ndarray of int64, shape (N,)
    """
    rng = np.random.default_rng(seed)
    classes, wrong = np.unique(y), _chosen(y, share, rng)
    shift = rng.integers(1, len(classes), len(wrong))  # never 0: each of these labels is wrong
    return _moved_on(y, wrong, shift)


def systematic_mistakes(y: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Take a share of each class for the next one: every 0 so chosen is called 1, every 9 a 0.

    Parameters
    ----------
    y : ndarray of int, shape (N,)
    share : float
        From 0 to 1, of all labels, to the nearest image.
    seed : int

    Returns
    -------
    ndarray of int64, shape (N,)
    """
    return _moved_on(y, _chosen(y, share, np.random.default_rng(seed)), 1)


def shuffled(y: np.ndarray, seed: int = 0) -> np.ndarray:
    """The same labels dealt out at random: a control from which there is nothing to learn.

    Parameters
    ----------
    y : ndarray of int, shape (N,)
    seed : int

    Returns
    -------
    ndarray of int64, shape (N,)
    """
    return np.random.default_rng(seed).permutation(y)


def _chosen(y: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Positions of the labels to spoil, none twice."""
    if not 0 <= share <= 1:
        raise ValueError(f"share={share!r} must lie between 0 and 1.")
    return rng.permutation(len(y))[: round(share * len(y))]


def _moved_on(y: np.ndarray, wrong: np.ndarray, shift: np.ndarray | int) -> np.ndarray:
    """A copy of `y`, its labels at `wrong` moved `shift` classes on, past the last to the first."""
    classes, position = np.unique(y, return_inverse=True)
    out = y.copy()
    out[wrong] = classes[(position[wrong] + shift) % len(classes)]
    return out
