"""The measures: what an embedding is asked, the same questions for everybody.

Cosine is taken on the raw vectors, as vector databases do. Choices are made on val, numbers are
quoted on test.
"""

from copy import deepcopy

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from embedlab.data.images import Split
from embedlab.measure.intervals import Measure
from embedlab.search.exact import normalize

C_GRID = (0.01, 0.1, 1.0)
# Enough for every fit here to converge; a fit that does not is cut there, for everybody alike.
MAX_ITER = 1_000


def _standardize(*sets: np.ndarray) -> list[np.ndarray]:
    """Zero mean and unit variance by the first set's statistics.

    A number that hardly varies beside the others is rounding, and stays small: blown up to unit
    variance it would be noise, and another on each machine. (LDA's last direction on digits is
    one: shrinkage lets it fall where the images have no variance at all.)
    """
    scaler = StandardScaler().fit(sets[0])
    spread = np.sqrt(scaler.var_)
    scaler.scale_[spread < 1e-5 * spread.max()] = spread.max() or 1.0
    return [scaler.transform(v) for v in sets]


def linear_probe(train, val, test) -> tuple[np.ndarray, float]:
    """Multinomial logistic regression on standardised vectors (N, D), with labels (N,).

    Gives 1 where a test image is classified rightly, (N_test,), and the C chosen on val.
    """
    (a, y), (b, y_val), (c, y_test) = train, val, test
    a, b, c = _standardize(a, b, c)
    model = LogisticRegression(max_iter=MAX_ITER, tol=1e-3, warm_start=True)
    fits = [deepcopy(model.set_params(C=C).fit(a, y)) for C in C_GRID]
    best = max(fits, key=lambda fit: fit.score(b, y_val))  # of equals, the stronger regularisation
    return (best.predict(c) == y_test).astype(float), best.C


def knn_probe(train, test, k: int = 10) -> np.ndarray:
    """1 where the `k` nearest neighbours by cosine class a test image rightly, (N_test,)."""
    # Between vectors of length one, order by distance is order by cosine.
    model = KNeighborsClassifier(min(k, len(train[1]))).fit(normalize(train[0]), train[1])
    return (model.predict(normalize(test[0])) == test[1]).astype(float)


def few_shot_draws(y: np.ndarray, shots: int = 5, draws: int = 10) -> list[np.ndarray]:
    """Positions (classes * shots,) of `shots` images of each class of `y` (N,), of `draws` draws.

    The same for everybody. ValueError where a class has fewer images.
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
    """1 where the linear probe with C = 1 is right, taught `shots` images a class: (draws, N)."""
    (a, y), (c, y_test) = train, test
    right = []
    for index in few_shot_draws(y, shots, draws):
        few, many = _standardize(a[index], c)
        model = LogisticRegression(C=1.0, max_iter=MAX_ITER, tol=1e-3).fit(few, y[index])
        right.append(model.predict(many) == y_test)
    return np.array(right, float)


def accuracy(embedder, split: Split, dataset: str) -> Measure:
    """How often the output layer of a fitted network, its ``predict``, is right: ``"accuracy"``."""
    right = (embedder.predict(split.x) == split.y).astype(float)
    return Measure.from_units("accuracy", dataset, image=right)
