"""The nearest vectors by cosine, found by comparing with all."""

from __future__ import annotations

import numpy as np
from sklearn.utils.validation import check_array


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Each vector over its length; a zero vector stays zero.

    Parameters
    ----------
    vectors : ndarray of float, shape (N, D)

    Returns
    -------
    ndarray of float32, shape (N, D)
    """
    vectors = check_array(vectors, input_name="vectors", dtype=(np.float32, np.float64))
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)


def nearest(vectors: np.ndarray, k: int, queries: np.ndarray | None = None) -> np.ndarray:
    """The k nearest other vectors of each, by cosine, best first.

    Parameters
    ----------
    vectors : ndarray of float, shape (N, D)
    k : int
    queries : ndarray of int, optional
        Positions to ask for; default all.

    Returns
    -------
    ndarray of int64, shape (number of queries, k)
    """
    v = normalised(vectors)
    queries = np.arange(len(v)) if queries is None else np.asarray(queries)
    cosine = v[queries] @ v.T
    cosine[np.arange(len(queries)), queries] = -np.inf  # a query is not its own neighbour
    return np.argsort(-cosine, axis=1, kind="stable")[:, :k]
