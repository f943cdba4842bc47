"""What can be seen in an image without knowing its class: ink, slant, position."""

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_consistent_length, column_or_1d

from embedlab.data.checks import check_positive
from embedlab.measure.intervals import Measure
from embedlab.search.exact import nearest


def properties(x: np.ndarray) -> dict[str, np.ndarray]:
    """Low-level properties (N,) of each image (N, C, H, W), from the moments of its brightness.

    ``ink``, the mean brightness; ``slant``, pixels to the right for each pixel up; and
    ``position``, the column of the centre of mass, in pixels.
    """
    mass = x.mean(axis=1).astype(np.float64) + 1e-9  # (N, H, W)
    total = mass.sum(axis=(1, 2))
    rows, cols = np.indices(mass.shape[1:])
    row = (mass * rows).sum(axis=(1, 2)) / total
    col = (mass * cols).sum(axis=(1, 2)) / total
    up, right = row[:, None, None] - rows, cols - col[:, None, None]
    slant = (mass * up * right).sum(axis=(1, 2)) / (mass * up * up).sum(axis=(1, 2))
    return {"ink": x.mean(axis=(1, 2, 3), dtype=np.float64), "slant": slant, "position": col}


def r2_probe(train, val, test, dataset: str = "") -> Measure:
    """How much of a property (N,) a linear map of vectors (N, D) explains: R squared on test.

    Ridge regression on standardised vectors, its penalty chosen on val. One is perfect, zero is
    no better than the test mean, and below zero is possible.
    """
    scaler = StandardScaler().fit(train[0])
    a, b, c = (scaler.transform(part[0]) for part in (train, val, test))
    models = [Ridge(alpha).fit(a, train[1]) for alpha in (1.0, 10.0, 100.0, 1_000.0)]
    best = max(models, key=lambda model: model.score(b, val[1]))
    missed = np.square(test[1] - best.predict(c))
    spread = np.square(test[1] - test[1].mean())
    if not spread.any():
        raise ValueError("test: the property is the same for every image.")
    share = missed.mean() / spread.mean()
    # R squared is a ratio of means: each image's contribution is its first-order influence.
    influence = (missed - share * spread) / spread.mean()
    return Measure.from_units("r2", dataset, image=1 - share - influence)


def shared_by_neighbours(
    vectors: np.ndarray, values: np.ndarray, k: int = 9, dataset: str = ""
) -> Measure:
    """How much of a property an image shares with its `k` nearest neighbours by cosine.

    The measure is ``"share"``, of vectors (N, D) and values (N,). For floats: one less the mean
    squared difference, over that of random pairs. For integers, which are classes: the share of
    neighbours of the same class, chance taken off. So both are 1 where neighbours are equal and 0
    where they are no more alike than any two images.

    The interval counts each image as a query, as an answer to other queries, in whose place the
    next nearest would stand, and in what random pairs have in common. ValueError for a property
    that is the same for every image, or too few images.
    """
    values = column_or_1d(values)
    check_consistent_length(vectors, values)
    n = len(values)
    check_positive(k, "k")
    if k + 1 >= n:
        raise ValueError(f"k={k} needs at least {k + 2} images, got {n}.")
    if (values == values[0]).all():
        raise ValueError("values: the property is the same for every image.")
    if np.issubdtype(values.dtype, np.floating):
        unlike = lambda a, b: np.square(a - b)  # noqa: E731
        from_others = np.square(values - values.mean()) + values.var()
    else:
        unlike = lambda a, b: (a != b).astype(float)  # noqa: E731
        _, index, count = np.unique(values, return_inverse=True, return_counts=True)
        from_others = 1 - count[index] / n
    from_others = from_others * n / (n - 1)  # mean over the other images
    found = nearest(vectors, k + 1)
    apart = unlike(values[found], values[:, None])  # (N, k + 1)
    among = apart[:, :k].mean(axis=1)
    # Without this image, the next nearest would take its place.
    in_place = (apart[:, :k] - apart[:, k:]) / k
    as_answer = np.bincount(found[:, :k].ravel(), in_place.ravel(), minlength=n)
    chance = from_others.mean()
    share = 1 - among.mean() / chance
    query_and_answer = (among - among.mean()) + (as_answer - as_answer.mean())
    pairs = 2 * (from_others - chance)
    influence = -(query_and_answer - (1 - share) * pairs) / chance
    return Measure.from_units("share", dataset, image=share + influence)
