"""What attention weights say: how far patches look, and what the last tokens are made of."""

from collections.abc import Sequence

import numpy as np


def attention_rollout(attention: np.ndarray) -> np.ndarray:
    """How much of each input patch is in each last token, if attention were all that mixes them.

    The heads of a layer are averaged; the skip connection counts as looking at oneself, as much as
    at all tokens together; and layers multiply.

    Parameters
    ----------
    attention : ndarray of float, shape (N, layers, heads, T, T)
        Rows sum to one.

    Returns
    -------
    ndarray of float, shape (N, T, T)
        Row i: what token i is made of; it sums to one.

    References
    ----------
    Abnar and Zuidema (2020), Quantifying attention flow in transformers.
    """
    attention = _checked(attention)
    mixing = (attention.mean(axis=2) + np.eye(attention.shape[-1])) / 2  # (N, layers, T, T)
    out = mixing[:, 0]
    for layer in range(1, mixing.shape[1]):
        out = mixing[:, layer] @ out
    return out


def patch_distances(side: int, patch_size: int) -> np.ndarray:
    """Distances in pixels between the centres of all patches, `side` along a side: (T, T)."""
    place = np.indices((side, side)).reshape(2, -1).T * patch_size
    return np.linalg.norm(place[:, None] - place[None], axis=2)


def attention_distance(
    attention: np.ndarray, patch_size: int, patches: Sequence[int] | None = None
) -> np.ndarray:
    """How far patches look: the distance to what they attend to, averaged by the weights.

    Parameters
    ----------
    attention : ndarray of float, shape (N, layers, heads, 1 + P, 1 + P)
        CLS first; it is nowhere, so it is left out, and the other weights are scaled to sum to one.
    patch_size : int
    patches : sequence of int, optional
        Those whose looks are averaged, counted row by row. Default: all.

    Returns
    -------
    ndarray of float, shape (N, layers, heads)
        Pixels, between centres of patches.

    References
    ----------
    Dosovitskiy et al. (2020), An image is worth 16x16 words, figure 7.
    """
    attention = _checked(attention)
    weights = attention[..., 1:, 1:]
    side = round(weights.shape[-1] ** 0.5)
    if side**2 != weights.shape[-1]:
        raise ValueError(
            f"attention: {attention.shape[-1]} tokens are not CLS and a square of patches."
        )
    weights = weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-12)
    distance = (weights * patch_distances(side, patch_size)).sum(axis=-1)
    return (distance if patches is None else distance[..., list(patches)]).mean(axis=-1)


def _checked(attention: np.ndarray) -> np.ndarray:
    attention = np.asarray(attention)
    if attention.ndim != 5 or attention.shape[-1] != attention.shape[-2]:
        raise ValueError(
            f"attention must have shape (N, layers, heads, T, T), got {attention.shape}."
        )
    return attention
