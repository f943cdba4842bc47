"""Finding texts for images and images for texts, and the gap between the two."""

import numpy as np

from embedlab.data.checks import check_positive
from embedlab.measure.intervals import Measure
from embedlab.search.exact import normalize, top_k


def recall_at(k: int, queries: np.ndarray, gallery: np.ndarray, same: np.ndarray) -> np.ndarray:
    """1 or 0, (N,): is one that answers a query (N, D), by `same` (N, M), among its k nearest?"""
    check_positive(k, "k")
    if same.shape != (len(queries), len(gallery)):
        raise ValueError(
            f"same has shape {same.shape}, the {len(queries)} queries and {len(gallery)} of the "
            f"gallery need {len(queries), len(gallery)}."
        )
    found = top_k(queries, gallery, k)
    return np.take_along_axis(same, found, axis=1).any(axis=1).astype(float)


def recalls(
    image: np.ndarray,
    text: np.ndarray,
    captions: np.ndarray,
    dataset: str = "",
    ks: tuple[int, ...] = (1, 5),
    pool: int = 100,
) -> dict[str, Measure]:
    """Recall both ways among pools of pairs; equal captions are matches of each other's images.

    Row i of `image` and `text`, both (N, D), is a pair, with one of the `captions` (N,). There are
    `pool` pairs to choose among: the larger, the harder; pairs that fill no pool are left out. The
    measures, of accuracy, have names such as ``"image to text @5"``.
    """
    if len(image) < pool:
        raise ValueError(f"pool={pool}: there are only {len(image)} pairs.")
    pools = [slice(i, i + pool) for i in range(0, len(image) - pool + 1, pool)]
    out = {}
    for k in ks:
        for way, a, b in (("image to text", image, text), ("text to image", text, image)):
            found = [
                recall_at(k, a[p], b[p], captions[p][:, None] == captions[p][None]) for p in pools
            ]
            units = np.concatenate(found)
            out[f"{way} @{k}"] = Measure.from_units("accuracy", dataset, image=units)
    return out


def modality_gap(image: np.ndarray, text: np.ndarray) -> float:
    """Distance between the mean image (N, D) and the mean text (M, D), all vectors of length one.

    0 where both have the same middle, 2 where they sit at opposite poles.

    Liang et al. (2022), Mind the gap: understanding the modality gap in multi-modal contrastive
    representation learning.
    """
    return float(np.linalg.norm(image.mean(axis=0) - text.mean(axis=0)))


def close_gap(vectors: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Vectors (N, D) moved so that `middle` (D,) is the origin, and brought back to length one.

    The middle of a modality is the mean of its vectors, taken on training pairs.
    """
    return normalize(vectors - middle)
