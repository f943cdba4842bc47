"""The measures: what an embedding is asked, the same questions for everybody.

Cosine is taken on the raw vectors, as vector databases do. Choices are made on val, numbers are
quoted on test.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from embedlab.intervals import Measure

C_GRID = (0.01, 0.1, 1.0)
# Enough for every fit here to converge; a fit that does not is cut there, for everybody alike.
MAX_ITER = 1_000


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


def _standardise(*sets: np.ndarray) -> list[np.ndarray]:
    """Zero mean and unit variance by the first set's statistics.

    A number that hardly varies beside the others is rounding, and stays small: blown up to unit
    variance it would be noise, and another on each machine. (LDA's last direction on digits is
    one: shrinkage lets it fall where the images have no variance at all.)
    """
    scaler = StandardScaler().fit(sets[0])
    spread = np.sqrt(scaler.var_)
    scaler.scale_[spread < 1e-5 * spread.max()] = spread.max() or 1.0
    return [scaler.transform(v) for v in sets]


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


def linear_probe(train, val, test) -> tuple[np.ndarray, float]:
    """Multinomial logistic regression on standardised vectors, C chosen on val.

    Parameters
    ----------
    train, val, test : (ndarray (N, D), ndarray (N,))
        Vectors and labels.

    Returns
    -------
    right : ndarray of float64, shape (N_test,)
        1 where a test image is classified rightly.
    C : float
        The inverse regularisation chosen.
    """
    (a, y), (b, y_val), (c, y_test) = train, val, test
    a, b, c = _standardise(a, b, c)
    model = LogisticRegression(max_iter=MAX_ITER, tol=1e-3, warm_start=True)
    best = (-1.0, None, None)
    for C in C_GRID:
        model.set_params(C=C).fit(a, y)
        accuracy = model.score(b, y_val)
        if accuracy > best[0]:  # a tie goes to the stronger regularisation
            best = (accuracy, C, (model.predict(c) == y_test).astype(float))
    return best[2], best[1]


def knn_probe(train, test, k: int = 10) -> np.ndarray:
    """k-nearest-neighbour classification by cosine.

    Parameters
    ----------
    train, test : (ndarray (N, D), ndarray (N,))
    k : int

    Returns
    -------
    ndarray of float64, shape (N_test,)
        1 where a test image is classified rightly.
    """
    # Between vectors of length one, order by distance is order by cosine.
    model = KNeighborsClassifier(min(k, len(train[1]))).fit(normalised(train[0]), train[1])
    return (model.predict(normalised(test[0])) == test[1]).astype(float)


def few_shot_draws(y: np.ndarray, shots: int = 5, draws: int = 10) -> list[np.ndarray]:
    """Positions of `shots` images of each class, drawn `draws` times, the same for everybody.

    Parameters
    ----------
    y : ndarray of int, shape (N,)
    shots, draws : int

    Returns
    -------
    list of ndarray of int
    """
    rng = np.random.default_rng(0)
    by_class = [np.flatnonzero(y == label) for label in np.unique(y)]
    short = min(map(len, by_class))
    if short < shots:
        raise ValueError(f"shots={shots}: a class has only {short} training images.")
    return [
        np.concatenate([rng.choice(members, shots, replace=False) for members in by_class])
        for _ in range(draws)
    ]


def few_shot(train, test, shots: int = 5, draws: int = 10) -> np.ndarray:
    """The linear probe with C = 1 from a few labelled images a class, several times over.

    Parameters
    ----------
    train, test : (ndarray (N, D), ndarray (N,))
    shots : int
        Labelled images a class.
    draws : int
        Repetitions with other images.

    Returns
    -------
    ndarray of float64, shape (draws, N_test)
        1 where a test image is classified rightly.
    """
    (a, y), (c, y_test) = train, test
    right = []
    for index in few_shot_draws(y, shots, draws):
        few, many = _standardise(a[index], c)
        model = LogisticRegression(C=1.0, max_iter=MAX_ITER, tol=1e-3).fit(few, y[index])
        right.append(model.predict(many) == y_test)
    return np.array(right, float)


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
    v, y = normalised(vectors)[order], np.asarray(y)[order]
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
    """Mean cosine between pairs of different vectors: near 1 where they crowd into a narrow cone.

    Parameters
    ----------
    vectors : ndarray of float, shape (N, D)

    Returns
    -------
    float
    """
    v = normalised(vectors).astype(np.float64)
    n = len(v)
    return float((np.square(v.sum(axis=0)).sum() - np.square(v).sum()) / (n * (n - 1)))


def measure_all(train, val, test, dataset: str = "") -> dict[str, Measure]:
    """Every measure of the yardstick.

    Parameters
    ----------
    train, val, test : (ndarray (N, D), ndarray (N,))
        Vectors and labels of each split.
    dataset : str
        Name of the image set.

    Returns
    -------
    dict of str to Measure
        ``linear``, ``knn``, ``five_shot`` and ``map``.
    """
    right, _ = linear_probe(train, val, test)
    shots = few_shot(train, test)
    units = {
        "linear": {"image": right},
        "knn": {"image": knn_probe(train, test)},
        "five_shot": {"image": shots.mean(axis=0), "draw": shots.mean(axis=1)},
        "map": {"image": mean_average_precision(*test)},
    }
    return {name: Measure.from_units(name, dataset, **u) for name, u in units.items()}


def reconstruction_error(
    x: np.ndarray, rebuilt: np.ndarray, dataset: str = "", where: np.ndarray | None = None
) -> Measure:
    """Logarithm of the mean squared error of rebuilt images, so that differences are ratios.

    Parameters
    ----------
    x, rebuilt : ndarray of float, shape (N, C, H, W)
    dataset : str
    where : ndarray of bool, shape (H, W), optional
        Pixels that count; default all.

    Raises
    ------
    ValueError
        For shapes that do not go together, or rebuilt images without any error.

    Returns
    -------
    Measure
        ``"log_error"``; ``np.exp(measure.value)`` is the mean squared error a pixel.
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
