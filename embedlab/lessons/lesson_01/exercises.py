"""Exercises of lesson 01: PCA from the SVD, Fisher's ratio, and a leak."""

import numpy as np

from embedlab.lessons.exercises import Exercise, plain


def _points(seed: int, n: int) -> np.ndarray:
    """Points (n, 4) far from the origin, with a clear order of variances."""
    normal = np.random.default_rng(seed).normal(size=(n, 4))
    return normal * [5.0, 3.0, 1.0, 0.2] + [10.0, -7.0, 3.0, 1.0]


def _up_to_sign(out, *args) -> dict:
    """Coordinates (N, k) whose largest one on each axis is positive: a PCA may turn an axis."""
    out = plain(out)
    largest = np.take_along_axis(out, np.abs(out).argmax(axis=0)[None], axis=0)
    return {"up to the sign of each column it gives": out * np.sign(largest)}


def _svd(X, mean=None):
    """U, S and Vt of rows around their mean, or another."""
    return np.linalg.svd(X - (X.mean(axis=0) if mean is None else mean), full_matrices=False)


# --- PCA from the SVD -------------------------------------------------------------------------


def pca(X, n_components):
    """Coordinates of the rows of X along their first principal components, (N, n_components).

    X is a NumPy array.
    """
    centred = X - X.mean(axis=0)
    _, _, Vt = np.linalg.svd(centred, full_matrices=False)
    return centred @ Vt[:n_components].T


pca_by_svd = Exercise(
    name="01-pca",
    solution=pca,
    inputs=lambda: [(_points(0, 40), 2), (_points(1, 15), 3)],
    seen=_up_to_sign,
    answers=(
        (
            "The mean was not subtracted: the first axis points at the mean.",
            lambda X, n: X @ _svd(X, 0)[2][:n].T,
        ),
        (
            "The axes are right, but the rows were projected with the mean still in them.",
            lambda X, n: X @ _svd(X)[2][:n].T,
        ),
        (
            "These are the columns of U: every axis has the same length. Scale them by S.",
            lambda X, n: _svd(X)[0][:, :n],
        ),
        (
            "Only the scale is wrong: you divide by √(N - 1).",
            lambda X, n: pca(X, n) / np.sqrt(len(X) - 1),
        ),
        (
            "The directions are right, but every axis has variance 1: this is whitening.",
            lambda X, n: _svd(X)[0][:, :n] * np.sqrt(len(X) - 1),
        ),
        (
            "The components are the rows of Vt; you took its columns.",
            lambda X, n: (X - X.mean(axis=0)) @ _svd(X)[2][:, :n],
        ),
        (
            "eigh sorts from small to large: you kept the least varying directions.",
            lambda X, n: (X - X.mean(axis=0)) @ np.linalg.eigh(np.cov(X.T))[1][:, :n],
        ),
    ),
    hints=(
        "PCA is about how the data varies, so what has to be taken away first?",
        "np.linalg.svd(centred, full_matrices=False) is U, S, Vt; Vt's rows are directions.",
        "Project: centred @ Vt[:n_components].T, which is the same as U * S, cut.",
    ),
)

# --- embedding a test set without looking at it -----------------------------------------------


def embed_test(train, test, n_components):
    """Coordinates of the test rows along the principal components of the training rows.

    train and test are NumPy arrays.
    """
    mean = train.mean(axis=0)
    _, _, Vt = np.linalg.svd(train - mean, full_matrices=False)
    return (test - mean) @ Vt[:n_components].T


no_leak = Exercise(
    name="01-no-leak",
    solution=embed_test,
    inputs=lambda: [(_points(s, 40), _points(s + 1, 15) + 1.0, s + 2) for s in (0, 1)],
    seen=_up_to_sign,
    answers=(
        (
            "The components come from the test rows: in use there is only one row.",
            lambda train, test, n: pca(test, n),
        ),
        (
            "The test rows helped to choose the components: that is a leak.",
            lambda train, test, n: pca(np.concatenate([train, test]), n)[len(train) :],
        ),
        (
            "The test rows were centred on their own mean: use the training mean.",
            lambda train, test, n: (test - test.mean(axis=0)) @ _svd(train)[2][:n].T,
        ),
        (
            "The test rows were not centred: subtract the training mean from them too.",
            lambda train, test, n: test @ _svd(train)[2][:n].T,
        ),
        (
            "No mean was subtracted: the first axis points at it.",
            lambda train, test, n: test @ _svd(train, 0)[2][:n].T,
        ),
        (
            "train.mean() is one number for all columns: take a mean for each.",
            lambda train, test, n: (test - train.mean()) @ _svd(train, train.mean())[2][:n].T,
        ),
        (
            "The components are the rows of Vt; you took its columns.",
            lambda train, test, n: (test - train.mean(axis=0)) @ _svd(train)[2][:, :n],
        ),
    ),
    hints=(
        "Fit and transform are two steps. Which data may each of them see?",
        "Everything that is learned, the mean included, is learned from `train`.",
        "mean = train.mean(axis=0); the SVD of train - mean; then (test - mean) @ Vt[:n].T.",
    ),
)

# --- Fisher's ratio ---------------------------------------------------------------------------


def fisher_ratio(scores, y):
    """Scatter between the classes y over scatter within them; scores and y: NumPy arrays (N,)."""
    between = within = 0.0
    for label in np.unique(y):
        members = scores[y == label]
        between += len(members) * (members.mean() - scores.mean()) ** 2
        within += ((members - members.mean()) ** 2).sum()
    return between / within


def _labelled(seed, labels, sizes):
    y = np.repeat(labels, sizes)
    return np.random.default_rng(seed).normal(size=len(y)) + 0.7 * y, y


def _classes(scores, y):
    groups = [scores[y == label] for label in np.unique(y)]
    return np.array([(len(g), g.mean(), g.var() * len(g)) for g in groups]).T


fisher = Exercise(
    name="01-fisher",
    solution=fisher_ratio,
    inputs=lambda: [_labelled(0, [3, 7, 9], [5, 10, 20]), _labelled(1, [0, 1], [4, 9])],
    answers=(
        (
            "The denominator is the total scatter: take the scatter within classes.",
            lambda scores, y: 1 - 1 / (1 + fisher_ratio(scores, y)),
        ),
        (
            "This falls as the classes part: between goes above, within below.",
            lambda scores, y: 1 / fisher_ratio(scores, y),
        ),
        (
            "Each class counts the same to you: weight it by its number of points.",
            lambda s, y: (lambda n, m, v: ((m - s.mean()) ** 2).sum() / v.sum())(*_classes(s, y)),
        ),
        (
            "The overall mean is that of all points, not that of the class means.",
            lambda s, y: (lambda n, m, v: n @ (m - m.mean()) ** 2 / v.sum())(*_classes(s, y)),
        ),
        (
            "Two plain sums: neither is divided by degrees of freedom.",
            lambda s, y: fisher_ratio(s, y) * (len(y) - len(set(y))) / (len(set(y)) - 1),
        ),
        (
            "Labels need not be 0, 1, 2, …: loop over np.unique(y).",
            lambda s, y: fisher_ratio(s, y) if set(y) == set(range(len(set(y)))) else np.nan,
        ),
    ),
    hints=(
        "Two sums over the classes: how far its mean lies from the overall mean, and its spread.",
        "Between: points * (class mean - overall mean)². Within: Σ (point - class mean)².",
        "Loop over np.unique(y), add up both, divide the first by the second.",
    ),
)
