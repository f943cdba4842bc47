"""What lesson 07 asks of vectors of words and sentences; every share has its interval."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import spearmanr

from embedlab.embedders import TextEmbedder
from embedlab.embedders.base import Embedder
from embedlab.lessons.lesson_07.texts import HOMONYMS, KINDS
from embedlab.measure.intervals import Measure
from embedlab.search.exact import nearest, normalize

DATASET = "words"

# --- a word in its context ----------------------------------------------------------------------


def at(embedder: TextEmbedder, **how) -> TextEmbedder:
    """The same fitted model, read in another way: ``layer=0`` or ``pooling="cls"``."""
    return copy.copy(embedder).set_params(**how)


def word_in_context(
    embedder: TextEmbedder, words: Sequence[str], sentences: Sequence[str]
) -> np.ndarray:
    """The vector of a word in each sentence, (N, D): the mean over its pieces."""
    found = []
    for word, (tokens, vectors) in zip(words, embedder.tokens(sentences), strict=True):
        pieces = embedder.tokenizer_.tokenize(word)
        places = [i for i in range(len(tokens)) if tokens[i : i + len(pieces)] == pieces]
        if not places:
            raise ValueError(f"words: {word!r} is not in {' '.join(tokens)!r}.")
        found.append(vectors[places[0] : places[0] + len(pieces)].mean(axis=0))
    return np.stack(found)


def same_sense_nearer(first: np.ndarray, second: np.ndarray) -> float:
    """Share of comparisons in which a vector is nearer to one of its own sense than of the other.

    Each vector (N, D) of a sense, another of its sense, and one of the other sense: every such
    three is one comparison, and a tie is half a win.
    """
    wins = []
    for own, other in ((first, second), (second, first)):
        own, other = normalize(own), normalize(other)
        near, far = own @ own.T, own @ other.T
        for i in range(len(own)):
            gap = np.delete(near[i], i)[:, None] - far[i][None, :]
            wins.append(np.where(np.abs(gap) < 1e-6, 0.5, gap > 0))  # equal but for rounding
    return float(np.mean(wins))


def homonyms_in_sentences() -> tuple[list[str], list[str]]:
    """Every sentence of the homonyms, and the homonym of each: sense after sense, word by word."""
    rows = [
        (word, sentence)
        for word, senses in HOMONYMS.items()
        for sentences in senses.values()
        for sentence in sentences
    ]
    return [word for word, _ in rows], [sentence for _, sentence in rows]


def senses_told_apart(vectors: np.ndarray) -> Measure:
    """The mean of :func:`same_sense_nearer` over the homonyms; other homonyms are the chance.

    vectors (N, D): one for each of :func:`homonyms_in_sentences`.
    """
    each = vectors.reshape(len(HOMONYMS), 2, -1, vectors.shape[1])  # homonyms, senses, sentences
    shares = [same_sense_nearer(*senses) for senses in each]
    return Measure.from_units("share", DATASET, homonym=np.array(shares))


def senses_by_layer(embedder: TextEmbedder) -> tuple[list[Measure], Measure]:
    """How well a homonym's vector tells its senses apart, before the first layer and after each.

    And how well the words around it do: their mean vector before the first layer.
    """
    words, sentences = homonyms_in_sentences()
    own = np.array(embedder.tokenizer_.convert_tokens_to_ids(words))
    batch = embedder.tokenizer_(sentences, padding=True, return_tensors="pt")
    with torch.inference_mode():
        layers = embedder.network_.cpu()(**batch, output_hidden_states=True).hidden_states
    ids = batch["input_ids"].numpy()
    word = ids == own[:, None]  # (sentences, T)
    around = ~word & ~np.isin(ids, embedder.tokenizer_.all_special_ids)
    pooled = [_mean(layer.numpy(), word) for layer in layers]
    return [senses_told_apart(v) for v in pooled], senses_told_apart(
        _mean(layers[0].numpy(), around)
    )


def _mean(vectors: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The mean of some tokens' vectors, (N, D), of those of all (N, T, D); where (N, T) of bool."""
    weight = where[:, :, None].astype(np.float32)
    return (vectors * weight).sum(axis=1) / weight.sum(axis=1)


# --- texts --------------------------------------------------------------------------------------


def cosines(embedder: Embedder, left: Sequence[str], right: Sequence[str]) -> np.ndarray:
    """The cosine of each text with its partner, (N,)."""
    a, b = (normalize(embedder.transform(list(side))) for side in (left, right))
    return (a * b).sum(axis=1)


def meaning_first(embedder: Embedder, triples: Sequence[tuple[str, str, str]]) -> Measure:
    """Share of triples in which the word near in meaning is nearer than that near in spelling."""
    word, meaning, spelling = zip(*triples, strict=True)
    wins = cosines(embedder, word, meaning) > cosines(embedder, word, spelling)
    return Measure.from_units("share", DATASET, triple=wins.astype(float))


