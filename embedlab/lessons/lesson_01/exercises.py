"""Exercises of lesson 01: PCA from the SVD, Fisher's ratio, and a leak."""

from __future__ import annotations

import numpy as np

from embedlab.lessons.exercises import Exercise, Wrong


def _data(seed: int = 0, n: int = 40) -> np.ndarray:
    """Points far from the origin, with a clear order of variances."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 4)) * [5.0, 3.0, 1.0, 0.2] + [10.0, -7.0, 3.0, 1.0]


def _same_up_to_sign(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and all(
        np.allclose(p, q, atol=1e-6) or np.allclose(p, -q, atol=1e-6)
        for p, q in zip(a.T, b.T, strict=True)
    )


# --- PCA from the SVD -------------------------------------------------------------------------


def pca(X, n_components):
    """Coordinates of the rows of X along their first principal components, (N, n_components)."""
    return ...


def pca_solution(X, n_components):
    """Coordinates of the rows of X along their first principal components, (N, n_components)."""
    centred = X - X.mean(axis=0)
    _, _, Vt = np.linalg.svd(centred, full_matrices=False)
    return centred @ Vt[:n_components].T


def _not_centred(X, n_components):
    _, _, Vt = np.linalg.svd(X, full_matrices=False)
    return X @ Vt[:n_components].T


def _whitened(X, n_components):
    U, _, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    return U[:, :n_components]


def _wrong_axis_of_v(X, n_components):
    centred = X - X.mean(axis=0)
    _, _, Vt = np.linalg.svd(centred, full_matrices=False)
    return centred @ Vt[:, :n_components]


def _smallest_first(X, n_components):
    centred = X - X.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(centred.T))
    return centred @ vectors[:, :n_components]


def _test_pca(answer):
    X = _data()
    got, right = np.asarray(answer(X, 2)), pca_solution(X, 2)
    if got.shape != (len(X), 2):
        raise Wrong(f"For X of shape {X.shape} and 2 components return (40, 2), not {got.shape}.")
    if _same_up_to_sign(got, right):
        if np.asarray(answer(X, 3)).shape != (len(X), 3):
            raise Wrong("For 3 components you do not return three columns: use n_components.")
        return
    for wrong, why in (
        (_not_centred, "The mean was not subtracted: the first axis points at the mean."),
        (_whitened, "These are the columns of U: every axis has the same length. Scale them by S."),
        (_wrong_axis_of_v, "The components are the rows of Vt; you took its columns."),
        (_smallest_first, "eigh sorts from small to large: you kept the least varying directions."),
    ):
        if _same_up_to_sign(got, wrong(X, 2)):
            raise Wrong(why)
    if np.abs(got.mean(axis=0)).max() > 1e-6:
        raise Wrong("The coordinates should have mean zero: subtract the mean before projecting.")
    raise Wrong("The coordinates differ from PCA's, whatever the signs: check what is projected.")


pca_by_svd = Exercise(
    name="01-pca",
    stub=pca,
    test=_test_pca,
    hints=(
        "PCA is about how the data varies, so what has to be taken away first?",
        "np.linalg.svd(centred, full_matrices=False) is U, S, Vt; Vt's rows are directions.",
        "Project: centred @ Vt[:n_components].T, which is the same as U * S, cut.",
    ),
    solution=pca_solution,
    wrong=(
        (_not_centred, "mean was not subtracted"),
        (_whitened, "columns of U"),
        (_wrong_axis_of_v, "rows of Vt"),
        (_smallest_first, "least varying"),
    ),
)

# --- embedding a test set without looking at it -----------------------------------------------


def embed_test(train, test, n_components):
    """Coordinates of the test rows along the principal components of the training rows."""
    return ...


def embed_test_solution(train, test, n_components):
    """Coordinates of the test rows along the principal components of the training rows."""
    mean = train.mean(axis=0)
    _, _, Vt = np.linalg.svd(train - mean, full_matrices=False)
    return (test - mean) @ Vt[:n_components].T


def _fitted_on_test(train, test, n_components):
    return pca_solution(test, n_components)


def _fitted_on_both(train, test, n_components):
    return pca_solution(np.concatenate([train, test]), n_components)[len(train) :]


def _test_mean(train, test, n_components):
    _, _, Vt = np.linalg.svd(train - train.mean(axis=0), full_matrices=False)
    return (test - test.mean(axis=0)) @ Vt[:n_components].T


def _test_embed_test(answer):
    train, test = _data(0), _data(1, 15) + 1.0
    got = np.asarray(answer(train, test, 2))
    if got.shape != (15, 2):
        raise Wrong(f"For 15 test rows and 2 components return (15, 2), not {got.shape}.")
    if _same_up_to_sign(got, embed_test_solution(train, test, 2)):
        return
    for wrong, why in (
        (_fitted_on_test, "The components come from the test rows: in use there is only one row."),
        (_fitted_on_both, "The test rows helped to choose the components: that is a leak."),
        (_test_mean, "The test rows were centred on their own mean: use the training mean."),
    ):
        if _same_up_to_sign(got, wrong(train, test, 2)):
            raise Wrong(why)
    raise Wrong("The coordinates differ: mean and components both come from `train` alone.")


no_leak = Exercise(
    name="01-no-leak",
    stub=embed_test,
    test=_test_embed_test,
    hints=(
        "Fit and transform are two steps. Which data may each of them see?",
        "Everything that is learned, the mean included, is learned from `train`.",
        "mean = train.mean(axis=0); the SVD of train - mean; then (test - mean) @ Vt[:n].T.",
    ),
    solution=embed_test_solution,
    wrong=(
        (_fitted_on_test, "only one row"),
        (_fitted_on_both, "leak"),
        (_test_mean, "training mean"),
    ),
)

# --- Fisher's ratio ---------------------------------------------------------------------------


def fisher_ratio(scores, y):
    """Scatter between the classes over scatter within them, of one coordinate of N points."""
    return ...


def fisher_ratio_solution(scores, y):
    """Scatter between the classes over scatter within them, of one coordinate of N points."""
    between = within = 0.0
    for label in np.unique(y):
        members = scores[y == label]
        between += len(members) * (members.mean() - scores.mean()) ** 2
        within += ((members - members.mean()) ** 2).sum()
    return between / within


def _over_total(scores, y):
    ratio = fisher_ratio_solution(scores, y)
    return ratio / (1 + ratio)


def _unweighted(scores, y):
    labels = np.unique(y)
    means = np.array([scores[y == label].mean() for label in labels])
    within = sum(((scores[y == label] - scores[y == label].mean()) ** 2).sum() for label in labels)
    return ((means - scores.mean()) ** 2).sum() / within


def _upside_down(scores, y):
    return 1 / fisher_ratio_solution(scores, y)


def _test_fisher(answer):
    rng = np.random.default_rng(0)
    y = np.repeat([3, 7, 9], [5, 10, 20])  # labels need not be 0, 1, 2
    scores = rng.normal(size=35) + 0.7 * y
    got, right = float(answer(scores, y)), fisher_ratio_solution(scores, y)
    if np.isclose(got, right):
        return
    for wrong, why in (
        (_over_total, "The denominator is the total scatter: take the scatter within classes."),
        (_unweighted, "Each class counts the same to you: weight it by its number of points."),
        (_upside_down, "This falls as the classes part: between goes above, within below."),
    ):
        if np.isclose(got, wrong(scores, y)):
            raise Wrong(why)
    raise Wrong(f"For the test data the ratio is {right:.3f}, yours is {got:.3f}.")


fisher = Exercise(
    name="01-fisher",
    stub=fisher_ratio,
    test=_test_fisher,
    hints=(
        "Two sums over the classes: how far its mean lies from the overall mean, and its spread.",
        "Between: points * (class mean - overall mean)². Within: Σ (point - class mean)².",
        "Loop over np.unique(y), add up both, divide the first by the second.",
    ),
    solution=fisher_ratio_solution,
    wrong=(
        (_over_total, "total scatter"),
        (_unweighted, "number of points"),
        (_upside_down, "within below"),
    ),
)
