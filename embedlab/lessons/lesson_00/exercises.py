"""Exercises of lesson 00: search by cosine, and average precision."""

from __future__ import annotations

import numpy as np

from embedlab.lessons.exercises import Exercise, Wrong

# --- search by cosine -------------------------------------------------------------------------


def nearest(query, gallery, k):
    """Positions of the k gallery vectors most similar to the query by cosine, best first."""
    return ...


def nearest_solution(query, gallery, k):
    """Positions of the k gallery vectors most similar to the query by cosine, best first."""
    length = np.linalg.norm(gallery, axis=1)
    cosine = gallery @ query / length  # the query's own length changes nothing in the order
    return np.argsort(-cosine)[:k]


def _dot_product(query, gallery, k):
    return np.argsort(-(gallery @ query))[:k]


def _euclidean(query, gallery, k):
    return np.argsort(np.linalg.norm(gallery - query, axis=1))[:k]


def _worst_first(query, gallery, k):
    return np.argsort(gallery @ query / np.linalg.norm(gallery, axis=1))[:k]


def _too_many(query, gallery, k):
    return np.argsort(-(gallery @ query / np.linalg.norm(gallery, axis=1)))


def _test_nearest(answer):
    # Same direction as the query, a long vector a little off, one near but askew, one opposite.
    query = np.array([1.0, 0.0])
    gallery = np.array([[0.1, 0.0], [9.0, 3.0], [1.0, 0.8], [-1.0, 0.0]])
    found = np.asarray(answer(query, gallery, 3)).ravel().tolist()
    if len(found) != 3:
        raise Wrong(f"k = 3 asks for three positions, you return {len(found)}.")
    if found[0] == 3:
        raise Wrong("The vector that points the opposite way comes first: sort from high to low.")
    if found[0] == 1:
        raise Wrong("A long vector wins over one in the query's own direction: divide by length.")
    if found[0] == 2:
        raise Wrong("This is distance, not direction: a short vector can point the same way.")
    if found != [0, 1, 2]:
        raise Wrong(f"For the first test the order should be [0, 1, 2], yours is {found}.")
    # By the sum of absolute values in place of the length, the order would be another.
    found = np.asarray(answer(np.array([1.0, 1.0]), np.array([[1.0, 0.1], [3.0, 0.9]]), 1))
    if found.ravel().tolist() != [1]:
        raise Wrong("For k = 1 and two vectors near each other it fails: is length the L2 norm?")
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=8), rng.normal(size=(30, 8))
    if not np.array_equal(
        np.asarray(answer(query, gallery, 5)), nearest_solution(query, gallery, 5)
    ):
        raise Wrong("For 30 vectors of 8 numbers the five positions, best first, are others.")


search = Exercise(
    name="00-search",
    stub=nearest,
    test=_test_nearest,
    hints=(
        "Cosine is a dot product of vectors of length one. Whose length matters for the order?",
        "np.linalg.norm(gallery, axis=1) has a length a row; gallery @ query a product a row.",
        "np.argsort sorts from low to high: sort the negative cosine, then take the first k.",
    ),
    solution=nearest_solution,
    wrong=(
        (_dot_product, "divide by length"),
        (_euclidean, "distance, not direction"),
        (_worst_first, "from high to low"),
        (_too_many, "three positions"),
    ),
)

# --- average precision ------------------------------------------------------------------------


def average_precision(relevant, n_relevant):
    """Average precision of a ranked list: relevant[i] tells whether place i holds a match."""
    return ...


def average_precision_solution(relevant, n_relevant):
    """Average precision of a ranked list: relevant[i] tells whether place i holds a match."""
    relevant = np.asarray(relevant, float)
    precision = np.cumsum(relevant) / np.arange(1, len(relevant) + 1)
    return (precision * relevant).sum() / n_relevant


def _by_number_found(relevant, n_relevant):
    relevant = np.asarray(relevant, float)
    precision = np.cumsum(relevant) / np.arange(1, len(relevant) + 1)
    return (precision * relevant).sum() / relevant.sum()


def _every_place(relevant, n_relevant):
    relevant = np.asarray(relevant, float)
    return (np.cumsum(relevant) / np.arange(1, len(relevant) + 1)).mean()


def _from_zero(relevant, n_relevant):
    relevant = np.asarray(relevant, float)
    precision = np.cumsum(relevant) / np.maximum(np.arange(len(relevant)), 1)
    return (precision * relevant).sum() / n_relevant


def _plain_precision(relevant, n_relevant):
    return np.mean(relevant)


def _test_average_precision(answer):
    def value(relevant, n_relevant):
        return float(answer(np.array(relevant, bool), n_relevant))

    second = value([False, True], 1)
    if np.isclose(second, 1.0):
        raise Wrong("One match, in second place, is worth 1/2: places are counted from 1, not 0.")
    if np.isclose(value([True, False, False, True], 2), 0.5) and np.isclose(second, 0.5):
        raise Wrong("The order makes no difference to you: that is precision, without the average.")
    if np.isclose(second, 0.25):
        raise Wrong("Average the precision over the places that hold a match, not over all places.")
    missed = value([True, False, False], 2)
    if np.isclose(missed, 1.0):
        raise Wrong(
            "One of two matches was never found, and you give full marks: divide by the number "
            "of relevant items, not by the number found."
        )
    for relevant, n, right in (
        ([False, True], 1, 1 / 2),
        ([True, False, False, True], 2, 3 / 4),
        ([True, False, False], 2, 1 / 2),
        ([True], 2, 1 / 2),
        ([False, True, True], 2, 7 / 12),
        ([False, False], 3, 0.0),
    ):
        got = value(relevant, n)
        if not np.isclose(got, right):
            raise Wrong(f"For {relevant} and {n} relevant it should be {right}, yours is {got:g}.")


ap = Exercise(
    name="00-average-precision",
    stub=average_precision,
    test=_test_average_precision,
    hints=(
        "Walk down the list. At each match ask: of the places so far, what share are matches?",
        "np.cumsum(relevant) counts the matches so far; divide it by 1, 2, 3, … for the precision.",
        "Keep the precision at matches only, add it up, and divide by n_relevant.",
    ),
    solution=average_precision_solution,
    wrong=(
        (_by_number_found, "not by the number found"),
        (_every_place, "places that hold a match"),
        (_from_zero, "counted from 1"),
        (_plain_precision, "precision, without the average"),
    ),
)
