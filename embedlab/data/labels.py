"""How labels go wrong: at random, and systematically."""

import numpy as np


def symmetric_noise(y: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Give a share of the images a label that is not theirs, any other class equally likely.

    Parameters
    ----------
    y : ndarray of int64, shape (N,)
    share : float
        From 0 to 1, of all labels, to the nearest image.
    seed : int

    Returns
    -------
    ndarray of int64, shape (N,)

    Raises
    ------
    ValueError
        For a share outside [0, 1].

    References
    ----------
    Patrini et al. (2017), Making deep neural networks robust to label noise.
    """
    rng = np.random.default_rng(seed)
    classes, wrong = np.unique(y), _chosen(y, share, rng)
    shift = rng.integers(1, len(classes), len(wrong))  # never 0: each of these labels is wrong
    return _moved_on(y, wrong, shift)


def pair_flip_noise(y: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Take some of each class for the next one: every 0 so chosen is called 1, every 9 a 0.

    Parameters, result and error are those of :func:`symmetric_noise`.

    References
    ----------
    Han et al. (2018), Co-teaching: robust training of networks with extremely noisy labels.
    """
    return _moved_on(y, _chosen(y, share, np.random.default_rng(seed)), 1)


def shuffled(y: np.ndarray, seed: int = 0) -> np.ndarray:
    """The same labels, (N,), dealt out at random: a control from which nothing can be learned."""
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
