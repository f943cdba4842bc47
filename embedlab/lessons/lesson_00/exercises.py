"""Exercises of lesson 00: search by cosine, and average precision."""

import numpy as np

from embedlab.lessons.exercises import Exercise

# --- search by cosine -------------------------------------------------------------------------


def nearest(query, gallery, k):
    """Positions of the k gallery vectors (N, D) most similar to the query (D,) by cosine.

    Best first; all are NumPy arrays.
    """
    length = np.linalg.norm(gallery, axis=1)
    cosine = gallery @ query / length  # the query's own length changes nothing in the order
    return np.argsort(-cosine)[:k]


def _by_another_length(query, gallery, k):
    return np.argsort(-(gallery @ query / np.abs(gallery).sum(axis=1)))[:k]


def _searches():
    """By hand: a short vector in the query's direction, one long and askew, one near, one away."""
    normal = np.random.default_rng(0).normal
    by_hand = np.array([[0.1, 0.0], [9.0, 3.0], [1.0, 0.8], [-1.0, 0.0]])
    return [(np.array([1.0, 0.0]), by_hand, 3), (normal(size=8), normal(size=(30, 8)), 5)]


search = Exercise(
    name="00-search",
    solution=nearest,
    inputs=_searches,
    answers=(
        (
            "A long vector wins over one in the query's own direction: divide by length.",
            lambda query, gallery, k: np.argsort(-(gallery @ query))[:k],
        ),
        (
            "This is distance, not direction: a short vector can point the same way.",
            lambda query, gallery, k: np.argsort(np.linalg.norm(gallery - query, axis=1))[:k],
        ),
        (
            "The vector that points the opposite way comes first: sort from high to low.",
            lambda query, gallery, k: nearest(-query, gallery, k),
        ),
        (
            "All positions come back: the first k are asked for.",
            lambda query, gallery, k: nearest(query, gallery, len(gallery)),
        ),
        ("The order is by another length: is it the L2 norm?", _by_another_length),
    ),
    hints=(
        "Cosine is a dot product of vectors of length one. Whose length matters for the order?",
        "np.linalg.norm(gallery, axis=1) has a length a row; gallery @ query a product a row.",
        "np.argsort sorts from low to high: sort the negative cosine, then take the first k.",
    ),
)

# --- average precision ------------------------------------------------------------------------


def average_precision(relevant, n_relevant):
    """Average precision of a ranked list: relevant[i] tells whether place i holds a match.

    relevant is a NumPy array of bool; n_relevant matches exist, found or not.
    """
    precision = np.cumsum(relevant) / np.arange(1, len(relevant) + 1)
    return (precision * relevant).sum() / n_relevant


def _from_zero(relevant, n_relevant):
    precision = np.cumsum(relevant) / np.maximum(np.arange(len(relevant)), 1)
    return (precision * relevant).sum() / n_relevant


def _ranked_lists():
    lists = ("01", 1), ("1001", 2), ("100", 2), ("1", 2), ("011", 2), ("00", 3), ("010110", 4)
    return [(np.array([c == "1" for c in places]), n) for places, n in lists]


ap = Exercise(
    name="00-average-precision",
    solution=average_precision,
    inputs=_ranked_lists,
    answers=(
        (
            "One of two matches was never found, and you give full marks: divide by the number "
            "of relevant items, not by the number found.",
            lambda relevant, n_relevant: average_precision(relevant, relevant.sum()),
        ),
        (
            "Average the precision over the places that hold a match, not over all places.",
            lambda relevant, n: (np.cumsum(relevant) / np.arange(1, len(relevant) + 1)).mean(),
        ),
        (
            "One match, in second place, is worth 1/2: places are counted from 1, not 0.",
            _from_zero,
        ),
        (
            "The order makes no difference to you: that is precision, without the average.",
            lambda relevant, n_relevant: np.mean(relevant),
        ),
    ),
    hints=(
        "Walk down the list. At each match ask: of the places so far, what share are matches?",
        "np.cumsum(relevant) counts the matches so far; divide it by 1, 2, 3, … for the precision.",
        "Keep the precision at matches only, add it up, and divide by n_relevant.",
    ),
)
