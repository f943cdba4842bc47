"""Exercises of lesson 07: pooling with a mask, ranking triples, and BERT's way of hiding words."""

import numpy as np
import torch
import torch.nn.functional as F

from embedlab.lessons.exercises import Exercise

# --- pooling ------------------------------------------------------------------------------------


def pool(vectors, mask):
    """The mean vector of each text's tokens, (N, D); vectors (N, T, D), mask (N, T).

    Texts of a batch differ in length: mask is 1 where a token is, 0 where only padding is. Both
    are torch tensors, vectors of float32, mask of int64.
    """
    weight = mask[:, :, None].float()
    return (vectors * weight).sum(dim=1) / weight.sum(dim=1)


def _tokens(seed, lengths):
    """Vectors of a batch, its padding far from zero as a network leaves it, and the mask."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(len(lengths), max(lengths), 5, generator=generator) + 1
    return vectors, (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()


def _kept(vectors, mask, other=0.0):
    """The vectors, `other` in place of padding."""
    return torch.where(mask[:, :, None] == 1, vectors, other)


pooling = Exercise(
    name="07-pool",
    solution=pool,
    inputs=lambda: [_tokens(0, [3, 6, 4]), _tokens(1, [5, 2])],
    answers=(
        ("Padding counts in yours: a text must not depend on it.", lambda v, m: v.mean(1)),
        ("Divide by each text's own number of tokens.", lambda v, m: _kept(v, m).mean(1)),
        ("A sum: divide it by each text's number of tokens.", lambda v, m: _kept(v, m).sum(1)),
        ("Divided by all tokens of the batch.", lambda v, m: _kept(v, m).sum(1) / m.sum()),
        ("This is the first token, the way of CLS: take the mean.", lambda v, m: v[:, 0]),
        ("This is the largest: take the mean.", lambda v, m: _kept(v, m, -torch.inf).amax(1)),
        ("The mask is turned round: 1 is where a token is.", lambda v, m: pool(v, 1 - m)),
        ("The first token is missing: all count.", lambda v, m: pool(v[:, 1:], m[:, 1:])),
        ("Right, but scaled to length one: not yet.", lambda v, m: F.normalize(pool(v, m), dim=1)),
        ("A vector for each text: you mixed the texts.", lambda v, m: v[m.bool()].mean(0)),
        ("Dimension 1 holds the tokens, 2 the numbers.", lambda v, m: _kept(v, m).sum(2)),
        ("Dimension 1 holds the tokens: 0 holds the texts.", lambda v, m: v.mean(0)),
    ),
    hints=(
        "Padding has vectors too. Times which number do they vanish from a sum?",
        "mask[:, :, None] has shape (N, T, 1): times vectors, it sets the padding to zero.",
        "The sum over dimension 1 of vectors * mask[:, :, None], over mask.sum(dim=1)[:, None].",
    ),
)

# --- triples ------------------------------------------------------------------------------------


def rightly_ranked(anchor, near, far):
    """Share of triples whose anchor has a greater cosine with near than with far; a tie is a half.

    All three are NumPy arrays (N, D) of any length; row i of each belongs to triple i.
    """
    a, b, c = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (anchor, near, far))
    gap = (a * b).sum(axis=1) - (a * c).sum(axis=1)
    return np.where(np.isclose(gap, 0), 0.5, gap > 0).mean()


def _cosines(a, b):
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


# The same with one thing changed: the gap of each triple, or what is counted of the gaps.
def _ranking(
    gap=lambda a, b, c: _cosines(a, b) - _cosines(a, c),
    count=lambda gap: np.where(np.isclose(gap, 0), 0.5, gap > 0).mean(),
):
    return lambda *three: count(gap(*three))


def _three(seed):
    """Triples of vectors of unequal lengths; of the last three, near and far are the same."""
    rng = np.random.default_rng(seed)
    anchor, near, far = rng.normal(size=(3, 17, 4))
    near, far = near * rng.uniform(0.2, 5, (17, 1)) + 0.4 * anchor, far * 1.7
    far[-3:] = near[-3:]
    return anchor, near, far


triples = Exercise(
    name="07-triples",
    solution=rightly_ranked,
    inputs=lambda: [_three(0), _three(1), _three(5)],
    answers=(
        (
            "These are dot products, and a long vector wins by its length: divide by the lengths.",
            _ranking(lambda a, b, c: (a * (b - c)).sum(1)),
        ),
        (
            "These are distances: they depend on the lengths, a cosine does not.",
            _ranking(lambda a, b, c: np.linalg.norm(a - c, axis=1) - np.linalg.norm(a - b, axis=1)),
        ),
        ("In yours a tie counts nothing: a half.", _ranking(count=lambda g: (g > 1e-9).mean())),
        ("In yours a tie counts whole: a half.", _ranking(count=lambda g: (g > -1e-9).mean())),
        ("The other way round: near should win.", lambda a, b, c: rightly_ranked(a, c, b)),
        ("The anchor is one side of both cosines.", lambda a, b, c: rightly_ranked(b, a, c)),
        ("A number of triples: divide it by all.", lambda a, b, c: rightly_ranked(a, b, c) * 17),
        ("The mean gap: count how often it is above zero.", _ranking(count=np.mean)),
        ("One number is asked for: take the mean.", _ranking(count=lambda g: g > 0)),
        ("This is the worst gap: count those above zero.", _ranking(count=np.min)),
    ),
    hints=(
        "Cosine is the dot product of two vectors of length one. Compare row i with row i.",
        "v / np.linalg.norm(v, axis=1, keepdims=True); then (a * b).sum(axis=1) are N cosines.",
        "With gap, of the two cosines: np.where(np.isclose(gap, 0), 0.5, gap > 0).mean()",
    ),
)

# --- hiding -------------------------------------------------------------------------------------


def hide(words, chance, how, other):
    """BERT's hiding: what the network sees, and what it has to say, both (N, L) of int64.

    All are torch tensors (N, L). A word is chosen where chance < 0.15. Of the chosen, those with
    how < 0.8 become 0, the number of <mask>; those with how from 0.8 to 0.9 become the number in
    other; the rest stay. To be said is the true word where one was chosen; elsewhere -100, which
    cross_entropy passes over. words, other are of int64; chance, how lie in [0, 1).
    """
    chosen = chance < 0.15
    spoilt = torch.where(how < 0.8, 0, torch.where(how < 0.9, other, words))
    return torch.where(chosen, spoilt, words), torch.where(chosen, words, -100)


# The same with one thing changed: the limits of `how`, whether few are chosen, what is seen, said.
def _hiding(masked=0.8, changed=0.9, few=True, seen=torch.where, said=None):
    def answer(words, chance, how, other):
        spoilt = torch.where(how < masked, 0, torch.where(how < changed, other, words))
        pick = (chance < 0.15) == few
        out = seen(pick, spoilt, words)
        return out, said(pick, out, words) if said else words.masked_fill(~pick, -100)

    return answer


def _text(seed):
    generator = torch.Generator().manual_seed(seed)
    words, other = torch.randint(2, 90, (2, 8, 40), generator=generator)
    chance, how = torch.rand(2, 8, 40, generator=generator)
    return words, chance, how, other


hiding = Exercise(
    name="07-hide",
    solution=hide,
    inputs=lambda: [_text(0), _text(1)],
    answers=(
        ("All chosen words become <mask>: one in five must not.", _hiding(masked=1)),
        ("None becomes another word: from 0.8 to 0.9 take other.", _hiding(changed=0.8)),
        ("None stays as it is: from 0.9 on, keep the word.", _hiding(changed=1)),
        ("<mask> and other are swapped: below 0.8 comes 0.", _hiding(masked=0.1)),
        ("You hide all but 0.15: choose below it.", _hiding(few=False)),
        ("`how` is asked of chosen words only: others stay.", _hiding(seen=lambda p, s, w: s)),
        ("Words not chosen vanish: they stay.", _hiding(seen=lambda p, s, w: p * s)),
        ("Say -100 where none was chosen: else all count.", _hiding(said=lambda p, s, w: w)),
        ("A kept word is said too.", _hiding(said=lambda p, s, w: w.masked_fill(s == w, -100))),
        ("Say the true word, not the seen.", _hiding(said=lambda p, s, w: s.masked_fill(~p, -100))),
        ("0 is a word to cross_entropy: say -100.", _hiding(said=lambda p, s, w: p * w)),
        ("-100 is in the wrong places.", _hiding(said=lambda p, s, w: w.masked_fill(p, -100))),
    ),
    hints=(
        "First what a chosen word would become, for every place; then put it where one was chosen.",
        "torch.where(condition, a, b) takes a where it is true; one can stand inside another.",
        "spoilt = torch.where(how < 0.8, 0, torch.where(how < 0.9, other, words))",
    ),
)