def found_first(embedder: Embedder, queries: Sequence[str], answers: Sequence[str]) -> Measure:
    """Share of queries whose own answer is nearer than every other answer."""
    q, a = (normalize(embedder.transform(list(side))) for side in (queries, answers))
    cosine = q @ a.T
    own = cosine.diagonal().copy()
    np.fill_diagonal(cosine, -np.inf)
    hits = own > cosine.max(axis=1) + 1e-6  # equal cosines are no ranking
    return Measure.from_units("share", DATASET, text=hits.astype(float))


def by_place(embedder: Embedder, questions: Sequence[str], paragraphs: Sequence[str]) -> np.ndarray:
    """How near each question is to a text by the place of its paragraph there, (places, texts).

    The text is all paragraphs one after the other, and begins with each of them in turn.
    """
    n = len(paragraphs)
    turned = [" ".join((*paragraphs[i:], *paragraphs[:i])) for i in range(n)]
    cosine = (
        normalize(embedder.transform(list(questions))) @ normalize(embedder.transform(turned)).T
    )  # (questions, texts)
    return np.stack([[cosine[k, (k - place) % n] for k in range(n)] for place in range(n)])


# --- attention ----------------------------------------------------------------------------------


def heeded_and_missed(
    embedder: TextEmbedder, words: Sequence[str], sentences: Sequence[str]
) -> list[tuple[list[str], np.ndarray, np.ndarray]]:
    """Of each sentence its other words, how much its word heeds them, and would miss them.

    Heeded: its attention, averaged over layers and heads. Missed: one minus the cosine of the
    word's vector with the one it has where that other word is left out. Both (other words,).
    """
    found, shorter = [], []
    for word, sentence, (_, maps) in zip(
        words, sentences, embedder.attentions(sentences), strict=True
    ):
        parts = sentence.split()
        pieces = [embedder.tokenizer_.tokenize(part) for part in parts]
        end = np.cumsum([1, *map(len, pieces)])  # after [CLS]
        own = next(i for i, p in enumerate(pieces) if p[0] == word)
        looks = maps.mean(axis=(0, 1))[end[own]]
        others = [i for i in range(len(parts)) if i != own]
        heeded = np.array([looks[end[i] : end[i + 1]].sum() for i in others])
        found.append(([parts[i] for i in others], heeded))
        shorter.append([" ".join(parts[:i] + parts[i + 1 :]) for i in others])
    named = [word for word, rest in zip(words, shorter, strict=True) for _ in rest]
    without = word_in_context(embedder, named, [text for rest in shorter for text in rest])
    without = np.split(normalize(without), np.cumsum([len(rest) for rest in shorter])[:-1])
    whole = normalize(word_in_context(embedder, words, sentences))
    return [(*f, 1 - w @ v) for f, w, v in zip(found, without, whole, strict=True)]


def what_tells_missed(embedder: TextEmbedder) -> tuple[Measure, Measure]:
    """Rank correlation of what is missed with what is heeded, and with the length of the words.

    Over a sentence of each homonym; other sentences are the chance.
    """
    rows = [(word, next(iter(senses.values()))[0]) for word, senses in HOMONYMS.items()]
    ranks = [
        [spearmanr(by, missed).statistic for by in (heeded, [len(other) for other in others])]
        for others, heeded, missed in heeded_and_missed(embedder, *zip(*rows, strict=True))
    ]
    return tuple(
        Measure.from_units("correlation", DATASET, sentence=each) for each in np.array(ranks).T
    )


# --- kinds of words -----------------------------------------------------------------------------


def words_by_kind(vocabulary: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The words of ``KINDS`` that a vocabulary holds, and the number of each one's kind, (N,)."""
    known = set(vocabulary)
    pairs = [(w, k) for k, words in enumerate(KINDS.values()) for w in words if w in known]
    return [word for word, _ in pairs], np.array([kind for _, kind in pairs])


def own_kind_nearest(vectors: np.ndarray, kinds: np.ndarray) -> Measure:
    """Share of words whose nearest other word is of the same kind, as a mean over kinds.

    vectors (N, D), kinds (N,); which kinds of words were thought of is the chance.
    """
    hits = kinds[nearest(vectors, 1)[:, 0]] == kinds
    each = np.array([hits[kinds == kind].mean() for kind in np.unique(kinds)])
    return Measure.from_units("share", DATASET, kind=each)


def by_chance(kinds: np.ndarray) -> float:
    """What :func:`own_kind_nearest` is where the nearest is any other word."""
    sizes = np.unique(kinds, return_counts=True)[1]
    return float(((sizes - 1) / (len(kinds) - 1)).mean())
