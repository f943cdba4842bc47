"""What lesson 07 asks of vectors of words and sentences; every share has its interval."""

from collections.abc import Sequence

import numpy as np

from embedlab.embedders import TextEmbedder
from embedlab.embedders.base import Embedder
from embedlab.measure.intervals import Measure
from embedlab.search.exact import normalize

TEXTS = "texts"  # what takes an image set's name here


def word_in_context(embedder: TextEmbedder, word: str, sentences: Sequence[str]) -> np.ndarray:
    """The vector of a word in each sentence, (N, D): the mean over its pieces."""
    pieces = embedder.tokenizer_.tokenize(word)
    found = []
    for tokens, vectors in embedder.tokens(sentences):
        places = [i for i in range(len(tokens)) if tokens[i : i + len(pieces)] == pieces]
        if not places:
            raise ValueError(f"word={word!r} is no word of {' '.join(tokens)!r}.")
        found.append(vectors[places[0] : places[0] + len(pieces)].mean(axis=0))
    return np.stack(found)


def company(embedder: TextEmbedder, word: str, sentences: Sequence[str]) -> np.ndarray:
    """What stands around a word in each sentence, (N, D): the mean vector of all other tokens."""
    own = embedder.tokenizer_.tokenize(word)
    return np.stack(
        [
            vectors[[token not in own for token in tokens]][1:-1].mean(axis=0)
            for tokens, vectors in embedder.tokens(sentences)
        ]
    )


def same_sense_nearer(first: np.ndarray, second: np.ndarray) -> float:
    """Share of comparisons in which a vector is nearer to one of its own sense than of the other.

    Each vector (N, D) of a sense against every pair of another of its sense and one of the other
    sense. A tie counts half.
    """
    wins = []
    for own, other in ((first, second), (second, first)):
        own, other = normalize(own), normalize(other)
        near, far = own @ own.T, own @ other.T
        for i in range(len(own)):
            gap = np.delete(near[i], i)[:, None] - far[i][None, :]
            wins.append(np.where(np.abs(gap) < 1e-6, 0.5, gap > 0))  # equal but for rounding
    return float(np.mean(wins))


def senses_told_apart(read, homonyms: dict[str, dict[str, Sequence[str]]]) -> Measure:
    """The mean of :func:`same_sense_nearer` over homonyms, its interval over other homonyms.

    ``read(word, sentences)`` gives a vector for each sentence, (N, D).
    """
    shares = [
        same_sense_nearer(*(read(word, sentences) for sentences in senses.values()))
        for word, senses in homonyms.items()
    ]
    return Measure.from_units("share", TEXTS, homonym=np.array(shares))


def cosines(embedder: Embedder, left: Sequence[str], right: Sequence[str]) -> np.ndarray:
    """The cosine of each text with its partner, (N,)."""
    a, b = (normalize(embedder.transform(list(side))) for side in (left, right))
    return (a * b).sum(axis=1)


def meaning_first(embedder: Embedder, triples: Sequence[tuple[str, str, str]]) -> Measure:
    """Share of triples in which the word near in meaning is nearer than that near in spelling."""
    word, meaning, spelling = zip(*triples, strict=True)
    wins = cosines(embedder, word, meaning) > cosines(embedder, word, spelling)
    return Measure.from_units("share", TEXTS, triple=wins.astype(float))


def found_first(embedder: Embedder, queries: Sequence[str], answers: Sequence[str]) -> Measure:
    """Share of queries to which their own answer is the nearest of all answers."""
    q, a = (normalize(embedder.transform(list(side))) for side in (queries, answers))
    hits = (q @ a.T).argmax(axis=1) == np.arange(len(queries))
    return Measure.from_units("share", TEXTS, query=hits.astype(float))
