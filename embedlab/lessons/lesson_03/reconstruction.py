"""How far rebuilt images are from what they should be."""

import numpy as np

from embedlab.measure.intervals import Measure


def reconstruction_error(
    x: np.ndarray, rebuilt: np.ndarray, dataset: str = "", where: np.ndarray | None = None
) -> Measure:
    """Logarithm of the mean squared error of rebuilt images, so that differences are ratios.

    Of images (N, C, H, W) alike, and of their pixels those where `where`, (H, W) of bool, is true.
    ``np.exp(measure.value)`` is the mean squared error a pixel; without any error, ValueError.
    """
    x, rebuilt = np.asarray(x), np.asarray(rebuilt, np.float64)
    if x.ndim != 4 or x.shape != rebuilt.shape:
        raise ValueError(f"x and rebuilt must be (N, C, H, W) alike: {x.shape}, {rebuilt.shape}.")
    where = np.ones(x.shape[2:], bool) if where is None else np.asarray(where)
    if where.dtype != bool or where.shape != x.shape[2:] or not where.any():
        raise ValueError(f"where must hold {x.shape[2:]} booleans, some of them true.")
    missed = np.square(rebuilt - x).mean(axis=1)[:, where].mean(axis=1)  # (N,)
    error = missed.mean()
    if error == 0:
        raise ValueError("rebuilt is x itself: an error of 0 has no logarithm.")
    # The logarithm of a mean: each image's contribution is its first-order influence.
    return Measure.from_units("log_error", dataset, image=np.log(error) + missed / error - 1)
