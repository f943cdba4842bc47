"""Retrieval by cosine: mean average precision, and how crowded the vectors are."""

import numpy as np
from sklearn.utils.validation import check_consistent_length, column_or_1d

from embedlab.search.exact import normalize


def mean_average_precision(vectors: np.ndarray, y: np.ndarray, block: int = 512) -> np.ndarray:
    """Contribution of each image to mAP when each image queries all others by cosine.

    Average precision divides by the number of relevant items, never by the number found. Ties
    are broken by a fixed random order, so that equal vectors score as chance does.

    An image counts twice: as a query, and as an answer to the others' queries. So its
    contribution is the jackknife pseudo-value ``mAP + N * dmAP/dw``, with ``w`` the weight of that
    image in both roles. Their mean is exactly mAP, and resampling them resamples queries and
    gallery at once, copies of a query never counting as its matches. Resampling the queries'
    own average precisions instead would give intervals that are too narrow.

    Parameters
    ----------
    vectors : ndarray of float, shape (N, D)
    y : ndarray of int, shape (N,)
        At least two images of each class.
    block : int
        Queries at a time: memory grows with ``block * N``.

    Returns
    -------
    ndarray of float64, shape (N,)
    """
    y = column_or_1d(y)
    check_consistent_length(vectors, y)
    n = len(y)
    order = np.random.default_rng(0).permutation(n)
    v, y = normalize(vectors)[order], np.asarray(y)[order]
    ap = np.empty(n)
    as_answer = np.zeros(n)  # sum over the queries of dAP/dw of this image
    rank = np.arange(1, n, dtype=np.float32)
    for start in range(0, n, block):
        query = np.arange(start, min(start + block, n))
        cosine = v[query] @ v.T
        cosine[np.arange(len(query)), query] = np.inf  # the query itself comes first …
        found = np.argsort(-cosine, axis=1, kind="stable")[:, 1:]  # … and is left out
        relevant = y[found] == y[query, None]
        n_relevant = relevant.sum(axis=1, keepdims=True)
        if n_relevant.min() < 1:
            raise ValueError("y must hold at least two images of each class.")
        hits = np.cumsum(relevant, axis=1, dtype=np.float32)
        precision = hits / rank
        block_ap = (precision * relevant).sum(axis=1, keepdims=True) / n_relevant
        ap[query] = block_ap[:, 0]
        # One more image at a rank adds 1 to every count from there on: to `rank` always, to
        # `hits` if it is relevant, and its own precision to the sum.
        gain = _from_here_on(relevant / rank)
        loss = _from_here_on(relevant * precision / rank)
        slope = (relevant * (precision - block_ap + gain) - loss) / n_relevant
        as_answer += np.bincount(found.ravel(), slope.ravel(), minlength=n)
    out = np.empty(n)
    out[order] = ap + as_answer
    return out


def _from_here_on(values: np.ndarray) -> np.ndarray:
    """Sum along each row from each place to the end."""
    return np.cumsum(values[:, ::-1], axis=1, dtype=np.float32)[:, ::-1]


def mean_cosine(vectors: np.ndarray) -> float:
    """Mean cosine between pairs of vectors (N, D): near 1 where they crowd into a narrow cone."""
    v = normalize(vectors).astype(np.float64)
    n = len(v)
    return float((np.square(v.sum(axis=0)).sum() - np.square(v).sum()) / (n * (n - 1)))
