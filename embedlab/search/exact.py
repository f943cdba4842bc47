"""The nearest vectors by cosine, found by comparing with all."""

import numpy as np
from sklearn.utils.validation import check_array


def normalize(vectors: np.ndarray) -> np.ndarray:
    """Each vector (N, D) over its length, as float32; a zero vector stays zero."""
    vectors = check_array(vectors, input_name="vectors", dtype=(np.float32, np.float64))
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)


def top_k(
    queries: np.ndarray, gallery: np.ndarray, k: int, own: np.ndarray | None = None
) -> np.ndarray:
    """Positions (N, k) of the k of a gallery (M, D) nearest to each query (N, D), best first.

    Of equals the first comes first. `own` (N,) are the places of the queries in the gallery, if
    they must not find themselves.
    """
    if k > len(gallery):
        raise ValueError(f"k={k} is more than the {len(gallery)} of the gallery.")
    cosine = normalize(queries) @ normalize(gallery).T
    if own is not None:
        cosine[np.arange(len(own)), own] = -np.inf
    return np.argsort(-cosine, axis=1, kind="stable")[:, :k]


def nearest(vectors: np.ndarray, k: int, queries: np.ndarray | None = None) -> np.ndarray:
    """Of each vector (N, D), or of those at `queries`, the k nearest others, best first."""
    vectors = np.asarray(vectors)
    queries = np.arange(len(vectors)) if queries is None else np.asarray(queries)
    return top_k(vectors[queries], vectors, k, own=queries)
